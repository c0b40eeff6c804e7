//! MESSAGE-INTEGRITY and MESSAGE-INTEGRITY-SHA256 (RFC 8489 sections 14.5 and 14.6).

use hmac::digest::KeyInit;
use hmac::{Hmac, Mac};
use sha1::Sha1;
use sha2::Sha256;
use thiserror::Error;

use crate::attribute::{ATTRIBUTE_HEADER_LEN, AttributeType};
use crate::header::HEADER_LEN;
use crate::key::Key;
use crate::message::Message;
use crate::padded;

/// Bytes in MESSAGE-INTEGRITY.
pub(crate) const SHA1_LEN: usize = 20;
/// Bytes in MESSAGE-INTEGRITY-SHA256 when it is not truncated.
pub(crate) const SHA256_LEN: usize = 32;
/// Bytes in MESSAGE-INTEGRITY-SHA256 at least.
const SHA256_SHORTEST: usize = 16;

/// Which integrity attributes a message has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IntegrityKind {
    /// MESSAGE-INTEGRITY.
    Sha1,
    /// MESSAGE-INTEGRITY-SHA256.
    Sha256,
    /// Both.
    Both,
}

/// Why a message's integrity could not be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum IntegrityError {
    /// The attribute is not there.
    #[error("the message has no such integrity attribute")]
    Missing,
    /// The attribute's length is not one that the RFC allows.
    #[error("the integrity attribute has a length that is not allowed")]
    BadLength,
    /// Another key, or a changed message.
    #[error("the message was not made with this key")]
    Mismatch,
}

impl Message<'_> {
    /// Which integrity attributes there are.
    pub fn integrity(&self) -> Option<IntegrityKind> {
        let sha1 = self.has(AttributeType::MESSAGE_INTEGRITY);
        let sha256 = self.has(AttributeType::MESSAGE_INTEGRITY_SHA256);
        match (sha1, sha256) {
            (true, true) => Some(IntegrityKind::Both),
            (true, false) => Some(IntegrityKind::Sha1),
            (false, true) => Some(IntegrityKind::Sha256),
            (false, false) => None,
        }
    }

    /// Checks MESSAGE-INTEGRITY in constant time.
    ///
    /// # Errors
    /// When it is missing, misshapen or not made with `key`.
    pub fn verify_sha1(&self, key: &Key) -> Result<(), IntegrityError> {
        let (covered, code) = self.covered(AttributeType::MESSAGE_INTEGRITY)?;
        if code.len() != SHA1_LEN {
            return Err(IntegrityError::BadLength);
        }
        let length = length_through(covered, code);
        sha1(key, covered, length).verify_slice(code).map_err(|_| IntegrityError::Mismatch)
    }

    /// Checks MESSAGE-INTEGRITY-SHA256, truncated or not, in constant time.
    ///
    /// # Errors
    /// When it is missing, misshapen or not made with `key`.
    pub fn verify_sha256(&self, key: &Key) -> Result<(), IntegrityError> {
        let (covered, code) = self.covered(AttributeType::MESSAGE_INTEGRITY_SHA256)?;
        if !(SHA256_SHORTEST..=SHA256_LEN).contains(&code.len()) || code.len() % 4 != 0 {
            return Err(IntegrityError::BadLength);
        }
        let length = length_through(covered, code);
        sha256(key, covered, length).verify_truncated_left(code).map_err(|_| IntegrityError::Mismatch)
    }

    /// The message in front of the first attribute of type `kind`, and that attribute's value.
    fn covered(&self, kind: AttributeType) -> Result<(&[u8], &[u8]), IntegrityError> {
        let mut attributes = self.attributes();
        let code = attributes.find(|attribute| attribute.kind == kind).ok_or(IntegrityError::Missing)?.value;
        let behind = attributes.remaining() + padded(code.len()) + ATTRIBUTE_HEADER_LEN;
        let covered = self.bytes().len().checked_sub(behind).and_then(|end| self.bytes().get(..end));
        Ok((covered.ok_or(IntegrityError::Missing)?, code))
    }
}

/// HMAC-SHA1 over `covered`, whose header counts `length` bytes.
pub(crate) fn sha1(key: &Key, covered: &[u8], length: u16) -> Hmac<Sha1> {
    feed(Hmac::new(&key.sha1_block().into()), covered, length)
}

/// HMAC-SHA256 over `covered`, whose header counts `length` bytes.
pub(crate) fn sha256(key: &Key, covered: &[u8], length: u16) -> Hmac<Sha256> {
    feed(Hmac::new(&key.sha256_block().into()), covered, length)
}

/// The header's length field stands for a message that ends with the integrity attribute, whatever
/// follows it.
fn feed<M: Mac>(mut mac: M, covered: &[u8], length: u16) -> M {
    if let Some(([a, b, _, _], rest)) = covered.split_first_chunk() {
        let [high, low] = length.to_be_bytes();
        mac.update(&[*a, *b, high, low]);
        mac.update(rest);
    }
    mac
}

/// The header's length field if the message ended after `code`, which comes after `covered`.
fn length_through(covered: &[u8], code: &[u8]) -> u16 {
    // Part of a message, whose length is a u16.
    (covered.len() + ATTRIBUTE_HEADER_LEN + code.len()).saturating_sub(HEADER_LEN) as u16
}
