//! Tells the service manager that started this process how it goes: sd_notify(3), the protocol of systemd.
//!
//! The relay tells it itself, not its keeper, so that nothing is said before packets are served: a unit needs
//! `NotifyAccess=all`.

use std::env;
use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use rustix::time::{ClockId, clock_gettime};

/// Packets are served, with the last change of the configuration in force or refused.
pub(super) fn ready(status: &str) {
    tell(&format!("READY=1\nSTATUS={status}"));
}

/// The configuration is looked at, as somebody asked for it. [`ready`] has to follow.
pub(super) fn reloading() {
    let now = clock_gettime(ClockId::Monotonic);
    let microseconds = now.tv_sec * 1_000_000 + now.tv_nsec / 1_000;
    tell(&format!("RELOADING=1\nMONOTONIC_USEC={microseconds}\nSTATUS=Looking at the configuration"));
}

/// The relay ends when its calls have ended.
pub(super) fn stopping(status: &str) {
    tell(&format!("STOPPING=1\nSTATUS={status}"));
}

fn tell(message: &str) {
    let Some(name) = env::var_os("NOTIFY_SOCKET") else { return };
    if let Err(error) = send(&name, message) {
        tracing::warn!(%error, ?name, "the service manager cannot be told by NOTIFY_SOCKET how the relay goes");
    }
}

fn send(name: &OsStr, message: &str) -> io::Result<()> {
    let address = match name.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name),
        _ => SocketAddr::from_pathname(name),
    };
    let socket = UnixDatagram::unbound()?;
    // A service manager that does not listen is not waited for.
    socket.set_nonblocking(true)?;
    socket.send_to_addr(message.as_bytes(), &address?).map(drop)
}
