//! Attributes that hold names and other opaque text.

use std::fmt;

use super::{Attribute, AttributeError, AttributeType, Encode, Value, exactly};
use crate::header::TransactionId;
use crate::writer::BufferFull;

macro_rules! text {
    ($(#[$doc:meta])* $name:ident, $kind:expr, $longest:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash)]
        pub struct $name<'a>(pub &'a [u8]);

        impl $name<'_> {
            /// The longest value that is read, in bytes.
            pub const MAX_LEN: usize = $longest;
        }

        impl<'a> Attribute<'a> for $name<'a> {
            const TYPE: AttributeType = $kind;

            #[inline]
            fn decode(value: &'a [u8], _: &TransactionId) -> Result<Self, AttributeError> {
                if value.len() > Self::MAX_LEN {
                    return Err(AttributeError::Length { kind: $kind, length: value.len() });
                }
                Ok(Self(value))
            }
        }

        impl Encode for $name<'_> {
            const TYPE: AttributeType = $kind;

            #[inline]
            fn encode(&self, value: &mut Value<'_>) -> Result<(), BufferFull> {
                value.put(self.0)
            }
        }

        /// Escaped: the bytes are the sender's.
        impl fmt::Debug for $name<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}(\"{}\")", stringify!($name), self.0.escape_ascii())
            }
        }
    };
}

text! {
    /// Who the client says it is (RFC 8489 section 14.3).
    Username, AttributeType::USERNAME, 508
}
text! {
    /// The realm of the credentials (RFC 8489 section 14.9).
    Realm, AttributeType::REALM, 763
}
text! {
    /// The server's nonce (RFC 8489 section 14.10).
    Nonce, AttributeType::NONCE, 763
}
text! {
    /// The sender's software (RFC 8489 section 14.14).
    Software, AttributeType::SOFTWARE, 763
}
text! {
    /// The domain of an alternate server (RFC 8489 section 14.16).
    AlternateDomain, AttributeType::ALTERNATE_DOMAIN, 255
}

/// Who the client says it is, hashed with the realm (RFC 8489 section 14.4): see
/// [`userhash`](crate::userhash).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Userhash(pub [u8; 32]);

impl Attribute<'_> for Userhash {
    const TYPE: AttributeType = AttributeType::USERHASH;

    fn decode(value: &[u8], _: &TransactionId) -> Result<Self, AttributeError> {
        exactly(AttributeType::USERHASH, value).copied().map(Self)
    }
}

impl Encode for Userhash {
    const TYPE: AttributeType = AttributeType::USERHASH;

    fn encode(&self, value: &mut Value<'_>) -> Result<(), BufferFull> {
        value.put(&self.0)
    }
}
