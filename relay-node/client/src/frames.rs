//! Finding packets in a stream.

use stun::stream::{Frame, next_frame};
use thiserror::Error;

/// What was received of a stream and not taken yet (RFC 8489 section 6.2.2, RFC 8656 section 12.5).
#[derive(Clone, Debug, Default)]
pub struct Frames {
    received: Vec<u8>,
    taken: usize,
}

/// The stream holds what is neither STUN nor ChannelData: it is of no more use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the stream holds what is neither a STUN message nor ChannelData")]
pub struct NoFrame;

impl Frames {
    /// Adds what was received.
    pub fn push(&mut self, bytes: &[u8]) {
        self.received.drain(..self.taken);
        self.taken = 0;
        self.received.extend_from_slice(bytes);
    }

    /// Takes the next packet, without the padding behind it, once it is whole.
    ///
    /// # Errors
    /// [`NoFrame`], from then on.
    pub fn next_packet(&mut self) -> Result<Option<&[u8]>, NoFrame> {
        let rest = self.received.get(self.taken..).unwrap_or_default();
        match next_frame(rest) {
            Frame::Complete { len, message } => {
                self.taken += len;
                Ok(rest.get(..message))
            }
            Frame::Incomplete => Ok(None),
            Frame::Invalid => Err(NoFrame),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Path, channel_data};

    #[test]
    fn packets_come_out_however_the_stream_was_cut() {
        let sent = [channel_data(0x4000, b"one", Path::Stream), channel_data(0x4001, b"four", Path::Stream)];
        let stream = sent.concat();
        for cut in 0..=stream.len() {
            let mut frames = Frames::default();
            let mut packets = Vec::new();
            for part in [&stream[..cut], &stream[cut..]] {
                frames.push(part);
                while let Some(packet) = frames.next_packet().unwrap() {
                    packets.push(packet.to_vec());
                }
            }
            assert_eq!(packets, [b"\x40\x00\x00\x03one".to_vec(), b"\x40\x01\x00\x04four".to_vec()], "{cut}");
        }
    }

    #[test]
    fn what_is_no_packet_ends_the_stream() {
        let mut frames = Frames::default();
        frames.push(b"\x15\x03\x03\x00\x02\x02\x32\x00");
        assert_eq!(frames.next_packet(), Err(NoFrame), "a TLS alert");
        frames.push(b"more");
        assert_eq!(frames.next_packet(), Err(NoFrame));
    }
}
