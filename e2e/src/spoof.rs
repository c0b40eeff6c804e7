//! Datagrams with a forged IPv4 source.

use std::net::SocketAddrV4;

use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use crate::network::Network;

const IP_HEADER: usize = 20;
const UDP_HEADER: usize = 8;
/// `IPPROTO_RAW`: the packet comes with its IP header.
const RAW: i32 = 255;
const UDP: u8 = 17;
const TIME_TO_LIVE: u8 = 64;

/// Sends from whatever address it likes.
#[derive(Debug)]
pub struct Spoofer {
    socket: Socket,
}

impl Spoofer {
    /// A spoofer at the router, so that a packet takes as little of this machine as it can. Answers go to whom the
    /// address belongs, or to nobody.
    pub fn new(network: &Network) -> Self {
        let protocol = Some(Protocol::from(RAW));
        let socket = network.router().enter(|| Socket::new(Domain::IPV4, Type::RAW, protocol));
        Self { socket: socket.expect("raw sockets need root") }
    }

    /// Sends one datagram.
    pub fn send(&self, from: SocketAddrV4, to: SocketAddrV4, payload: &[u8]) {
        let packet = datagram(from, to, payload);
        let sent = self.socket.send_to(&packet, &SockAddr::from(to));
        assert_eq!(sent.expect("the network is up"), packet.len(), "a datagram leaves whole");
    }
}

/// An IPv4 packet; the kernel fills in the header's checksum, and UDP over IPv4 may go without one.
fn datagram(from: SocketAddrV4, to: SocketAddrV4, payload: &[u8]) -> Vec<u8> {
    let udp_length = u16::try_from(UDP_HEADER + payload.len()).expect("a datagram is shorter than 64 KiB");
    let length = udp_length + IP_HEADER as u16;
    let mut packet = Vec::with_capacity(length.into());
    // Version 4, five words of header; no service class, identification or fragment.
    packet.extend([0x45, 0]);
    packet.extend(length.to_be_bytes());
    packet.extend([0, 0, 0, 0, TIME_TO_LIVE, UDP, 0, 0]);
    packet.extend(from.ip().octets());
    packet.extend(to.ip().octets());
    packet.extend(from.port().to_be_bytes());
    packet.extend(to.port().to_be_bytes());
    packet.extend(udp_length.to_be_bytes());
    packet.extend([0, 0]);
    packet.extend(payload);
    packet
}
