//! PASSWORD-ALGORITHM and PASSWORD-ALGORITHMS.

use super::{Attribute, AttributeError, AttributeType, Encode, Value};
use crate::header::TransactionId;
use crate::padded;
use crate::writer::BufferFull;

/// How a password becomes a key (RFC 8489 section 18.5), and the attribute in which a client names
/// its choice (section 14.12).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PasswordAlgorithm {
    /// MD5 over `user:realm:password`.
    Md5,
    /// SHA-256 over `user:realm:password`.
    Sha256,
    /// One that this codec has no key derivation for.
    Other(u16),
}

impl PasswordAlgorithm {
    /// The number in the registry.
    pub const fn code(self) -> u16 {
        match self {
            Self::Md5 => 1,
            Self::Sha256 => 2,
            Self::Other(code) => code,
        }
    }

    /// The algorithm with a number.
    pub const fn from_code(code: u16) -> Self {
        match code {
            1 => Self::Md5,
            2 => Self::Sha256,
            _ => Self::Other(code),
        }
    }
}

impl Attribute<'_> for PasswordAlgorithm {
    const TYPE: AttributeType = AttributeType::PASSWORD_ALGORITHM;

    fn decode(value: &[u8], _: &TransactionId) -> Result<Self, AttributeError> {
        match split(AttributeType::PASSWORD_ALGORITHM, value)? {
            (algorithm, []) => Ok(algorithm),
            _ => Err(AttributeError::Length { kind: AttributeType::PASSWORD_ALGORITHM, length: value.len() }),
        }
    }
}

impl Encode for PasswordAlgorithm {
    const TYPE: AttributeType = AttributeType::PASSWORD_ALGORITHM;

    /// Without parameters: neither MD5 nor SHA-256 has any.
    fn encode(&self, value: &mut Value<'_>) -> Result<(), BufferFull> {
        value.put(&self.code().to_be_bytes())?;
        value.put(&[0, 0])
    }
}

/// What a server offers, best first, and what a client repeats (RFC 8489 section 14.11).
///
/// Two lists are equal when they are the same bytes, which is what the bid-down check asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PasswordAlgorithms<'a>(&'a [u8]);

impl<'a> PasswordAlgorithms<'a> {
    /// SHA-256, then MD5.
    pub const SHA256_MD5: PasswordAlgorithms<'static> = PasswordAlgorithms(&[0, 2, 0, 0, 0, 1, 0, 0]);

    /// The list on the wire.
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.0
    }

    /// The algorithms, in their order.
    pub fn iter(&self) -> impl Iterator<Item = PasswordAlgorithm> + use<'a> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            let (algorithm, after) = split(AttributeType::PASSWORD_ALGORITHMS, rest).ok()?;
            rest = after;
            Some(algorithm)
        })
    }
}

impl<'a> Attribute<'a> for PasswordAlgorithms<'a> {
    const TYPE: AttributeType = AttributeType::PASSWORD_ALGORITHMS;

    fn decode(value: &'a [u8], _: &TransactionId) -> Result<Self, AttributeError> {
        let mut rest = value;
        while !rest.is_empty() {
            (_, rest) = split(AttributeType::PASSWORD_ALGORITHMS, rest)?;
        }
        Ok(Self(value))
    }
}

impl Encode for PasswordAlgorithms<'_> {
    const TYPE: AttributeType = AttributeType::PASSWORD_ALGORITHMS;

    fn encode(&self, value: &mut Value<'_>) -> Result<(), BufferFull> {
        value.put(self.0)
    }
}

/// The first entry: number, length of the parameters, parameters padded to a multiple of four. The
/// last one's padding may be left out, as it is the attribute's own.
fn split(kind: AttributeType, list: &[u8]) -> Result<(PasswordAlgorithm, &[u8]), AttributeError> {
    let wrong_length = AttributeError::Length { kind, length: list.len() };
    let ([a, b, c, d], after) = list.split_first_chunk().ok_or(wrong_length)?;
    let algorithm = PasswordAlgorithm::from_code(u16::from_be_bytes([*a, *b]));
    let length = usize::from(u16::from_be_bytes([*c, *d]));
    let has_parameters = length != 0;
    if has_parameters && !matches!(algorithm, PasswordAlgorithm::Other(_)) {
        return Err(AttributeError::Value { kind });
    }
    if after.len() < length {
        return Err(wrong_length);
    }
    Ok((algorithm, after.get(padded(length)..).unwrap_or_default()))
}
