//! Entries as bytes. A field's number is its for good: a later version adds fields, and earlier ones read past them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use prost::Message;
use turn::Transport;

use super::entry::{Distrust, Entry, Life, NodeName};
use crate::cluster::node::{Load, TlsNames};

/// Bytes of the longest entry that is read, sealed.
pub(super) const LONGEST: usize = 2048;

/// Bytes of a zone (as the configuration allows), of a version, and of what is told to a person.
const LONGEST_TEXT: usize = 253;
/// Bytes of a name in the DNS.
const LONGEST_DOMAIN: usize = 253;
/// One for each transport and family.
const MOST_ADDRESSES: usize = 6;
/// Addresses of a certificate that are told.
const MOST_COVERED: usize = 16;

#[derive(Clone, PartialEq, Message)]
struct Wire {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(uint64, tag = "2")]
    began_at: u64,
    #[prost(fixed64, tag = "3")]
    incarnation: u64,
    #[prost(uint64, tag = "4")]
    renewal: u64,
    #[prost(uint64, tag = "5")]
    told_at: u64,
    #[prost(message, repeated, tag = "6")]
    addresses: Vec<WireAddress>,
    #[prost(message, optional, tag = "7")]
    tls: Option<WireTls>,
    #[prost(string, tag = "8")]
    zone: String,
    #[prost(string, tag = "9")]
    version: String,
    #[prost(bytes = "vec", tag = "10")]
    internal: Vec<u8>,
    #[prost(uint32, tag = "11")]
    allocations: u32,
    #[prost(uint32, tag = "12")]
    capacity: u32,
    #[prost(uint64, tag = "13")]
    bits_per_second: u64,
    #[prost(uint64, tag = "14")]
    packets_per_second: u64,
    #[prost(bool, tag = "15")]
    draining: bool,
    #[prost(string, tag = "16")]
    degraded: String,
}

#[derive(Clone, PartialEq, Message)]
struct WireAddress {
    #[prost(uint32, tag = "1")]
    transport: u32,
    /// The IP address, then the port.
    #[prost(bytes = "vec", tag = "2")]
    address: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct WireTls {
    #[prost(string, tag = "1")]
    domain: String,
    #[prost(bytes = "vec", repeated, tag = "2")]
    covers: Vec<Vec<u8>>,
}

impl Entry {
    /// As it is to be sealed. What is longer than others would read is cut.
    pub(super) fn encode(&self) -> Vec<u8> {
        Wire {
            name: self.name.as_str().to_owned(),
            began_at: self.life.began_at,
            incarnation: self.life.incarnation,
            renewal: self.renewal,
            told_at: self.told_at,
            addresses: self.addresses.iter().take(MOST_ADDRESSES).map(WireAddress::of).collect(),
            tls: self.tls.as_ref().map(WireTls::of),
            zone: cut(&self.zone, LONGEST_TEXT),
            version: cut(&self.version, LONGEST_TEXT),
            internal: self.internal.map(address_bytes).unwrap_or_default(),
            allocations: self.load.allocations,
            capacity: self.load.capacity,
            bits_per_second: self.load.bits_per_second,
            packets_per_second: self.load.packets_per_second,
            draining: self.load.draining,
            degraded: cut(&self.degraded, LONGEST_TEXT),
        }
        .encode_to_vec()
    }

    /// Reads what was sealed.
    ///
    /// # Errors
    /// When it is no entry, or holds what no node writes.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, Distrust> {
        if bytes.len() > LONGEST {
            return Err(Distrust::TooLong);
        }
        let wire = Wire::decode(bytes).map_err(|_| Distrust::Garbled)?;
        read(wire).ok_or(Distrust::Garbled)
    }
}

fn read(wire: Wire) -> Option<Entry> {
    let texts = [&wire.zone, &wire.version, &wire.degraded];
    let plain = texts.iter().all(|text| text.len() <= LONGEST_TEXT && !text.contains(char::is_control));
    if !plain || wire.addresses.len() > MOST_ADDRESSES {
        return None;
    }
    let addresses: Vec<_> = wire.addresses.iter().map(WireAddress::read).collect::<Option<_>>()?;
    let internal = match wire.internal.as_slice() {
        [] => None,
        bytes => Some(read_address(bytes)?),
    };
    let tls = match wire.tls {
        Some(tls) => Some(tls.read()?),
        None => None,
    };
    Some(Entry {
        name: NodeName::new(&wire.name)?,
        life: Life { began_at: wire.began_at, incarnation: wire.incarnation },
        renewal: wire.renewal,
        told_at: wire.told_at,
        addresses,
        tls,
        zone: wire.zone,
        version: wire.version,
        internal,
        load: Load {
            allocations: wire.allocations,
            capacity: wire.capacity,
            bits_per_second: wire.bits_per_second,
            packets_per_second: wire.packets_per_second,
            draining: wire.draining,
        },
        degraded: wire.degraded,
    })
}

impl WireAddress {
    fn of((transport, address): &(Transport, SocketAddr)) -> Self {
        let transport = match transport {
            Transport::Udp => 1,
            Transport::Tcp => 2,
            Transport::Tls => 3,
        };
        Self { transport, address: address_bytes(*address) }
    }

    fn read(&self) -> Option<(Transport, SocketAddr)> {
        let transport = match self.transport {
            1 => Transport::Udp,
            2 => Transport::Tcp,
            3 => Transport::Tls,
            _ => return None,
        };
        Some((transport, read_address(&self.address)?))
    }
}

impl WireTls {
    fn of(names: &TlsNames) -> Self {
        let domain = names.domain.clone().filter(|domain| domain.len() <= LONGEST_DOMAIN);
        let covers = names.covers.iter().take(MOST_COVERED).map(|ip| ip_bytes(*ip)).collect();
        Self { domain: domain.unwrap_or_default(), covers }
    }

    fn read(self) -> Option<TlsNames> {
        let plain = self.domain.bytes().all(|byte| byte.is_ascii_graphic());
        if !plain || self.domain.len() > LONGEST_DOMAIN || self.covers.len() > MOST_COVERED {
            return None;
        }
        let covers = self.covers.iter().map(|bytes| read_ip(bytes)).collect::<Option<_>>()?;
        Some(TlsNames { domain: Some(self.domain).filter(|domain| !domain.is_empty()), covers })
    }
}

fn address_bytes(address: SocketAddr) -> Vec<u8> {
    let mut bytes = ip_bytes(address.ip());
    bytes.extend(address.port().to_be_bytes());
    bytes
}

fn read_address(bytes: &[u8]) -> Option<SocketAddr> {
    let (ip, port) = bytes.split_last_chunk::<2>()?;
    Some(SocketAddr::new(read_ip(ip)?, u16::from_be_bytes(*port)))
}

fn ip_bytes(ip: IpAddr) -> Vec<u8> {
    match ip {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    }
}

fn read_ip(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = || <[u8; 4]>::try_from(bytes).map(|octets| Ipv4Addr::from(octets).into());
    let v6 = || <[u8; 16]>::try_from(bytes).map(|octets| Ipv6Addr::from(octets).into());
    v4().or_else(|_| v6()).ok()
}

/// The start of `text` that has at most so many bytes, without what would break a line.
fn cut(text: &str, most: usize) -> String {
    let plain = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut left = most;
    plain
        .take_while(|c| {
            let fits = c.len_utf8() <= left;
            left = left.saturating_sub(c.len_utf8());
            fits
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::cluster::registry::fixtures::entry;

    #[test]
    fn an_entry_is_read_as_it_was_written() {
        let mut full = entry("node-1", 7);
        full.addresses.push((Transport::Tls, "[2001:db8::1]:5349".parse().unwrap()));
        full.tls = Some(TlsNames {
            domain: Some("turn.example.org".to_owned()),
            covers: vec!["192.0.2.1".parse().unwrap(), "2001:db8::1".parse().unwrap()],
        });
        full.internal = Some("10.0.0.1:9443".parse().unwrap());
        full.degraded = "Redis does not answer".to_owned();
        full.load.draining = true;
        for entry in [entry("node-1", 7), full] {
            assert_eq!(Entry::decode(&entry.encode()), Ok(entry));
        }
    }

    #[test]
    fn the_longest_entry_can_be_read() {
        let mut long = entry(&"n".repeat(NodeName::LONGEST), u32::MAX);
        let v6: SocketAddr = "[2001:db8::1]:65535".parse().unwrap();
        long.addresses = vec![(Transport::Tls, v6); MOST_ADDRESSES];
        long.tls =
            Some(TlsNames { domain: Some("d".repeat(LONGEST_DOMAIN)), covers: vec![v6.ip(); MOST_COVERED] });
        (long.zone, long.version) = ("z".repeat(LONGEST_TEXT), "v".repeat(LONGEST_TEXT));
        long.internal = Some(v6);
        (long.renewal, long.told_at) = (u64::MAX, u64::MAX);
        long.life = Life { began_at: u64::MAX, incarnation: u64::MAX };
        (long.load.bits_per_second, long.load.packets_per_second) = (u64::MAX, u64::MAX);
        long.degraded = "\u{20ac}".repeat(LONGEST_TEXT);
        let bytes = long.encode();
        assert!(bytes.len() + 128 < LONGEST, "{}", bytes.len());
        let read = Entry::decode(&bytes).unwrap();
        assert_eq!((read.degraded.len(), read.zone), (LONGEST_TEXT / 3 * 3, long.zone));
    }

    #[test]
    fn what_would_break_a_log_line_is_neither_written_nor_read() {
        let mut entry = entry("node-1", 7);
        entry.zone = "a\nb".to_owned();
        assert_eq!(Entry::decode(&entry.encode()).unwrap().zone, "a b");
        let mut wire = Wire::decode(entry.encode().as_slice()).unwrap();
        wire.zone = entry.zone;
        assert_eq!(Entry::decode(&wire.encode_to_vec()), Err(Distrust::Garbled));
    }

    proptest! {
        #[test]
        fn hostile_bytes_are_refused_or_read_but_break_nothing(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = Entry::decode(&bytes);
        }

        #[test]
        fn a_broken_entry_is_refused_or_read_within_the_bounds(at in 0_usize..80, bit in 0_u8..8) {
            let mut bytes = entry("node-1", 7).encode();
            let at = at % bytes.len();
            bytes[at] ^= 1 << bit;
            if let Ok(read) = Entry::decode(&bytes) {
                prop_assert!(read.addresses.len() <= MOST_ADDRESSES && read.zone.len() <= LONGEST_TEXT);
            }
        }
    }
}
