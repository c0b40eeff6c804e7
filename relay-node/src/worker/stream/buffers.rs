//! What connections hold of a worker's memory: starts of frames, and what waits for slow readers.

/// All that a worker's connections hold, within one total, and buffers that none of them needs just now.
pub(super) struct Buffers {
    spare: Vec<Vec<u8>>,
    used: usize,
    total: usize,
    most_outgoing: usize,
}

/// Buffers kept at most, and the largest that is kept: what one relay's turn of full-sized packets fills.
const KEPT: usize = 64;
const KEPT_SIZE: usize = 128 * 1024;
/// What every connection may have, however much the others hold: so much of a frame, so much data, and so
/// much in answers.
pub(in crate::worker) const LEAST: usize = 4096;

impl Buffers {
    /// Lets `most_outgoing` bytes wait for one connection, and all of them hold `total` beside [`LEAST`] for
    /// each.
    pub(super) fn new(most_outgoing: usize, total: usize) -> Self {
        Self { spare: Vec::new(), used: 0, total, most_outgoing }
    }

    /// How many bytes of memory all connections hold.
    pub(super) fn used(&self) -> usize {
        self.used
    }

    /// Whether `bytes` may wait for one connection: as much as is still free. So one slow reader gets half
    /// of it all, and many get equal parts of nearly all, with some left for the next one.
    pub(super) fn allow_outgoing(&self, bytes: usize) -> bool {
        bytes <= self.free().max(LEAST).min(self.most_outgoing)
    }

    /// Whether a connection may hold the first `bytes` of a frame.
    pub(super) fn allow_half(&self, bytes: usize) -> bool {
        bytes <= self.free().max(LEAST)
    }

    /// Puts `bytes` behind what `buffer` holds, which is a used one where there is any.
    pub(super) fn append(&mut self, buffer: &mut Vec<u8>, bytes: &[u8]) {
        self.used -= buffer.capacity();
        if buffer.capacity() == 0 {
            *buffer = self.spare.pop().unwrap_or_default();
        }
        buffer.extend_from_slice(bytes);
        // What is held counts, not what is filled.
        self.used += buffer.capacity();
    }

    /// Takes a buffer back, for the next one who needs it.
    pub(super) fn give(&mut self, mut buffer: Vec<u8>) {
        self.used -= buffer.capacity();
        if (1..=KEPT_SIZE).contains(&buffer.capacity()) && self.spare.len() < KEPT {
            buffer.clear();
            self.spare.push(buffer);
        }
    }

    /// Notes that a connection's TLS holds `now` bytes where it held `before`.
    pub(super) fn note_in_tls(&mut self, before: usize, now: usize) {
        self.used = self.used - before + now;
    }

    /// How many of them no connection needs.
    #[cfg(test)]
    pub(super) fn spare(&self) -> usize {
        self.spare.len()
    }

    fn free(&self) -> usize {
        self.total.saturating_sub(self.used)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_halves_of_frames_share_one_total_and_the_next_one_still_gets_its_part() {
        let total = 1024 * 1024;
        let mut buffers = Buffers::new(usize::MAX, total);
        let mut halves = vec![Vec::new(); 1000];
        for half in &mut halves {
            let length = if buffers.allow_half(60_000) { 60_000 } else { LEAST };
            assert!(buffers.allow_half(length));
            buffers.append(half, &vec![0; length]);
        }
        let held: usize = halves.iter().map(Vec::capacity).sum();
        assert_eq!(held, buffers.used());
        assert!((total..total + halves.len() * LEAST).contains(&held), "{held}");
        assert!(buffers.allow_half(LEAST) && !buffers.allow_half(LEAST + 1));
        halves.into_iter().for_each(|half| buffers.give(half));
        assert_eq!((buffers.used(), buffers.spare()), (0, KEPT));
    }

    #[test]
    fn a_large_buffer_with_little_in_it_counts_as_what_it_is() {
        let mut buffers = Buffers::new(usize::MAX, 1024 * 1024);
        let mut buffer = Vec::new();
        buffers.append(&mut buffer, &[0; 100_000]);
        buffers.give(std::mem::take(&mut buffer));
        buffers.append(&mut buffer, &[0]);
        assert!(buffers.used() >= 100_000);
    }
}
