//! Socket addresses as the kernel reads and writes them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

/// Bytes of a `sockaddr_in6`, the longest name that a UDP socket of ours sees.
const LONGEST: usize = size_of::<libc::sockaddr_in6>();

const V4: [u8; 2] = (libc::AF_INET as u16).to_ne_bytes();
const V6: [u8; 2] = (libc::AF_INET6 as u16).to_ne_bytes();

/// A `sockaddr_in` or `sockaddr_in6`, byte for byte.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(8))]
pub struct SocketName([u8; LONGEST]);

impl SocketName {
    /// A name for the kernel to fill in.
    pub const EMPTY: Self = Self([0; LONGEST]);

    /// How many bytes the kernel may write.
    pub const CAPACITY: u32 = LONGEST as u32;

    /// Becomes the name of `address`; how many of its bytes count.
    pub fn set(&mut self, address: SocketAddr) -> u32 {
        let name = &mut self.0;
        match address {
            SocketAddr::V4(v4) => {
                let [p0, p1] = v4.port().to_be_bytes();
                let [a0, a1, a2, a3] = v4.ip().octets();
                let [f0, f1] = V4;
                // What pads it means nothing.
                name[..8].copy_from_slice(&[f0, f1, p0, p1, a0, a1, a2, a3]);
                size_of::<libc::sockaddr_in>() as u32
            }
            SocketAddr::V6(v6) => {
                name[..2].copy_from_slice(&V6);
                name[2..4].copy_from_slice(&v6.port().to_be_bytes());
                name[4..8].copy_from_slice(&v6.flowinfo().to_ne_bytes());
                name[8..24].copy_from_slice(&v6.ip().octets());
                name[24..28].copy_from_slice(&v6.scope_id().to_ne_bytes());
                Self::CAPACITY
            }
        }
    }

    /// The address in it, if it is an IP one.
    pub fn address(&self) -> Option<SocketAddr> {
        let [f0, f1, p0, p1, rest @ ..] = &self.0;
        let port = u16::from_be_bytes([*p0, *p1]);
        match [*f0, *f1] {
            V4 => {
                let octets: [u8; 4] = *rest.first_chunk()?;
                Some(SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::from(octets), port)))
            }
            V6 => {
                let octets: [u8; 16] = *rest.get(4..)?.first_chunk()?;
                let scope: [u8; 4] = *rest.last_chunk()?;
                // The flow label of one packet is no part of who sent it.
                Some(SocketAddr::V6(SocketAddrV6::new(
                    Ipv6Addr::from(octets),
                    port,
                    0,
                    u32::from_ne_bytes(scope),
                )))
            }
            _ => None,
        }
    }
}

/// Whether an address means one interface only, so that answers must name it.
pub fn is_link_local(ip: IpAddr) -> bool {
    matches!(ip, IpAddr::V6(v6) if v6.is_unicast_link_local())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_survive_the_round_trip() {
        for text in ["192.0.2.7:5", "[2001:db8::9]:65535", "[fe80::1%3]:3478", "0.0.0.0:0"] {
            let address: SocketAddr = text.parse().unwrap();
            let mut name = SocketName::EMPTY;
            let len = name.set(address);
            assert_eq!(name.address(), Some(address));
            assert_eq!(len, if address.is_ipv4() { 16 } else { 28 });
        }
    }

    #[test]
    fn a_name_of_another_family_is_none() {
        assert_eq!(SocketName::EMPTY.address(), None);
    }
}
