//! Attributes that hold a transport address.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::{Attribute, AttributeError, AttributeType, Encode, Value, exactly};
use crate::header::{MAGIC_COOKIE, TransactionId};
use crate::writer::BufferFull;

macro_rules! plain_address {
    ($(#[$doc:meta])* $name:ident, $kind:expr) => {
        address!($(#[$doc])* $name, $kind, |address: SocketAddr, _: &TransactionId| address);
    };
}

macro_rules! xor_address {
    ($(#[$doc:meta])* $name:ident, $kind:expr) => {
        address!($(#[$doc])* $name, $kind, xor);
    };
}

macro_rules! address {
    ($(#[$doc:meta])* $name:ident, $kind:expr, $mask:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub struct $name(pub SocketAddr);

        impl Attribute<'_> for $name {
            const TYPE: AttributeType = $kind;

            #[inline]
            fn decode(value: &[u8], id: &TransactionId) -> Result<Self, AttributeError> {
                read($kind, value).map(|address| Self($mask(address, id)))
            }
        }

        impl Encode for $name {
            const TYPE: AttributeType = $kind;

            #[inline]
            fn encode(&self, value: &mut Value<'_>) -> Result<(), BufferFull> {
                let masked = $mask(self.0, value.transaction_id());
                write(masked, value)
            }
        }
    };
}

plain_address! {
    /// The client's address as the server sees it, for RFC 3489 clients (RFC 8489 section 14.1).
    MappedAddress, AttributeType::MAPPED_ADDRESS
}
plain_address! {
    /// The address that a classic answer comes from (RFC 3489 section 11.2.5).
    SourceAddress, AttributeType::SOURCE_ADDRESS
}
plain_address! {
    /// The server's other address, in a classic answer (RFC 3489 section 11.2.3).
    ChangedAddress, AttributeType::CHANGED_ADDRESS
}
plain_address! {
    /// Another server to try (RFC 8489 section 14.15).
    AlternateServer, AttributeType::ALTERNATE_SERVER
}
xor_address! {
    /// The client's address as the server sees it (RFC 8489 section 14.2).
    XorMappedAddress, AttributeType::XOR_MAPPED_ADDRESS
}
xor_address! {
    /// A peer's address as the server sees it (RFC 8656 section 18.3).
    XorPeerAddress, AttributeType::XOR_PEER_ADDRESS
}
xor_address! {
    /// The address that an allocation has on the server (RFC 8656 section 18.5).
    XorRelayedAddress, AttributeType::XOR_RELAYED_ADDRESS
}

/// Port and address with the magic cookie and, for IPv6, the transaction laid over them
/// (RFC 8489 section 14.2); the same again takes them off.
#[inline]
pub(crate) fn xor(address: SocketAddr, id: &TransactionId) -> SocketAddr {
    let port = address.port() ^ (MAGIC_COOKIE >> 16) as u16;
    let ip = match address.ip() {
        IpAddr::V4(ip) => IpAddr::V4(Ipv4Addr::from_bits(ip.to_bits() ^ MAGIC_COOKIE)),
        IpAddr::V6(ip) => {
            let [a, b, c, d, e, f, g, h, i, j, k, l] = *id.as_bytes();
            let low = u128::from_be_bytes([0, 0, 0, 0, a, b, c, d, e, f, g, h, i, j, k, l]);
            let mask = u128::from(MAGIC_COOKIE) << 96 | low;
            IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() ^ mask))
        }
    };
    SocketAddr::new(ip, port)
}

/// Reserved byte, family, port, address.
#[inline]
fn read(kind: AttributeType, value: &[u8]) -> Result<SocketAddr, AttributeError> {
    match value.get(1) {
        Some(1) => {
            let [_, _, p, q, a, b, c, d] = *exactly(kind, value)?;
            Ok(SocketAddr::new(IpAddr::V4(Ipv4Addr::new(a, b, c, d)), u16::from_be_bytes([p, q])))
        }
        Some(2) => {
            let [_, _, p, q, ip @ ..] = *exactly::<20>(kind, value)?;
            Ok(SocketAddr::new(IpAddr::V6(Ipv6Addr::from(ip)), u16::from_be_bytes([p, q])))
        }
        Some(_) => Err(AttributeError::Value { kind }),
        None => Err(AttributeError::Length { kind, length: value.len() }),
    }
}

#[inline]
fn write(address: SocketAddr, value: &mut Value<'_>) -> Result<(), BufferFull> {
    let [p, q] = address.port().to_be_bytes();
    match address.ip() {
        IpAddr::V4(ip) => {
            value.put(&[0, 1, p, q])?;
            value.put(&ip.octets())
        }
        IpAddr::V6(ip) => {
            value.put(&[0, 2, p, q])?;
            value.put(&ip.octets())
        }
    }
}
