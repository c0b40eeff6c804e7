//! ICMP errors that came back to a UDP socket (the socket's error queue).
#![allow(unsafe_code)]

use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd};

use super::control::Control;
use super::name::SocketName;

/// An ICMP error for a datagram that was sent to `peer`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IcmpReport {
    /// Where the datagram went.
    pub peer: SocketAddr,
    /// ICMP or ICMPv6 type.
    pub kind: u8,
    /// ICMP or ICMPv6 code.
    pub code: u8,
    /// The MTU where the error is about one, otherwise zero.
    pub mtu: u32,
}

/// ICMP "destination unreachable, fragmentation needed" and ICMPv6 "packet too big".
const FRAGMENTATION_NEEDED: (u8, u8) = (3, 4);
const PACKET_TOO_BIG: (u8, u8) = (2, 0);

/// Takes the next error from the queue of `socket`. `None`: the queue is empty.
/// `Some(None)`: an entry that is no ICMP error.
pub fn next_error(socket: impl AsFd) -> Option<Option<IcmpReport>> {
    let mut name = SocketName::EMPTY;
    let mut control = Control::EMPTY;
    let mut header = libc::msghdr {
        msg_name: (&raw mut name).cast(),
        msg_namelen: SocketName::CAPACITY,
        // The datagram itself is of no interest.
        msg_iov: std::ptr::null_mut(),
        msg_iovlen: 0,
        msg_control: (&raw mut control).cast(),
        msg_controllen: Control::CAPACITY,
        msg_flags: 0,
    };
    // SAFETY: the header leads to a name and control space on this stack, with their sizes.
    let taken = unsafe {
        libc::recvmsg(socket.as_fd().as_raw_fd(), &raw mut header, libc::MSG_ERRQUEUE | libc::MSG_DONTWAIT)
    };
    if taken < 0 {
        return None;
    }
    let report = name.address().and_then(|peer| {
        control.messages(header.msg_controllen).find_map(|message| match (message.level, message.kind) {
            (libc::IPPROTO_IP, libc::IP_RECVERR) | (libc::IPPROTO_IPV6, libc::IPV6_RECVERR) => {
                report(peer, message.data)
            }
            _ => None,
        })
    });
    Some(report)
}

/// Reads a `sock_extended_err`: errno 4, origin 1, type 1, code 1, pad 1, info 4, data 4 bytes.
fn report(peer: SocketAddr, data: &[u8]) -> Option<IcmpReport> {
    let [errno @ .., _, _, _, _, _, _, _, _] = data.first_chunk::<12>()?;
    let [_, _, _, _, origin, kind, code, _, info @ ..] = data.first_chunk::<12>()?;
    let errno = i32::from_ne_bytes(*errno);
    let (kind, code) = match *origin {
        libc::SO_EE_ORIGIN_ICMP | libc::SO_EE_ORIGIN_ICMP6 => (*kind, *code),
        // Our own kernel knows already that it is too long for the path.
        libc::SO_EE_ORIGIN_LOCAL if errno == libc::EMSGSIZE && peer.is_ipv4() => FRAGMENTATION_NEEDED,
        libc::SO_EE_ORIGIN_LOCAL if errno == libc::EMSGSIZE => PACKET_TOO_BIG,
        _ => return None,
    };
    let about_mtu = (kind, code) == if peer.is_ipv4() { FRAGMENTATION_NEEDED } else { PACKET_TOO_BIG };
    Some(IcmpReport { peer, kind, code, mtu: if about_mtu { u32::from_ne_bytes(*info) } else { 0 } })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::udp;
    use std::net::UdpSocket;

    #[test]
    fn a_closed_port_is_reported_with_its_address() {
        for (ip, kind, code) in [("127.0.0.1", 3, 3), ("[::1]", 1, 4)] {
            let socket = udp::relay(format!("{ip}:0").parse().unwrap()).unwrap();
            let closed = UdpSocket::bind(format!("{ip}:0")).unwrap().local_addr().unwrap();
            socket.send_to(b"anybody?", closed).unwrap();
            // Loopback delivers before `send_to` returns.
            let report = next_error(&socket).unwrap();
            assert_eq!(report, Some(IcmpReport { peer: closed, kind, code, mtu: 0 }));
            assert_eq!(next_error(&socket), None);
        }
    }
}
