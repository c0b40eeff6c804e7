//! What a party's host sends and receives, seen below its sockets.

use std::io::Read as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use socket2::{Domain, Protocol, Socket, Type};

use crate::network::Party;

/// `ETH_P_ALL`: packets of every kind, going out and coming in, on every device.
const EVERYTHING: u16 = 3;
const UDP: u8 = 17;
const UDP_HEADER: usize = 8;

/// A tap on all network devices of a party.
#[derive(Debug)]
pub struct Wire {
    socket: Socket,
}

/// A UDP datagram that was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Datagram {
    /// Where to.
    pub to: SocketAddr,
    /// What.
    pub payload: Vec<u8>,
}

impl Wire {
    /// Listens from now on.
    pub fn tap(party: &Party) -> Self {
        let protocol = Some(Protocol::from(i32::from(EVERYTHING.to_be())));
        // DGRAM: packets come without the device's own header.
        let socket = party.namespace.enter(|| Socket::new(Domain::PACKET, Type::DGRAM, protocol));
        let socket = socket.expect("packet sockets need root");
        socket.set_nonblocking(true).expect("a socket can be");
        Self { socket }
    }

    /// The UDP datagrams that were seen since the last call.
    pub fn datagrams(&self) -> Vec<Datagram> {
        let mut packet = [0; 65_536];
        let mut seen = Vec::new();
        while let Ok(length) = (&self.socket).read(&mut packet) {
            seen.extend(datagram(&packet[..length]));
        }
        seen
    }
}

/// The datagram in an IP packet that is no fragment and has no extension header.
fn datagram(packet: &[u8]) -> Option<Datagram> {
    let (protocol, to, header): (_, IpAddr, _) = match packet.first()? >> 4 {
        4 => {
            let to: [u8; 4] = packet.get(16..20)?.try_into().ok()?;
            (packet[9], Ipv4Addr::from(to).into(), usize::from(packet[0] & 0xF) * 4)
        }
        6 => {
            let to: [u8; 16] = packet.get(24..40)?.try_into().ok()?;
            (packet[6], Ipv6Addr::from(to).into(), 40)
        }
        _ => return None,
    };
    let udp = packet.get(header..).filter(|_| protocol == UDP)?;
    let port = u16::from_be_bytes(udp.get(2..4)?.try_into().ok()?);
    Some(Datagram { to: SocketAddr::new(to, port), payload: udp.get(UDP_HEADER..)?.to_vec() })
}
