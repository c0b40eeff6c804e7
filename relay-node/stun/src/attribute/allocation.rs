//! What a client asks of an allocation, and what it is given (RFC 8656 section 18).

use std::net::IpAddr;

use super::{Attribute, AttributeError, AttributeType, Encode, Value, exactly};
use crate::header::TransactionId;
use crate::writer::BufferFull;

/// How long an allocation lives without a refresh, in seconds (section 18.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lifetime(pub u32);

impl Attribute<'_> for Lifetime {
    const TYPE: AttributeType = AttributeType::LIFETIME;

    fn decode(value: &[u8], _: &TransactionId) -> Result<Self, AttributeError> {
        exactly(AttributeType::LIFETIME, value).map(|seconds| Self(u32::from_be_bytes(*seconds)))
    }
}

impl Encode for Lifetime {
    const TYPE: AttributeType = AttributeType::LIFETIME;

    fn encode(&self, value: &mut Value<'_>) -> Result<(), BufferFull> {
        value.put(&self.0.to_be_bytes())
    }
}

/// An address family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AddressFamily {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl AddressFamily {
    /// Both, IPv4 first.
    pub const BOTH: [Self; 2] = [Self::V4, Self::V6];

    /// The family of an address.
    pub const fn of(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }

    /// The other one.
    pub const fn other(self) -> Self {
        match self {
            Self::V4 => Self::V6,
            Self::V6 => Self::V4,
        }
    }

    /// The number (RFC 8489 section 14.1).
    pub const fn code(self) -> u8 {
        match self {
            Self::V4 => 1,
            Self::V6 => 2,
        }
    }

    /// The family with a number; there are no others.
    pub const fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::V4),
            2 => Some(Self::V6),
            _ => None,
        }
    }
}

macro_rules! family {
    ($(#[$doc:meta])* $name:ident, $kind:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub struct $name(pub AddressFamily);

        impl Attribute<'_> for $name {
            const TYPE: AttributeType = $kind;

            fn decode(value: &[u8], _: &TransactionId) -> Result<Self, AttributeError> {
                let [family, _, _, _] = *exactly($kind, value)?;
                AddressFamily::from_code(family).map(Self).ok_or(AttributeError::Value { kind: $kind })
            }
        }

        impl Encode for $name {
            const TYPE: AttributeType = $kind;

            fn encode(&self, value: &mut Value<'_>) -> Result<(), BufferFull> {
                value.put(&[self.0.code(), 0, 0, 0])
            }
        }
    };
}

family! {
    /// The one family that a relayed address is wanted in (section 18.6). A family that does not exist is
    /// [`AttributeError::Value`].
    RequestedAddressFamily, AttributeType::REQUESTED_ADDRESS_FAMILY
}
family! {
    /// The family of a second relayed address (section 18.11). A family that does not exist is
    /// [`AttributeError::Value`].
    AdditionalAddressFamily, AttributeType::ADDITIONAL_ADDRESS_FAMILY
}

/// A relayed address with an even port is wanted (section 18.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EvenPort {
    /// The port above is to be kept for later.
    pub reserve_next: bool,
}

impl Attribute<'_> for EvenPort {
    const TYPE: AttributeType = AttributeType::EVEN_PORT;

    fn decode(value: &[u8], _: &TransactionId) -> Result<Self, AttributeError> {
        let [bits] = *exactly(AttributeType::EVEN_PORT, value)?;
        Ok(Self { reserve_next: bits & 0x80 != 0 })
    }
}

impl Encode for EvenPort {
    const TYPE: AttributeType = AttributeType::EVEN_PORT;

    fn encode(&self, value: &mut Value<'_>) -> Result<(), BufferFull> {
        value.put(&[u8::from(self.reserve_next) << 7])
    }
}

/// The transport protocol of a relayed address, by its number in IP (section 18.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RequestedTransport(pub u8);

impl RequestedTransport {
    /// UDP.
    pub const UDP: Self = Self(17);
    /// TCP (RFC 6062).
    pub const TCP: Self = Self(6);
}

impl Attribute<'_> for RequestedTransport {
    const TYPE: AttributeType = AttributeType::REQUESTED_TRANSPORT;

    fn decode(value: &[u8], _: &TransactionId) -> Result<Self, AttributeError> {
        let [protocol, _, _, _] = *exactly(AttributeType::REQUESTED_TRANSPORT, value)?;
        Ok(Self(protocol))
    }
}

impl Encode for RequestedTransport {
    const TYPE: AttributeType = AttributeType::REQUESTED_TRANSPORT;

    fn encode(&self, value: &mut Value<'_>) -> Result<(), BufferFull> {
        value.put(&[self.0, 0, 0, 0])
    }
}

/// The relay is to set the DF bit towards the peer (section 18.9).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DontFragment;

impl Attribute<'_> for DontFragment {
    const TYPE: AttributeType = AttributeType::DONT_FRAGMENT;

    fn decode(value: &[u8], _: &TransactionId) -> Result<Self, AttributeError> {
        exactly::<0>(AttributeType::DONT_FRAGMENT, value).map(|_| Self)
    }
}

impl Encode for DontFragment {
    const TYPE: AttributeType = AttributeType::DONT_FRAGMENT;

    fn encode(&self, _: &mut Value<'_>) -> Result<(), BufferFull> {
        Ok(())
    }
}

/// What a client shows to get a port that was kept for it (section 18.10).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ReservationToken(pub [u8; 8]);

/// Redacted: who knows the token can take the port.
impl std::fmt::Debug for ReservationToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ReservationToken(..)")
    }
}

impl Attribute<'_> for ReservationToken {
    const TYPE: AttributeType = AttributeType::RESERVATION_TOKEN;

    fn decode(value: &[u8], _: &TransactionId) -> Result<Self, AttributeError> {
        exactly(AttributeType::RESERVATION_TOKEN, value).copied().map(Self)
    }
}

impl Encode for ReservationToken {
    const TYPE: AttributeType = AttributeType::RESERVATION_TOKEN;

    fn encode(&self, value: &mut Value<'_>) -> Result<(), BufferFull> {
        value.put(&self.0)
    }
}
