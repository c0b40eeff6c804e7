//! What waits for a client that does not read at once.

use super::Kind;
use super::buffers::{Buffers, LEAST};

/// Bytes in order, with the memory given back once they have left.
#[derive(Default)]
pub(super) struct Outgoing {
    bytes: Vec<u8>,
    start: usize,
    /// Bytes that TLS has taken and not yet written.
    in_tls: usize,
    /// Bytes of answers since nothing waited.
    answers: usize,
}

impl Outgoing {
    /// Whether nothing waits, unless TLS has it.
    pub(super) fn is_empty(&self) -> bool {
        self.start == self.bytes.len()
    }

    /// What waits, and TLS does not have yet.
    pub(super) fn bytes(&self) -> &[u8] {
        self.bytes.get(self.start..).unwrap_or_default()
    }

    /// Adds `packet` unless more would wait then than this connection may have. A few answers fit all
    /// the same: whose data has filled it keeps its allocation.
    pub(super) fn push(&mut self, packet: &[u8], kind: Kind, buffers: &mut Buffers) -> bool {
        let waiting = self.bytes.len() - self.start + self.in_tls + packet.len();
        let answers = if kind == Kind::Control { self.answers + packet.len() } else { self.answers };
        let fits = buffers.allow_outgoing(waiting) || kind == Kind::Control && answers <= LEAST;
        if !fits {
            return false;
        }
        self.answers = answers;
        if self.start > self.bytes.len() / 2 {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
        buffers.append(&mut self.bytes, packet);
        true
    }

    /// Forgets the first `count` bytes: they have left. Without any left the buffer is given back.
    pub(super) fn advance(&mut self, count: usize, buffers: &mut Buffers) {
        self.start = (self.start + count).min(self.bytes.len());
        if self.is_empty() {
            (self.start, self.answers) = (0, 0);
            buffers.give(std::mem::take(&mut self.bytes));
        }
    }

    /// Notes how many bytes TLS has taken and not yet written.
    pub(super) fn set_in_tls(&mut self, count: usize, buffers: &mut Buffers) {
        buffers.note_in_tls(self.in_tls, count);
        self.in_tls = count;
    }

    /// Forgets everything.
    pub(super) fn release(&mut self, buffers: &mut Buffers) {
        self.set_in_tls(0, buffers);
        self.advance(self.bytes.len(), buffers);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_leave_in_order_and_never_exceed_the_limit() {
        let (mut outgoing, mut buffers) = (Outgoing::default(), Buffers::new(8, 1000));
        assert!(outgoing.push(b"abcd", Kind::Data, &mut buffers));
        assert!(outgoing.push(b"efgh", Kind::Data, &mut buffers));
        assert!(!outgoing.push(b"i", Kind::Data, &mut buffers));
        outgoing.advance(5, &mut buffers);
        assert!(outgoing.push(b"ijkl", Kind::Data, &mut buffers));
        assert_eq!(outgoing.bytes(), b"fghijkl");
        outgoing.advance(7, &mut buffers);
        assert!(outgoing.is_empty());
        assert_eq!((outgoing.bytes.capacity(), buffers.spare(), buffers.used()), (0, 1, 0));
    }

    #[test]
    fn what_tls_has_counts_until_it_is_written() {
        let (mut outgoing, mut buffers) = (Outgoing::default(), Buffers::new(8, 1000));
        assert!(outgoing.push(b"abcdefgh", Kind::Data, &mut buffers));
        outgoing.set_in_tls(8, &mut buffers);
        outgoing.advance(8, &mut buffers);
        assert!(!outgoing.push(b"i", Kind::Data, &mut buffers));
        outgoing.set_in_tls(0, &mut buffers);
        assert!(outgoing.push(b"i", Kind::Data, &mut buffers));
        outgoing.set_in_tls(3, &mut buffers);
        outgoing.release(&mut buffers);
        assert_eq!(buffers.used(), 0);
    }

    #[test]
    fn many_slow_readers_share_one_total_and_the_next_one_still_gets_its_part() {
        let total = 1024 * 1024;
        let mut buffers = Buffers::new(256 * 1024, total);
        let mut slow: Vec<_> = (0..1000).map(|_| Outgoing::default()).collect();
        let packet = [0; 1200];
        for outgoing in &mut slow {
            while outgoing.push(&packet, Kind::Data, &mut buffers) {}
        }
        let held: usize = slow.iter().map(|outgoing| outgoing.bytes.capacity()).sum();
        assert_eq!(held, buffers.used());
        // A buffer grows by doubling, and each connection has its least.
        assert!(held <= total + 256 * 1024 + slow.len() * 2 * LEAST, "{held}");
        let mut next = Outgoing::default();
        assert!(next.push(&packet, Kind::Data, &mut buffers), "its least");
        assert!(slow[0].push(&packet, Kind::Control, &mut buffers), "an answer, beside all that data");
        let answers = std::iter::repeat_with(|| slow[1].push(&packet, Kind::Control, &mut buffers));
        assert_eq!(answers.take_while(|fits| *fits).count(), LEAST / packet.len());
        for outgoing in &mut slow {
            outgoing.release(&mut buffers);
        }
        next.release(&mut buffers);
        assert_eq!(buffers.used(), 0);
    }
}
