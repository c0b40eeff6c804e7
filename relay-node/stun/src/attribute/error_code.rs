//! ERROR-CODE and ADDRESS-ERROR-CODE.

use super::{AddressFamily, Attribute, AttributeError, AttributeType, Encode, Value};
use crate::header::TransactionId;
use crate::padded;
use crate::writer::BufferFull;

/// Longest reason phrase that is read, in bytes (RFC 8489 section 14.8).
const LONGEST_REASON: usize = 763;

/// Why a request was refused (RFC 8489 section 14.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ErrorCode<'a> {
    /// 300 to 699. A code outside is written as the nearest inside.
    pub code: u16,
    /// For a person.
    pub reason: &'a str,
}

impl<'a> Attribute<'a> for ErrorCode<'a> {
    const TYPE: AttributeType = AttributeType::ERROR_CODE;

    fn decode(value: &'a [u8], _: &TransactionId) -> Result<Self, AttributeError> {
        let (_, code, reason) = read(AttributeType::ERROR_CODE, value)?;
        Ok(Self { code, reason })
    }
}

impl Encode for ErrorCode<'_> {
    const TYPE: AttributeType = AttributeType::ERROR_CODE;

    fn encode(&self, value: &mut Value<'_>) -> Result<(), BufferFull> {
        write(0, self.code, self.reason, value)
    }
}

/// Why one of two asked-for address families could not be had (RFC 8656 section 18.12).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressErrorCode<'a> {
    /// Which family.
    pub family: AddressFamily,
    /// 300 to 699. A code outside is written as the nearest inside.
    pub code: u16,
    /// For a person.
    pub reason: &'a str,
}

impl<'a> Attribute<'a> for AddressErrorCode<'a> {
    const TYPE: AttributeType = AttributeType::ADDRESS_ERROR_CODE;

    fn decode(value: &'a [u8], _: &TransactionId) -> Result<Self, AttributeError> {
        let kind = AttributeType::ADDRESS_ERROR_CODE;
        let (family, code, reason) = read(kind, value)?;
        let family = AddressFamily::from_code(family).ok_or(AttributeError::Value { kind })?;
        Ok(Self { family, code, reason })
    }
}

impl Encode for AddressErrorCode<'_> {
    const TYPE: AttributeType = AttributeType::ADDRESS_ERROR_CODE;

    fn encode(&self, value: &mut Value<'_>) -> Result<(), BufferFull> {
        write(self.family.code(), self.code, self.reason, value)
    }
}

/// First byte, code, reason.
fn read(kind: AttributeType, value: &[u8]) -> Result<(u8, u16, &str), AttributeError> {
    let Some(([first, _, class, number], reason)) = value.split_first_chunk() else {
        return Err(AttributeError::Length { kind, length: value.len() });
    };
    if reason.len() > LONGEST_REASON {
        return Err(AttributeError::Length { kind, length: value.len() });
    }
    let class = class & 0b111;
    if !(3..=6).contains(&class) || *number > 99 {
        return Err(AttributeError::Value { kind });
    }
    let reason = str::from_utf8(reason).map_err(|_| AttributeError::Value { kind })?;
    Ok((*first, u16::from(class) * 100 + u16::from(*number), reason))
}

fn write(first: u8, code: u16, reason: &str, value: &mut Value<'_>) -> Result<(), BufferFull> {
    let code = code.clamp(300, 699);
    value.put(&[first, 0, (code / 100) as u8, (code % 100) as u8])?;
    value.put(reason.as_bytes())?;
    // RFC 3489 section 11.2.9: the phrase itself fills a multiple of four bytes.
    let spaces = if value.is_classic() { padded(reason.len()) - reason.len() } else { 0 };
    value.put(b"   ".get(..spaces).unwrap_or_default())
}
