//! The two sockets of the load.

use std::{
    io,
    net::{Ipv4Addr, SocketAddrV4, UdpSocket},
    os::fd::{AsFd, BorrowedFd},
};

use socket2::{Domain, Socket, Type};

use crate::{
    datagrams::tell_destinations,
    lab::{CLIENT_PORT, Lab, PEER},
};

/// Large enough that what the server has sent is never lost here.
pub const BUFFER: usize = 32 << 20;

/// One socket for all clients and one for the peer.
pub struct Sockets {
    clients: UdpSocket,
    peer: UdpSocket,
}

/// Why the sockets of the load could not be opened.
#[derive(Debug, thiserror::Error)]
#[error("cannot open the load's sockets: {0}")]
pub struct SocketsError(#[from] io::Error);

impl Sockets {
    /// Opens them in their namespaces.
    pub fn open(lab: &Lab) -> Result<Self, SocketsError> {
        let clients = lab.clients.enter(|| bind(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, CLIENT_PORT)))?;
        tell_destinations(clients.as_fd())?;
        let peer = lab.peer.enter(|| bind(PEER))?;
        Ok(Self { clients, peer })
    }

    /// The socket of all clients; it tells and takes their addresses as packet information.
    pub fn clients(&self) -> BorrowedFd<'_> {
        self.clients.as_fd()
    }

    /// The socket of the peer.
    pub fn peer(&self) -> BorrowedFd<'_> {
        self.peer.as_fd()
    }
}

fn bind(address: SocketAddrV4) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, None)?;
    rustix::net::sockopt::set_socket_recv_buffer_size_force(&socket, BUFFER)?;
    rustix::net::sockopt::set_socket_send_buffer_size(&socket, BUFFER)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}
