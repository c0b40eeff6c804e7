//! A received message whose framing has been checked.

use thiserror::Error;

use crate::attribute::{Attribute, AttributeError, AttributeType, Attributes, UnknownAttributes};
use crate::header::{Class, HEADER_LEN, MAGIC_COOKIE, Method, TransactionId, class_of, method_of};
use crate::padded;

/// A STUN message, borrowed from a packet.
///
/// Header and attribute lengths hold; what is inside the attributes is checked where it is read.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    header: &'a [u8; HEADER_LEN],
    bytes: &'a [u8],
}

/// Why a packet is not a STUN message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum MessageError {
    /// Fewer bytes than a header has.
    #[error("the packet is shorter than a STUN header of 20 bytes")]
    Truncated,
    /// The first two bits are not zero.
    #[error("the packet does not start with two zero bits as a STUN message does")]
    NotStun,
    /// The stated length is no multiple of four.
    #[error("the message length {0} is not a multiple of 4")]
    Unaligned(u16),
    /// The stated length is not that of the packet.
    #[error("the header states {stated} bytes of attributes but {actual} are there")]
    Length {
        /// Bytes after the header, as the header says.
        stated: u16,
        /// Bytes after the header, as they came.
        actual: usize,
    },
    /// An attribute is longer than what is left of the message.
    #[error("an attribute runs past the end of the message")]
    AttributeOverrun,
}

impl<'a> Message<'a> {
    /// Checks that `bytes` is exactly one STUN message (RFC 8489 sections 5 and 14).
    ///
    /// The magic cookie is not asked for, so that RFC 3489 clients can be answered: see
    /// [`Self::is_classic`].
    ///
    /// # Errors
    /// [`MessageError`] says what does not fit.
    #[inline]
    pub fn parse(bytes: &'a [u8]) -> Result<Self, MessageError> {
        let Some((header, mut rest)) = bytes.split_first_chunk::<HEADER_LEN>() else {
            return Err(MessageError::Truncated);
        };
        if header[0] & 0xC0 != 0 {
            return Err(MessageError::NotStun);
        }
        let stated = u16::from_be_bytes([header[2], header[3]]);
        if stated % 4 != 0 {
            return Err(MessageError::Unaligned(stated));
        }
        if usize::from(stated) != rest.len() {
            return Err(MessageError::Length { stated, actual: rest.len() });
        }
        // The length is a multiple of four and so is every step: nothing is left over.
        while let Some((head, after)) = rest.split_first_chunk::<4>() {
            let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
            rest = after.get(padded(length)..).ok_or(MessageError::AttributeOverrun)?;
        }
        Ok(Self { header, bytes })
    }

    /// The message as it came.
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The class.
    #[inline]
    pub const fn class(&self) -> Class {
        class_of(self.message_type())
    }

    /// The method.
    #[inline]
    pub const fn method(&self) -> Method {
        method_of(self.message_type())
    }

    /// The transaction, without what a classic message has in place of the magic cookie.
    #[inline]
    pub const fn transaction_id(&self) -> TransactionId {
        let [_, _, _, _, _, _, _, _, id @ ..] = *self.header;
        TransactionId::new(id)
    }

    /// Whether the magic cookie is missing, as in a message of an RFC 3489 client.
    #[inline]
    pub const fn is_classic(&self) -> bool {
        u32::from_be_bytes(self.classic_cookie()) != MAGIC_COOKIE
    }

    /// Bytes 4 to 7 as they came: a classic answer repeats them.
    #[inline]
    pub const fn classic_cookie(&self) -> [u8; 4] {
        [self.header[4], self.header[5], self.header[6], self.header[7]]
    }

    /// The attributes that count, in their order.
    ///
    /// After MESSAGE-INTEGRITY only MESSAGE-INTEGRITY-SHA256 and FINGERPRINT do, after
    /// MESSAGE-INTEGRITY-SHA256 only FINGERPRINT (RFC 8489 sections 14.5 and 14.6): what follows is
    /// covered by no integrity check.
    #[inline]
    pub fn attributes(&self) -> Attributes<'a> {
        Attributes::new(self.bytes.get(HEADER_LEN..).unwrap_or_default())
    }

    /// The value of the first attribute of type `kind`.
    #[inline]
    pub fn raw(&self, kind: AttributeType) -> Option<&'a [u8]> {
        self.attributes().find(|attribute| attribute.kind == kind).map(|attribute| attribute.value)
    }

    /// Whether there is an attribute of type `kind`.
    #[inline]
    pub fn has(&self, kind: AttributeType) -> bool {
        self.raw(kind).is_some()
    }

    /// The first attribute of a type, decoded.
    ///
    /// # Errors
    /// When it is there but its value is not what the RFC says.
    #[inline]
    pub fn get<A: Attribute<'a>>(&self) -> Result<Option<A>, AttributeError> {
        self.raw(A::TYPE).map(|value| A::decode(value, &self.transaction_id())).transpose()
    }

    /// All attributes of a type, decoded, in their order.
    pub fn all<A: Attribute<'a>>(&self) -> impl Iterator<Item = Result<A, AttributeError>> + use<'a, A> {
        let id = self.transaction_id();
        self.attributes()
            .filter(|attribute| attribute.kind == A::TYPE)
            .map(move |attribute| A::decode(attribute.value, &id))
    }

    /// The comprehension-required types that are not in `known`, for a 420 answer
    /// (RFC 8489 section 6.3.1).
    ///
    /// The two MESSAGE-INTEGRITY types are always known.
    pub fn unknown_required(&self, known: &[AttributeType]) -> UnknownAttributes {
        let mut unknown = UnknownAttributes::default();
        for attribute in self.attributes() {
            let kind = attribute.kind;
            let own = [AttributeType::MESSAGE_INTEGRITY, AttributeType::MESSAGE_INTEGRITY_SHA256];
            if kind.is_required() && !own.contains(&kind) && !known.contains(&kind) {
                unknown.insert(kind);
            }
        }
        unknown
    }

    /// The first two bytes of the header.
    const fn message_type(&self) -> u16 {
        u16::from_be_bytes([self.header[0], self.header[1]])
    }
}
