//! What systemd hears of the relay by sd_notify(3): when packets are served, when the configuration is looked
//! at, when the relay drains. The unit in README lets every process of the service speak (`NotifyAccess=all`).

use std::ffi::OsStr;
use std::fs;
use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use rustix::net::sockopt::set_socket_passcred;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use rustix::process::Signal;
use tempfile::TempDir;

use crate::support::{ALICE, Client, Daemon, PATIENCE, UDP, edgerelay, wait_until};

/// Stands in systemd's place.
struct Manager {
    socket: UnixDatagram,
    relay: Daemon,
}

impl Manager {
    /// Starts a relay that is to tell about itself on `socket`, which `name` stands for.
    fn start(folder: TempDir, socket: UnixDatagram, name: impl AsRef<OsStr>) -> Self {
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        set_socket_passcred(&socket, true).unwrap();
        let path = folder.path().join("edgerelay.toml");
        fs::write(&path, format!("{ALICE}\n{UDP}\nreload_interval = '1h'\ndrain_deadline = '1h'")).unwrap();
        let mut command = edgerelay(&["serve", "--log-format", "json", "--config", path.to_str().unwrap()]);
        command.args(["--relay-address", "127.0.0.1", "--admin", "127.0.0.1:0"]).env("NOTIFY_SOCKET", name);
        Self { socket, relay: Daemon::start(&mut command, folder) }
    }

    /// The socket is a file, as systemd has it; the relay has begun to serve.
    fn that_knows_of_a_relay() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let manager = Self::start(folder, UnixDatagram::bind(&path).unwrap(), path);
        assert_eq!(manager.next(), ["READY=1", "STATUS=Serving"]);
        manager.relay.line("ready");
        manager
    }

    /// The next message, whose sender is the relay by the kernel's word.
    fn next(&self) -> Vec<String> {
        let mut bytes = [0; 4096];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmCredentials(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let received =
            recvmsg(&self.socket, &mut [IoSliceMut::new(&mut bytes)], &mut control, RecvFlags::empty())
                .unwrap();
        let sender = control.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmCredentials(sender) => Some(sender),
            _ => None,
        });
        let sender = sender.unwrap();
        assert_eq!((sender.pid, sender.uid), (self.relay.relay(), rustix::process::getuid()));
        let text = std::str::from_utf8(&bytes[..received.bytes]).unwrap();
        text.lines().map(str::to_owned).collect()
    }
}

#[test]
fn it_hears_when_packets_are_served() {
    let manager = Manager::that_knows_of_a_relay();
    let address = manager.relay.address("udp");
    assert!(Client::udp(address).try_allocate().is_ok(), "that was said when it was true");
}

#[test]
fn its_socket_may_have_an_abstract_name() {
    let name = format!("edgerelay-test-{}", std::process::id());
    let socket = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
    let manager = Manager::start(tempfile::tempdir().unwrap(), socket, format!("@{name}"));
    assert_eq!(manager.next(), ["READY=1", "STATUS=Serving"]);
}

#[test]
fn it_hears_of_a_reload_and_how_that_went() {
    let manager = Manager::that_knows_of_a_relay();
    let path = manager.relay.file("edgerelay.toml");
    let good = fs::read_to_string(&path).unwrap();
    for (settings, status) in
        [("realm = ''", "STATUS=Serving by the last good configuration"), (&good, "STATUS=Serving")]
    {
        fs::write(&path, settings).unwrap();
        let before = monotonic();
        manager.relay.signal(Signal::HUP);
        let reloading = manager.next();
        assert_eq!(reloading[0], "RELOADING=1");
        // systemd tells by it whether the reload is the one that it asked for.
        let at: i64 = reloading[1].strip_prefix("MONOTONIC_USEC=").unwrap().parse().unwrap();
        assert!((before..=monotonic()).contains(&at), "{reloading:?}");
        let ready = manager.next();
        assert_eq!(ready[0], "READY=1");
        assert!(ready[1].starts_with(status), "{ready:?}");
    }
}

/// In microseconds.
fn monotonic() -> i64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    now.tv_sec * 1_000_000 + now.tv_nsec / 1_000
}

#[test]
fn it_hears_of_a_drain_and_that_it_is_taken_back() {
    let mut manager = Manager::that_knows_of_a_relay();
    let mut alice = Client::udp(manager.relay.address("udp"));
    wait_until("alice has a call", || alice.try_allocate().is_ok());
    manager.relay.signal(Signal::TERM);
    assert_eq!(manager.next()[0], "STOPPING=1");
    manager.relay.signal(Signal::USR1);
    assert_eq!(manager.next(), ["READY=1", "STATUS=Serving"]);
    manager.relay.signal(Signal::TERM);
    assert_eq!(manager.next()[0], "STOPPING=1");
    alice.refresh(0);
    assert_eq!(manager.relay.wait().code(), Some(0));
}

#[test]
fn it_hears_of_each_relay_that_serves_after_another() {
    let manager = Manager::that_knows_of_a_relay();
    manager.relay.crash(Signal::KILL);
    assert_eq!(manager.next(), ["READY=1", "STATUS=Serving"]);
    manager.relay.signal(Signal::USR2);
    assert_eq!(manager.next(), ["READY=1", "STATUS=Serving"]);
    assert!(Client::udp(manager.relay.address("udp")).try_allocate().is_ok());
}

#[test]
fn a_socket_that_nobody_has_is_no_hindrance() {
    let nobody = UnixDatagram::unbound().unwrap();
    let manager = Manager::start(tempfile::tempdir().unwrap(), nobody, "/nowhere/notify");
    manager.relay.line("ready");
    manager.relay.line("the service manager cannot be told by NOTIFY_SOCKET how the relay goes");
}
