//! What waits for a client that does not read at once.

/// Bytes in order, with the memory given back once they have left.
#[derive(Default)]
pub(super) struct Outgoing {
    bytes: Vec<u8>,
    start: usize,
}

/// Buffers that no connection needs just now.
#[derive(Default)]
pub(super) struct Buffers(Vec<Vec<u8>>);

/// Buffers kept at most, and the largest that is kept.
const KEPT: usize = 64;
const KEPT_SIZE: usize = 64 * 1024;

impl Buffers {
    /// An empty buffer, a used one if there is any.
    pub(super) fn take(&mut self) -> Vec<u8> {
        self.0.pop().unwrap_or_default()
    }

    /// Keeps a buffer for the next one who needs it.
    pub(super) fn give(&mut self, mut buffer: Vec<u8>) {
        if (1..=KEPT_SIZE).contains(&buffer.capacity()) && self.0.len() < KEPT {
            buffer.clear();
            self.0.push(buffer);
        }
    }
}

impl Outgoing {
    /// How many bytes wait.
    pub(super) fn len(&self) -> usize {
        self.bytes.len() - self.start
    }

    /// Whether none does.
    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What waits.
    pub(super) fn bytes(&self) -> &[u8] {
        self.bytes.get(self.start..).unwrap_or_default()
    }

    /// Adds `packet` unless more than `most` bytes would wait then.
    pub(super) fn push(&mut self, packet: &[u8], most: usize, buffers: &mut Buffers) -> bool {
        if self.len() + packet.len() > most {
            return false;
        }
        if self.bytes.capacity() == 0 {
            self.bytes = buffers.take();
        }
        if self.start > self.bytes.len() / 2 {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
        self.bytes.extend_from_slice(packet);
        true
    }

    /// Forgets the first `count` bytes: they have left. Without any left the buffer is given back.
    pub(super) fn advance(&mut self, count: usize, buffers: &mut Buffers) {
        self.start = (self.start + count).min(self.bytes.len());
        if self.is_empty() {
            self.release(buffers);
        }
    }

    /// Forgets everything.
    pub(super) fn release(&mut self, buffers: &mut Buffers) {
        self.start = 0;
        buffers.give(std::mem::take(&mut self.bytes));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_leave_in_order_and_never_exceed_the_limit() {
        let (mut outgoing, mut buffers) = (Outgoing::default(), Buffers::default());
        assert!(outgoing.push(b"abcd", 8, &mut buffers));
        assert!(outgoing.push(b"efgh", 8, &mut buffers));
        assert!(!outgoing.push(b"i", 8, &mut buffers));
        outgoing.advance(5, &mut buffers);
        assert!(outgoing.push(b"ijkl", 8, &mut buffers));
        assert_eq!(outgoing.bytes(), b"fghijkl");
        outgoing.advance(7, &mut buffers);
        assert!(outgoing.is_empty());
        assert_eq!((outgoing.bytes.capacity(), buffers.0.len()), (0, 1));
    }
}
