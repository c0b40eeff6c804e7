//! Writing a message into a buffer.

use hmac::Mac;
use thiserror::Error;

use crate::attribute::{ATTRIBUTE_HEADER_LEN, AttributeType, Encode, Value};
use crate::fingerprint::{self, FINGERPRINT_LEN};
use crate::header::{Class, HEADER_LEN, MAGIC_COOKIE, Method, TransactionId, message_type};
use crate::integrity::{self, SHA1_LEN, SHA256_LEN};
use crate::key::Key;
use crate::padded;

/// The buffer has no room for what was to be written, or the message would be longer than its header
/// can say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the message does not fit into its buffer")]
pub struct BufferFull;

/// Writes one message, attribute by attribute, into a buffer of the caller's.
///
/// After each step the buffer holds a whole message; after a failed one, the message as it was.
#[derive(Debug)]
pub struct MessageWriter<'b> {
    buffer: &'b mut [u8],
    end: usize,
    id: TransactionId,
    classic: bool,
}

impl<'b> MessageWriter<'b> {
    /// Starts a message.
    ///
    /// # Errors
    /// When `buffer` is shorter than a header.
    pub fn new(
        buffer: &'b mut [u8],
        class: Class,
        method: Method,
        id: TransactionId,
    ) -> Result<Self, BufferFull> {
        Self::start(buffer, class, method, MAGIC_COOKIE.to_be_bytes(), id, false)
    }

    /// Starts an answer to an RFC 3489 client; `cookie` is what its request had in place of the magic
    /// cookie.
    ///
    /// # Errors
    /// When `buffer` is shorter than a header.
    pub fn classic(
        buffer: &'b mut [u8],
        class: Class,
        method: Method,
        cookie: [u8; 4],
        id: TransactionId,
    ) -> Result<Self, BufferFull> {
        Self::start(buffer, class, method, cookie, id, true)
    }

    /// Appends an attribute.
    ///
    /// # Errors
    /// When it does not fit.
    #[inline]
    pub fn attribute<A: Encode>(&mut self, attribute: &A) -> Result<&mut Self, BufferFull> {
        let start = self.end + ATTRIBUTE_HEADER_LEN;
        let room = self.buffer.get_mut(start..).ok_or(BufferFull)?;
        let mut value = Value::new(room, self.id, self.classic);
        attribute.encode(&mut value)?;
        let length = value.written();
        self.close(A::TYPE, length)?;
        Ok(self)
    }

    /// Appends MESSAGE-INTEGRITY over what was written so far.
    ///
    /// # Errors
    /// When it does not fit.
    pub fn integrity_sha1(&mut self, key: &Key) -> Result<&mut Self, BufferFull> {
        let length = self.length_with(SHA1_LEN)?;
        let code = integrity::sha1(key, self.written(), length).finalize().into_bytes();
        self.raw(AttributeType::MESSAGE_INTEGRITY, &code)
    }

    /// Appends MESSAGE-INTEGRITY-SHA256, not truncated, over what was written so far.
    ///
    /// # Errors
    /// When it does not fit.
    pub fn integrity_sha256(&mut self, key: &Key) -> Result<&mut Self, BufferFull> {
        let length = self.length_with(SHA256_LEN)?;
        let code = integrity::sha256(key, self.written(), length).finalize().into_bytes();
        self.raw(AttributeType::MESSAGE_INTEGRITY_SHA256, &code)
    }

    /// Appends FINGERPRINT over what was written so far; nothing may follow it.
    ///
    /// # Errors
    /// When it does not fit.
    pub fn fingerprint(&mut self) -> Result<&mut Self, BufferFull> {
        let covered = self.end;
        // The CRC covers a header that counts this attribute.
        self.raw(AttributeType::FINGERPRINT, &[0; FINGERPRINT_LEN])?;
        let code = fingerprint::of(self.buffer.get(..covered).ok_or(BufferFull)?);
        let place = self.buffer.get_mut(..self.end).and_then(<[u8]>::last_chunk_mut).ok_or(BufferFull)?;
        *place = code;
        Ok(self)
    }

    /// Appends an attribute of any type and value.
    ///
    /// # Errors
    /// When it does not fit.
    pub fn raw(&mut self, kind: AttributeType, value: &[u8]) -> Result<&mut Self, BufferFull> {
        let room = self.buffer.get_mut(self.end + ATTRIBUTE_HEADER_LEN..).ok_or(BufferFull)?;
        Value::new(room, self.id, self.classic).put(value)?;
        self.close(kind, value.len())?;
        Ok(self)
    }

    /// Ends the message: its length in bytes from the buffer's start.
    pub fn finish(self) -> usize {
        self.end
    }

    fn start(
        buffer: &'b mut [u8],
        class: Class,
        method: Method,
        cookie: [u8; 4],
        id: TransactionId,
        classic: bool,
    ) -> Result<Self, BufferFull> {
        let header = buffer.first_chunk_mut::<HEADER_LEN>().ok_or(BufferFull)?;
        *header = self::header(message_type(class, method), 0, cookie, id);
        Ok(Self { buffer, end: HEADER_LEN, id, classic })
    }

    /// Makes the `length` bytes after the next attribute header an attribute of the message.
    #[inline]
    fn close(&mut self, kind: AttributeType, length: usize) -> Result<(), BufferFull> {
        let stated = self.length_with(length)?;
        let attribute = self.buffer.get_mut(self.end..).ok_or(BufferFull)?;
        let size = ATTRIBUTE_HEADER_LEN + padded(length);
        let padding = attribute.get_mut(ATTRIBUTE_HEADER_LEN + length..size).ok_or(BufferFull)?;
        padding.fill(0);
        let [k, l] = kind.0.to_be_bytes();
        // `length_with` has found that it fits.
        let [m, n] = (length as u16).to_be_bytes();
        *attribute.first_chunk_mut().ok_or(BufferFull)? = [k, l, m, n];
        let [_, _, high, low, ..] = self.buffer else { return Err(BufferFull) };
        [*high, *low] = stated.to_be_bytes();
        self.end += size;
        Ok(())
    }

    /// The header's length field once an attribute with a value of `length` bytes is added.
    #[inline]
    fn length_with(&self, length: usize) -> Result<u16, BufferFull> {
        let end = self.end + ATTRIBUTE_HEADER_LEN + padded(length);
        u16::try_from(end - HEADER_LEN).map_err(|_| BufferFull)
    }

    fn written(&self) -> &[u8] {
        self.buffer.get(..self.end).unwrap_or_default()
    }
}

/// A header as it is on the wire.
#[inline]
pub(crate) fn header(message_type: u16, length: u16, cookie: [u8; 4], id: TransactionId) -> [u8; HEADER_LEN] {
    let [t, u] = message_type.to_be_bytes();
    let [l, m] = length.to_be_bytes();
    let [w, x, y, z] = cookie;
    let [a, b, c, d, e, f, g, h, i, j, k, n] = *id.as_bytes();
    [t, u, l, m, w, x, y, z, a, b, c, d, e, f, g, h, i, j, k, n]
}
