//! STUN (RFC 8489) and TURN (RFC 8656) on the wire: borrowed, without allocation, without I/O.
//!
//! [`Message::parse`] checks a message's framing once; everything read from it afterwards borrows
//! from the packet. [`MessageWriter`] writes into a buffer of the caller's. The packet path has
//! shapes of its own: [`ChannelData`], [`write_channel_header`] and [`write_data_indication`], which
//! puts a header in front of a payload where it lies. [`stream`] finds the messages in a byte stream.
//!
//! ```
//! use stun::attribute::{Lifetime, Username};
//! use stun::{Class, Key, Message, MessageWriter, Method, TransactionId};
//!
//! let key = Key::long_term_md5(b"alice", b"example.org", b"secret");
//! let mut buffer = [0; 128];
//! let mut writer =
//!     MessageWriter::new(&mut buffer, Class::Request, Method::REFRESH, TransactionId::new([7; 12]))?;
//! writer.attribute(&Username(b"alice"))?.attribute(&Lifetime(0))?.integrity_sha1(&key)?.fingerprint()?;
//! let length = writer.finish();
//!
//! let message = Message::parse(&buffer[..length])?;
//! message.verify_sha1(&key)?;
//! assert_eq!(message.get::<Lifetime>()?, Some(Lifetime(0)));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![forbid(unsafe_code)]

pub mod attribute;
mod channel_data;
mod data_indication;
mod fingerprint;
mod header;
mod integrity;
mod key;
mod message;
pub mod stream;
mod writer;

pub use attribute::{Attribute, AttributeError, AttributeType, Attributes, Encode, RawAttribute, Value};
pub use channel_data::{CHANNEL_HEADER_LEN, ChannelData, ChannelDataError, write_channel_header};
pub use data_indication::{DATA_INDICATION_HEADROOM, write_data_indication};
pub use fingerprint::Fingerprint;
pub use header::{Class, HEADER_LEN, Kind, MAGIC_COOKIE, Method, TransactionId};
pub use integrity::{IntegrityError, IntegrityKind};
pub use key::{Key, userhash};
pub use message::{Message, MessageError};
pub use writer::{BufferFull, MessageWriter};

/// Bytes that `length` takes when padded to a multiple of four, as attributes and streams are.
const fn padded(length: usize) -> usize {
    length.next_multiple_of(4)
}
