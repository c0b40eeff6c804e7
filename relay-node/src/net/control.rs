//! Control messages (`cmsg`): what comes and goes beside a datagram.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const HEADER: usize = size_of::<libc::cmsghdr>();
const ALIGN: usize = align_of::<usize>();

/// Room for the control messages of one datagram, aligned as the kernel wants it.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(8))]
pub struct Control([u8; Self::CAPACITY]);

impl Control {
    /// Enough for a source address and a segment size on the way out, for a destination address or
    /// an ICMP error with its origin on the way in.
    pub const CAPACITY: usize = 128;

    /// Without any message.
    pub const EMPTY: Self = Self([0; Self::CAPACITY]);

    /// The messages among the first `len` bytes.
    pub fn messages(&self, len: usize) -> impl Iterator<Item = Message<'_>> {
        let mut rest = self.0.get(..len).unwrap_or(&self.0);
        std::iter::from_fn(move || {
            let header = rest.get(..HEADER)?;
            let (total, header) = header.split_first_chunk::<{ size_of::<usize>() }>()?;
            let (level, header) = header.split_first_chunk::<4>()?;
            let (kind, _) = header.split_first_chunk::<4>()?;
            let total = usize::from_ne_bytes(*total);
            let message = Message {
                level: i32::from_ne_bytes(*level),
                kind: i32::from_ne_bytes(*kind),
                data: rest.get(HEADER..total)?,
            };
            rest = rest.get(total.next_multiple_of(ALIGN)..).unwrap_or_default();
            Some(message)
        })
    }

    /// Appends a message at `at`; the place behind it. Panics when it does not fit, which only a
    /// wrong [`Self::CAPACITY`] can cause.
    fn push<const N: usize>(&mut self, at: usize, level: i32, kind: i32, data: [u8; N]) -> usize {
        let total = HEADER + N;
        let end = at + total.next_multiple_of(ALIGN);
        // Reason for the panicking index: every sum of our own messages is far below the capacity.
        #[allow(clippy::indexing_slicing)]
        let room = &mut self.0[at..end];
        let (header, body) = room.split_at_mut(HEADER);
        let (length, meaning) = header.split_at_mut(size_of::<usize>());
        let (levels, kinds) = meaning.split_at_mut(size_of::<i32>());
        length.copy_from_slice(&total.to_ne_bytes());
        levels.copy_from_slice(&level.to_ne_bytes());
        kinds.copy_from_slice(&kind.to_ne_bytes());
        body.iter_mut().zip(data).for_each(|(to, from)| *to = from);
        end
    }

    /// Adds "leave from this address" (IP_PKTINFO, IPV6_PKTINFO) at `at`; the place behind it.
    /// `interface` counts for link-local addresses, otherwise it is zero.
    pub fn push_source(&mut self, at: usize, source: IpAddr, interface: u32) -> usize {
        match source {
            IpAddr::V4(ip) => {
                let [a, b, c, d] = ip.octets();
                // ipi_ifindex, ipi_spec_dst, ipi_addr
                let data = [0, 0, 0, 0, a, b, c, d, 0, 0, 0, 0];
                self.push(at, libc::IPPROTO_IP, libc::IP_PKTINFO, data)
            }
            IpAddr::V6(ip) => {
                let mut data = [0; 20];
                data[..16].copy_from_slice(&ip.octets());
                data[16..].copy_from_slice(&interface.to_ne_bytes());
                self.push(at, libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, data)
            }
        }
    }

    /// Adds "cut into datagrams of this many bytes" (UDP_SEGMENT) at `at`; the place behind it.
    pub fn push_segment(&mut self, at: usize, bytes: u16) -> usize {
        self.push(at, libc::SOL_UDP, libc::UDP_SEGMENT, bytes.to_ne_bytes())
    }
}

/// One control message.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// Such as `IPPROTO_IP`.
    pub level: i32,
    /// Such as `IP_PKTINFO`.
    pub kind: i32,
    /// The rest.
    pub data: &'a [u8],
}

impl Message<'_> {
    /// The bytes that it takes among others.
    pub fn space(&self) -> usize {
        HEADER + self.data.len().next_multiple_of(ALIGN)
    }

    /// The local address that a datagram was sent to, and the interface that it came in on, if this
    /// message tells them.
    pub fn destination(&self) -> Option<(IpAddr, u32)> {
        match (self.level, self.kind) {
            (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                let (interface, rest) = self.data.split_first_chunk::<4>()?;
                let address: &[u8; 4] = rest.get(4..)?.first_chunk()?;
                Some((Ipv4Addr::from(*address).into(), u32::from_ne_bytes(*interface)))
            }
            (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                let (address, interface) = self.data.split_first_chunk::<16>()?;
                Some((Ipv6Addr::from(*address).into(), u32::from_ne_bytes(*interface.first_chunk()?)))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_read_as_they_were_written() {
        let mut control = Control::EMPTY;
        let source: IpAddr = "2001:db8::5".parse().unwrap();
        let middle = control.push_source(0, source, 4);
        let end = control.push_segment(middle, 1200);
        let messages: Vec<_> = control.messages(end).collect();
        assert_eq!(messages.len(), 2);
        assert_eq!(messages[0].destination(), Some((source, 4)));
        assert_eq!((messages[1].level, messages[1].kind), (libc::SOL_UDP, libc::UDP_SEGMENT));
        assert_eq!(messages[1].data, 1200u16.to_ne_bytes());
    }

    #[test]
    fn a_cut_off_message_ends_the_list() {
        let mut control = Control::EMPTY;
        let end = control.push_source(0, "192.0.2.1".parse().unwrap(), 0);
        assert_eq!(control.messages(end - 8).count(), 0);
        assert_eq!(Control::EMPTY.messages(Control::CAPACITY).count(), 0);
    }
}
