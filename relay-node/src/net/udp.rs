//! UDP sockets: what a listener and a relayed transport address are to the kernel.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};

use rustix::net::sockopt::{
    Ipv4PathMtuDiscovery, Ipv6PathMtuDiscovery, set_ip_mtu_discover, set_ipv6_mtu_discover,
    set_socket_recv_buffer_size_force,
};
use socket2::{Domain, Protocol, Socket, Type};

use super::option;

/// Bytes that a listener's queue should hold: some ten milliseconds at full load.
const LISTENER_BUFFER: usize = 4 << 20;

/// Opens one worker's socket of a listener. All workers' sockets share the address.
///
/// A socket of the unspecified address tells each datagram's destination, so that answers leave from
/// the address that the client used.
pub fn listener(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = open(address)?;
    socket.set_reuse_port(true)?;
    make_listener(&socket, address)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}

/// Makes a socket that a former process left one like [`listener`]'s.
///
/// # Errors
/// When it is not one at `address`.
pub fn adopt_listener(socket: OwnedFd, address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = adopt(socket, address)?;
    make_listener(&socket, address)?;
    Ok(socket.into())
}

fn make_listener(socket: &Socket, address: SocketAddr) -> io::Result<()> {
    // As much as the system grants: a smaller buffer works too.
    if set_socket_recv_buffer_size_force(socket, LISTENER_BUFFER).is_err() {
        let _ = socket.set_recv_buffer_size(LISTENER_BUFFER);
    }
    let _ = socket.set_send_buffer_size(LISTENER_BUFFER);
    if address.ip().is_unspecified() {
        match address {
            SocketAddr::V4(_) => option::set(socket, libc::IPPROTO_IP, libc::IP_PKTINFO, 1)?,
            SocketAddr::V6(_) => option::set(socket, libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO, 1)?,
        }
    }
    Ok(())
}

/// Fails if a socket has `address`, even one that would share it. For port 0 it finds a port that none has, which
/// the system does not do for who would share it.
pub fn probe(address: SocketAddr) -> io::Result<SocketAddr> {
    let socket = open(address)?;
    socket.bind(&address.into())?;
    Ok(socket.local_addr()?.as_socket().unwrap_or(address))
}

/// Opens the socket of a relayed transport address: it tells ICMP errors, and its datagrams may be
/// fragmented on their way.
pub fn relay(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = open(address)?;
    make_relay(&socket, address)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}

/// Makes a socket that a former process left one like [`relay`]'s.
///
/// # Errors
/// When it is not one at `address`.
pub fn adopt_relay(socket: OwnedFd, address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = adopt(socket, address)?;
    make_relay(&socket, address)?;
    Ok(socket.into())
}

fn make_relay(socket: &Socket, address: SocketAddr) -> io::Result<()> {
    match address {
        SocketAddr::V4(_) => option::set(socket, libc::IPPROTO_IP, libc::IP_RECVERR, 1)?,
        SocketAddr::V6(_) => option::set(socket, libc::IPPROTO_IPV6, libc::IPV6_RECVERR, 1)?,
    }
    // Also of one whose process was killed between a datagram that must not be fragmented and the next.
    set_dont_fragment(socket, address, false)
}

/// Takes `socket` for what it is said to be only if it is that.
fn adopt(socket: OwnedFd, address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::from(socket);
    let is_it = socket.r#type()? == Type::DGRAM
        && socket.protocol()? == Some(Protocol::UDP)
        && socket.local_addr()?.as_socket() == Some(address)
        && socket.peer_addr().is_err();
    if !is_it {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "an inherited socket is another one"));
    }
    socket.set_cloexec(true)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

fn open(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM.nonblocking(), Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    Ok(socket)
}

/// Says whether datagrams to addresses of this family must not be fragmented.
pub(super) fn set_dont_fragment(socket: impl AsFd, address: SocketAddr, value: bool) -> io::Result<()> {
    match (address, value) {
        (SocketAddr::V4(_), true) => set_ip_mtu_discover(socket, Ipv4PathMtuDiscovery::DO)?,
        (SocketAddr::V4(_), false) => set_ip_mtu_discover(socket, Ipv4PathMtuDiscovery::DONT)?,
        (SocketAddr::V6(_), true) => set_ipv6_mtu_discover(socket, Ipv6PathMtuDiscovery::DO)?,
        (SocketAddr::V6(_), false) => set_ipv6_mtu_discover(socket, Ipv6PathMtuDiscovery::DONT)?,
    }
    Ok(())
}
