//! Attributes of the data path: CHANNEL-NUMBER, DATA and ICMP (RFC 8656 section 18).

use std::fmt;

use super::{Attribute, AttributeError, AttributeType, Encode, Value, exactly};
use crate::header::TransactionId;
use crate::writer::BufferFull;

/// A channel's number, 0x4000 to 0x4FFF (sections 12 and 18.1).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChannelNumber(u16);

impl ChannelNumber {
    /// The lowest.
    pub const FIRST: Self = Self(0x4000);
    /// The highest.
    pub const LAST: Self = Self(0x4FFF);

    /// Channel `number`, if RFC 8656 allows it.
    #[inline]
    pub const fn new(number: u16) -> Option<Self> {
        if number >= Self::FIRST.0 && number <= Self::LAST.0 { Some(Self(number)) } else { None }
    }

    /// The number.
    #[inline]
    pub const fn get(self) -> u16 {
        self.0
    }
}

impl fmt::Debug for ChannelNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ChannelNumber({:#06x})", self.0)
    }
}

impl Attribute<'_> for ChannelNumber {
    const TYPE: AttributeType = AttributeType::CHANNEL_NUMBER;

    fn decode(value: &[u8], _: &TransactionId) -> Result<Self, AttributeError> {
        let [high, low, _, _] = *exactly(AttributeType::CHANNEL_NUMBER, value)?;
        Self::new(u16::from_be_bytes([high, low]))
            .ok_or(AttributeError::Value { kind: AttributeType::CHANNEL_NUMBER })
    }
}

impl Encode for ChannelNumber {
    const TYPE: AttributeType = AttributeType::CHANNEL_NUMBER;

    fn encode(&self, value: &mut Value<'_>) -> Result<(), BufferFull> {
        value.put(&self.0.to_be_bytes())?;
        value.put(&[0, 0])
    }
}

/// What goes to or came from a peer (section 18.4); may be empty.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Data<'a>(pub &'a [u8]);

/// The length alone: what is relayed is nobody's business.
impl fmt::Debug for Data<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Data({} bytes)", self.0.len())
    }
}

impl<'a> Attribute<'a> for Data<'a> {
    const TYPE: AttributeType = AttributeType::DATA;

    #[inline]
    fn decode(value: &'a [u8], _: &TransactionId) -> Result<Self, AttributeError> {
        Ok(Self(value))
    }
}

impl Encode for Data<'_> {
    const TYPE: AttributeType = AttributeType::DATA;

    fn encode(&self, value: &mut Value<'_>) -> Result<(), BufferFull> {
        value.put(self.0)
    }
}

/// An ICMP error that came for a relayed packet (section 18.13).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Icmp {
    /// The ICMP type: seven bits on the wire, of which no error needs more.
    pub kind: u8,
    /// The ICMP code.
    pub code: u8,
    /// The next hop's MTU where the error is about one, else zero.
    pub data: [u8; 4],
}

impl Attribute<'_> for Icmp {
    const TYPE: AttributeType = AttributeType::ICMP;

    fn decode(value: &[u8], _: &TransactionId) -> Result<Self, AttributeError> {
        let [_, _, high, code, data @ ..] = *exactly::<8>(AttributeType::ICMP, value)?;
        // Nine bits of code, of which ICMP has eight.
        if high & 1 != 0 {
            return Err(AttributeError::Value { kind: AttributeType::ICMP });
        }
        Ok(Self { kind: high >> 1, code, data })
    }
}

impl Encode for Icmp {
    const TYPE: AttributeType = AttributeType::ICMP;

    fn encode(&self, value: &mut Value<'_>) -> Result<(), BufferFull> {
        value.put(&[0, 0, self.kind << 1, self.code])?;
        value.put(&self.data)
    }
}
