//! Where an attribute's value is written.

use crate::header::TransactionId;
use crate::writer::BufferFull;

/// The value of an attribute being written: what is left of the caller's buffer.
#[derive(Debug)]
pub struct Value<'b> {
    rest: &'b mut [u8],
    written: usize,
    id: TransactionId,
    classic: bool,
}

impl<'b> Value<'b> {
    pub(crate) fn new(rest: &'b mut [u8], id: TransactionId, classic: bool) -> Self {
        Self { rest, written: 0, id, classic }
    }

    /// The transaction of the message, which XOR-ed addresses depend on.
    pub const fn transaction_id(&self) -> &TransactionId {
        &self.id
    }

    /// Whether the message is for an RFC 3489 client, whose values are multiples of four bytes.
    pub const fn is_classic(&self) -> bool {
        self.classic
    }

    /// Bytes written so far.
    pub(crate) const fn written(&self) -> usize {
        self.written
    }

    /// Appends `bytes`.
    ///
    /// # Errors
    /// When the buffer has no room for them.
    #[inline]
    pub fn put(&mut self, bytes: &[u8]) -> Result<(), BufferFull> {
        let end = self.written.checked_add(bytes.len()).ok_or(BufferFull)?;
        // Same length on both sides, so the copy cannot panic.
        self.rest.get_mut(self.written..end).ok_or(BufferFull)?.copy_from_slice(bytes);
        self.written = end;
        Ok(())
    }
}
