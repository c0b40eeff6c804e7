//! Descriptors that this process did not open itself: another one did, which shared or left its table.
#![allow(unsafe_code, reason = "descriptors are numbers before anybody owns them")]

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, FromRawFd, OwnedFd, RawFd};

use rustix::net::SocketType;
use rustix::net::sockopt::{socket_acceptconn, socket_type};
use socket2::SockRef;

/// The first descriptor that is not standard input, output or error.
const FIRST: RawFd = 3;

/// A socket that somebody left, as far as it may go on.
#[derive(Debug)]
pub struct Left {
    /// The number that it had in the table, and has.
    pub number: RawFd,
    /// Where it is bound.
    pub address: SocketAddr,
    /// What it is.
    pub kind: Kind,
    /// The socket.
    pub socket: OwnedFd,
}

/// What a socket is that may go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It takes datagrams of anybody.
    Datagrams,
    /// It takes connections.
    Acceptor,
}

/// The numbers of all open descriptors but standard input, output and error.
///
/// # Errors
/// Without `/proc`.
pub fn open_descriptors() -> io::Result<Vec<RawFd>> {
    let names = fs::read_dir("/proc/self/fd")?.map(|entry| entry.map(|entry| entry.file_name()));
    let names = names.collect::<io::Result<Vec<_>>>()?;
    let numbers = names.iter().filter_map(|name| name.to_str()?.parse().ok());
    // The directory was open while it was read.
    Ok(numbers.filter(|number| *number >= FIRST && is_open(*number)).collect())
}

/// Takes over what a process left in this one's descriptor table: all but `kept`. Sockets that may go on are
/// what it returns; connections, epoll sets and all the rest are closed.
///
/// # Errors
/// Without `/proc`.
pub fn take_over(kept: &[RawFd]) -> io::Result<Vec<Left>> {
    let open = open_descriptors()?;
    let left = open.into_iter().filter(|number| !kept.contains(number)).filter_map(|number| {
        // SAFETY: it is open, and the process that owned it is gone: the caller kept what it knows of.
        let descriptor = unsafe { OwnedFd::from_raw_fd(number) };
        let (address, kind) = socket(&descriptor)?;
        Some(Left { number, address, kind, socket: descriptor })
    });
    Ok(left.collect())
}

/// Closes all descriptors but `kept` and standard input, output and error.
pub fn close_all_but(kept: &[RawFd]) {
    let mut kept = kept.to_vec();
    kept.sort_unstable();
    let mut first = FIRST;
    for number in kept.into_iter().filter(|number| *number >= FIRST) {
        close_range(first, number - 1);
        first = number + 1;
    }
    close_range(first, RawFd::MAX);
}

/// Where an unconnected socket is bound, and what it is. Nothing else goes on in another process.
fn socket(descriptor: impl AsFd) -> Option<(SocketAddr, Kind)> {
    let descriptor = descriptor.as_fd();
    let kind = match socket_type(descriptor).ok()? {
        SocketType::DGRAM => Kind::Datagrams,
        SocketType::STREAM if socket_acceptconn(descriptor).ok()? => Kind::Acceptor,
        _ => return None,
    };
    let socket = SockRef::from(&descriptor);
    let address = socket.local_addr().ok()?.as_socket()?;
    let is_alone = kind == Kind::Acceptor || socket.peer_addr().is_err();
    (address.port() != 0 && is_alone).then_some((address, kind))
}

fn is_open(number: RawFd) -> bool {
    // SAFETY: it reads one flag of a descriptor, or fails if there is none of this number.
    unsafe { libc::fcntl(number, libc::F_GETFD) != -1 }
}

fn close_range(first: RawFd, last: RawFd) {
    if first <= last {
        // SAFETY: the caller says that nobody in this process uses them. It can only fail for a range that makes
        // no sense, and on kernels before 5.9.
        unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
    }
}
