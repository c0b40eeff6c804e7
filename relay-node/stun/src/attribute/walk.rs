//! Going through a message's attributes.

use super::AttributeType;
use crate::padded;

/// Bytes in front of an attribute's value.
pub(crate) const ATTRIBUTE_HEADER_LEN: usize = 4;

/// An attribute as it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawAttribute<'a> {
    /// Its type.
    pub kind: AttributeType,
    /// Its value, without padding.
    pub value: &'a [u8],
}

/// The attributes of a message that count, in their order.
#[derive(Clone, Debug)]
pub struct Attributes<'a> {
    rest: &'a [u8],
    seen: Seen,
}

/// Which integrity attribute has gone by, and so what still counts.
#[derive(Clone, Copy, Debug)]
enum Seen {
    None,
    Sha1,
    Sha256,
}

impl<'a> Attributes<'a> {
    /// `rest` is the message after its header, its lengths checked.
    #[inline]
    pub(crate) fn new(rest: &'a [u8]) -> Self {
        Self { rest, seen: Seen::None }
    }

    /// Bytes after the attribute that came last.
    #[inline]
    pub(crate) fn remaining(&self) -> usize {
        self.rest.len()
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = RawAttribute<'a>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (head, after) = self.rest.split_first_chunk::<ATTRIBUTE_HEADER_LEN>()?;
            let kind = AttributeType(u16::from_be_bytes([head[0], head[1]]));
            let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
            let value = after.get(..length)?;
            self.rest = after.get(padded(length)..)?;
            // RFC 8489 sections 14.5 and 14.6: nothing else that follows may be trusted.
            let counts = match self.seen {
                Seen::None => true,
                Seen::Sha1 => {
                    matches!(kind, AttributeType::MESSAGE_INTEGRITY_SHA256 | AttributeType::FINGERPRINT)
                }
                Seen::Sha256 => kind == AttributeType::FINGERPRINT,
            };
            if !counts {
                continue;
            }
            match kind {
                AttributeType::MESSAGE_INTEGRITY => self.seen = Seen::Sha1,
                AttributeType::MESSAGE_INTEGRITY_SHA256 => self.seen = Seen::Sha256,
                _ => {}
            }
            return Some(RawAttribute { kind, value });
        }
    }
}
