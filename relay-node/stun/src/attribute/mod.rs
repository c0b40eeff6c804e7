//! Attributes: what a message carries (RFC 8489 section 14, RFC 8656 section 18).
//!
//! Each attribute is a small type that decodes from a borrowed value and encodes into a buffer.

mod address;
mod allocation;
mod channel;
mod error_code;
mod kind;
mod password_algorithm;
mod text;
mod unknown;
mod value;
mod walk;

use thiserror::Error;

pub use address::{
    AlternateServer, ChangedAddress, MappedAddress, SourceAddress, XorMappedAddress, XorPeerAddress,
    XorRelayedAddress,
};
pub use allocation::{
    AdditionalAddressFamily, AddressFamily, DontFragment, EvenPort, Lifetime, RequestedAddressFamily,
    RequestedTransport, ReservationToken,
};
pub use channel::{ChannelNumber, Data, Icmp};
pub use error_code::{AddressErrorCode, ErrorCode};
pub use kind::AttributeType;
pub use password_algorithm::{PasswordAlgorithm, PasswordAlgorithms};
pub use text::{AlternateDomain, Nonce, Realm, Software, Userhash, Username};
pub use unknown::UnknownAttributes;
pub use value::Value;
pub(crate) use walk::ATTRIBUTE_HEADER_LEN;
pub use walk::{Attributes, RawAttribute};

use crate::header::TransactionId;
use crate::writer::BufferFull;

/// An attribute that can be read.
pub trait Attribute<'a>: Sized {
    /// Its type.
    const TYPE: AttributeType;

    /// Reads `value`, without padding, of a message of transaction `id`.
    ///
    /// # Errors
    /// When the value is not what the RFC says.
    fn decode(value: &'a [u8], id: &TransactionId) -> Result<Self, AttributeError>;
}

/// An attribute that can be written.
pub trait Encode {
    /// Its type.
    const TYPE: AttributeType;

    /// Writes the value, without padding.
    ///
    /// # Errors
    /// When the buffer ends before the value does.
    fn encode(&self, value: &mut Value<'_>) -> Result<(), BufferFull>;
}

/// Why an attribute's value cannot be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum AttributeError {
    /// Not the length that the type has.
    #[error("attribute {kind} of {length} bytes has the wrong length")]
    Length {
        /// Its type.
        kind: AttributeType,
        /// Its length in bytes.
        length: usize,
    },
    /// A content that the RFC does not allow.
    #[error("attribute {kind} holds a value that is not allowed")]
    Value {
        /// Its type.
        kind: AttributeType,
    },
}

impl AttributeError {
    /// The attribute that it is about.
    pub const fn kind(&self) -> AttributeType {
        match *self {
            Self::Length { kind, .. } | Self::Value { kind } => kind,
        }
    }
}

/// `value` if it has exactly `N` bytes.
fn exactly<const N: usize>(kind: AttributeType, value: &[u8]) -> Result<&[u8; N], AttributeError> {
    value.try_into().map_err(|_| AttributeError::Length { kind, length: value.len() })
}
