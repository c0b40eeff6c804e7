//! When requests that were left without an answer first came, in memory of a fixed size.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::time::Monotonic;

/// How much later a request counts as one that comes again. RFC 8489 section 6.2.1: clients wait 500 ms.
pub(super) const LEAST_AGE: Duration = Duration::from_millis(400);

/// Requests that share a line of the processor's cache. A full line forgets its oldest.
const LINE: usize = 8;
/// Lines. At 20,000 refused requests a second, one is remembered for six seconds; at 200,000 until a
/// client's first retransmission.
const LINES: usize = 1 << 14;

/// Tags of requests and when they came, in 1 MiB.
///
/// Workers write as they come, without a lock. What is lost where two of them meet is one note.
#[derive(Debug)]
pub(super) struct FirstSeen {
    lines: Box<[[Note; LINE]]>,
}

/// A tag in the upper half, milliseconds in the lower one. Those come round after seven weeks, as nobody does.
#[derive(Debug, Default)]
struct Note(AtomicU64);

impl Default for FirstSeen {
    fn default() -> Self {
        Self { lines: (0..LINES).map(|_| Default::default()).collect() }
    }
}

impl FirstSeen {
    /// Whether a request without an answer has come before and may have one now; notes it if it is new.
    ///
    /// One that is answered is new again, so that repeating one request draws no flood of answers.
    pub(super) fn comes_again(&self, now: Monotonic, request: u64, may_answer: bool) -> bool {
        let now = (now.as_nanos() / 1_000_000) as u32;
        let (tag, line) = ((request >> 32) as u32, request as usize % LINES);
        let Some(line) = self.lines.get(line) else { return false };
        if let Some(note) = line.iter().find(|note| note.tag() == tag) {
            let answered = may_answer && u128::from(note.age(now)) >= LEAST_AGE.as_millis();
            if answered {
                note.set(tag, now);
            }
            return answered;
        }
        if let Some(oldest) = line.iter().max_by_key(|note| note.age(now)) {
            oldest.set(tag, now);
        }
        false
    }
}

impl Note {
    fn tag(&self) -> u32 {
        (self.0.load(Ordering::Relaxed) >> 32) as u32
    }

    /// In milliseconds.
    fn age(&self, now: u32) -> u32 {
        now.wrapping_sub(self.0.load(Ordering::Relaxed) as u32)
    }

    fn set(&self, tag: u32, now: u32) {
        self.0.store(u64::from(tag) << 32 | u64::from(now), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(milliseconds: u64) -> Monotonic {
        Monotonic::from_nanos(milliseconds * 1_000_000)
    }

    /// Hashes of different requests, as a good hash would give them.
    fn hash(n: u64) -> u64 {
        ahash::RandomState::with_seeds(1, 2, 3, 4).hash_one(n)
    }

    #[test]
    fn a_request_comes_again_after_its_first_400_milliseconds() {
        let seen = FirstSeen::default();
        for (time, comes_again) in [(1000, false), (1000, false), (1399, false), (1400, true)] {
            assert_eq!(seen.comes_again(at(time), hash(1), true), comes_again, "at {time}");
        }
        assert!(!seen.comes_again(at(1400), hash(2), true), "another one");
    }

    #[test]
    fn one_that_was_answered_is_new_again_and_one_that_was_not_is_not() {
        let seen = FirstSeen::default();
        seen.comes_again(at(1000), hash(1), true);
        assert!(!seen.comes_again(at(1500), hash(1), false), "there is nothing for it");
        assert!(seen.comes_again(at(1501), hash(1), true));
        assert!(!seen.comes_again(at(1900), hash(1), true));
        assert!(seen.comes_again(at(1901), hash(1), true));
    }

    #[test]
    fn remembers_one_among_100_000_others() {
        let forgotten = (0..100_u64).filter(|seed| {
            let seen = FirstSeen::default();
            let hash = |n: u64| hash(seed << 32 | n);
            seen.comes_again(at(1000), hash(0), true);
            // Half a second of 100,000 in a second.
            (1..50_000).for_each(|n| assert!(!seen.comes_again(at(1000 + n / 100), hash(n), true)));
            !seen.comes_again(at(1500), hash(0), true)
        });
        assert!(forgotten.count() <= 3);
    }
}
