//! A peer that speaks plain UDP, in the test's hands.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

use testbed::Namespace;

const PATIENCE: Duration = Duration::from_secs(10);

/// A UDP socket at an address of a namespace.
#[derive(Debug)]
pub struct Peer {
    socket: UdpSocket,
}

impl Peer {
    /// A peer at a port that the kernel picks.
    pub fn new(namespace: &Namespace, address: IpAddr) -> Self {
        Self::at(namespace, SocketAddr::new(address, 0))
    }

    /// A peer at a port of the test's choice.
    pub fn at(namespace: &Namespace, address: SocketAddr) -> Self {
        let socket = namespace.enter(|| UdpSocket::bind(address));
        let socket = socket.unwrap_or_else(|error| panic!("cannot bind {address}: {error}"));
        socket.set_read_timeout(Some(PATIENCE)).expect("not zero");
        Self { socket }
    }

    /// Its address.
    pub fn address(&self) -> SocketAddr {
        self.socket.local_addr().expect("it is bound")
    }

    /// Sends a datagram.
    pub fn send(&self, to: SocketAddr, data: &[u8]) {
        self.socket.send_to(data, to).expect("the network is up");
    }

    /// Waits for a datagram: who sent it, and what.
    pub fn receive(&self) -> Option<(SocketAddr, Vec<u8>)> {
        let mut data = vec![0; 65_536];
        let (length, from) = self.socket.recv_from(&mut data).ok()?;
        data.truncate(length);
        Some((from, data))
    }

    /// Whether nothing has arrived so far.
    pub fn heard_nothing(&self) -> bool {
        self.socket.set_nonblocking(true).expect("a socket can be");
        let nothing = self.socket.recv_from(&mut [0; 1]).is_err();
        self.socket.set_nonblocking(false).expect("a socket can be");
        nothing
    }
}
