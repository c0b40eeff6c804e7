//! UNKNOWN-ATTRIBUTES.

use super::{Attribute, AttributeError, AttributeType, Encode, Value};
use crate::header::TransactionId;
use crate::writer::BufferFull;

/// How many types one list holds: a request cannot make its answer long.
const CAPACITY: usize = 16;

/// The comprehension-required types that a server did not know (RFC 8489 section 14.13): the first
/// 16, each once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UnknownAttributes {
    types: [AttributeType; CAPACITY],
    len: usize,
}

impl UnknownAttributes {
    /// Adds a type if there is room and it is not there.
    pub fn insert(&mut self, kind: AttributeType) {
        if self.as_slice().contains(&kind) {
            return;
        }
        if let Some(free) = self.types.get_mut(self.len) {
            *free = kind;
            self.len += 1;
        }
    }

    /// The types, in the order in which they came.
    pub fn as_slice(&self) -> &[AttributeType] {
        self.types.get(..self.len).unwrap_or_default()
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl Attribute<'_> for UnknownAttributes {
    const TYPE: AttributeType = AttributeType::UNKNOWN_ATTRIBUTES;

    fn decode(value: &[u8], _: &TransactionId) -> Result<Self, AttributeError> {
        let (types, odd) = value.as_chunks::<2>();
        if !odd.is_empty() {
            return Err(AttributeError::Length { kind: <Self as Attribute<'_>>::TYPE, length: value.len() });
        }
        let mut unknown = Self::default();
        for kind in types {
            unknown.insert(AttributeType(u16::from_be_bytes(*kind)));
        }
        Ok(unknown)
    }
}

impl Encode for UnknownAttributes {
    const TYPE: AttributeType = AttributeType::UNKNOWN_ATTRIBUTES;

    fn encode(&self, value: &mut Value<'_>) -> Result<(), BufferFull> {
        let types = self.as_slice();
        for kind in types {
            value.put(&kind.0.to_be_bytes())?;
        }
        // RFC 3489 section 11.2.10: an odd list repeats one type, since there is no padding.
        match types.last() {
            Some(last) if value.is_classic() && types.len() % 2 == 1 => value.put(&last.0.to_be_bytes()),
            _ => Ok(()),
        }
    }
}
