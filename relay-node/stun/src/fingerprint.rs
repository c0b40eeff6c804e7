//! FINGERPRINT (RFC 8489 section 14.7).

use crate::attribute::{ATTRIBUTE_HEADER_LEN, AttributeType};
use crate::message::Message;

/// Bytes in FINGERPRINT.
pub(crate) const FINGERPRINT_LEN: usize = 4;

/// What lies over the CRC: "STUN".
const MASK: u32 = 0x5354_554E;

/// What a message's FINGERPRINT says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fingerprint {
    /// There is none.
    Absent,
    /// It is right.
    Valid,
    /// It is wrong, misshapen or not the last attribute.
    Invalid,
}

impl Message<'_> {
    /// Checks FINGERPRINT.
    pub fn fingerprint(&self) -> Fingerprint {
        let mut attributes = self.attributes();
        let Some(found) = attributes.find(|attribute| attribute.kind == AttributeType::FINGERPRINT) else {
            return Fingerprint::Absent;
        };
        let last = attributes.remaining() == 0;
        match (self.bytes().split_last_chunk::<{ ATTRIBUTE_HEADER_LEN + FINGERPRINT_LEN }>(), found.value) {
            (Some((covered, _)), value) if last && value == of(covered) => Fingerprint::Valid,
            _ => Fingerprint::Invalid,
        }
    }
}

/// The FINGERPRINT behind `covered`, whose header counts it already.
pub(crate) fn of(covered: &[u8]) -> [u8; FINGERPRINT_LEN] {
    (crc32fast::hash(covered) ^ MASK).to_be_bytes()
}
