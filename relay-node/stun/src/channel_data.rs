//! ChannelData messages (RFC 8656 sections 12.4 to 12.7).

use std::fmt;

use thiserror::Error;

use crate::attribute::ChannelNumber;

/// Bytes in front of a ChannelData message's payload.
pub const CHANNEL_HEADER_LEN: usize = 4;

/// A ChannelData message, borrowed from a packet.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ChannelData<'a> {
    /// The channel.
    pub channel: ChannelNumber,
    /// What goes to or came from the peer; may be empty.
    pub payload: &'a [u8],
}

/// Why a packet is not a ChannelData message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ChannelDataError {
    /// Shorter than its header, or than the payload that the header states.
    #[error("the packet is shorter than the ChannelData message that it starts with")]
    Truncated,
    /// Not a channel that can be bound.
    #[error("{0:#06x} is not a channel number between 0x4000 and 0x4FFF")]
    Channel(u16),
}

impl<'a> ChannelData<'a> {
    /// Reads a datagram, or a frame of a stream.
    ///
    /// Bytes behind the payload are left alone: a datagram may be padded (section 12.5).
    ///
    /// # Errors
    /// [`ChannelDataError`] says what does not fit.
    #[inline]
    pub fn parse(packet: &'a [u8]) -> Result<Self, ChannelDataError> {
        let Some(([a, b, c, d], rest)) = packet.split_first_chunk() else {
            return Err(ChannelDataError::Truncated);
        };
        let number = u16::from_be_bytes([*a, *b]);
        let channel = ChannelNumber::new(number).ok_or(ChannelDataError::Channel(number))?;
        let length = usize::from(u16::from_be_bytes([*c, *d]));
        let payload = rest.get(..length).ok_or(ChannelDataError::Truncated)?;
        Ok(Self { channel, payload })
    }
}

/// The payload's length alone: what is relayed is nobody's business.
impl fmt::Debug for ChannelData<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ChannelData({:?}, {} bytes)", self.channel, self.payload.len())
    }
}

/// Writes the header of a ChannelData message into the four bytes in front of its payload.
#[inline]
pub fn write_channel_header(header: &mut [u8; CHANNEL_HEADER_LEN], channel: ChannelNumber, payload_len: u16) {
    let [a, b] = channel.get().to_be_bytes();
    let [c, d] = payload_len.to_be_bytes();
    *header = [a, b, c, d];
}
