//! Finding messages in a byte stream (RFC 8489 section 6.2.2, RFC 8656 section 12.5).

use crate::channel_data::CHANNEL_HEADER_LEN;
use crate::header::{HEADER_LEN, Kind, MAGIC_COOKIE};
use crate::padded;

/// What the bytes received so far start with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame {
    /// A part of a message: more bytes are wanted.
    Incomplete,
    /// A whole message, with its padding.
    Complete {
        /// Bytes that it takes in the stream.
        len: usize,
        /// Bytes of these without the padding behind ChannelData.
        message: usize,
    },
    /// Nothing that can be told apart: the connection is of no more use.
    Invalid,
}

/// The frame at the start of `bytes`.
///
/// A STUN message must have the magic cookie: RFC 3489 knows no Binding over a stream. A frame is at
/// most 65,552 bytes long.
#[inline]
pub fn next_frame(bytes: &[u8]) -> Frame {
    let Some([_, _, high, low]) = bytes.first_chunk() else {
        return match bytes {
            [] => Frame::Incomplete,
            _ if Kind::of(bytes) == Kind::Other => Frame::Invalid,
            _ => Frame::Incomplete,
        };
    };
    let stated = usize::from(u16::from_be_bytes([*high, *low]));
    let message = match Kind::of(bytes) {
        Kind::Stun if stated % 4 == 0 && may_have_cookie(bytes) => HEADER_LEN + stated,
        Kind::ChannelData => CHANNEL_HEADER_LEN + stated,
        Kind::Stun | Kind::Other => return Frame::Invalid,
    };
    let len = padded(message);
    if bytes.len() < len { Frame::Incomplete } else { Frame::Complete { len, message } }
}

/// Whether what is there of bytes 4 to 7 is of the magic cookie.
fn may_have_cookie(bytes: &[u8]) -> bool {
    bytes.iter().skip(4).zip(MAGIC_COOKIE.to_be_bytes()).all(|(byte, cookie)| *byte == cookie)
}
