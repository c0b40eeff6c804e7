//! A request under way: what ties its answer to it, and when it is sent again.

use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};
use stun::TransactionId;

use crate::{Path, Request};

/// How long a client waits for answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// After this time a datagram is sent again; the time doubles with each.
    pub first: Duration,
    /// So often it is sent in all.
    pub transmissions: u32,
    /// How long the last one waits.
    pub last: Duration,
    /// How long a request waits on a stream.
    pub stream: Duration,
}

impl Default for Timing {
    /// RFC 8489 section 6.2.1: RTO 500 ms, Rc 7, Rm 16; section 6.2.2: Ti as long as that takes.
    fn default() -> Self {
        Self {
            first: Duration::from_millis(500),
            transmissions: 7,
            last: Duration::from_secs(8),
            stream: Duration::from_millis(39_500),
        }
    }
}

/// Transaction ids that nobody can guess who does not know the seed (RFC 8489 section 5).
#[derive(Clone, Debug)]
pub struct TransactionIds {
    seed: [u8; 32],
    serial: u64,
}

impl TransactionIds {
    /// The ids that follow from `seed`, which has to be secret where somebody could forge answers.
    pub const fn new(seed: [u8; 32]) -> Self {
        Self { seed, serial: 0 }
    }

    /// One that was not used before.
    pub fn next_id(&mut self) -> TransactionId {
        self.serial += 1;
        let digest: [u8; 32] =
            Sha256::new().chain_update(self.seed).chain_update(self.serial.to_be_bytes()).finalize().into();
        let [a, b, c, d, e, f, g, h, i, j, k, l, ..] = digest;
        TransactionId::new([a, b, c, d, e, f, g, h, i, j, k, l])
    }
}

/// A request that waits for its answer.
#[derive(Clone, Debug)]
pub(crate) struct Transaction {
    pub(crate) id: TransactionId,
    pub(crate) request: Request,
    /// The same bytes each time.
    pub(crate) packet: Vec<u8>,
    /// Whether a login has signed it.
    pub(crate) signed: bool,
    /// How many challenges it has met before.
    pub(crate) challenges: u32,
    /// Whether an answer came that nobody had proved.
    pub(crate) forged: bool,
    pub(crate) schedule: Schedule,
}

/// When something is due.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Schedule {
    left: u32,
    wait: Duration,
    last: Duration,
    due: Instant,
}

/// What a transaction does when its time has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    Later,
    SendAgain,
    GiveUp,
}

impl Schedule {
    /// The schedule of what has just been sent for the first time.
    pub(crate) fn start(path: Path, timing: &Timing, now: Instant) -> Self {
        let left = timing.transmissions.saturating_sub(1);
        let (left, last) = match path {
            Path::Datagrams => (left, timing.last),
            Path::Stream => (0, timing.stream),
        };
        let mut schedule = Self { left, wait: timing.first, last, due: now };
        schedule.wait_from(now);
        schedule
    }

    /// When there is something to do.
    pub(crate) fn due(&self) -> Instant {
        self.due
    }

    /// What to do at `now`.
    pub(crate) fn at(&mut self, now: Instant) -> Due {
        if now < self.due {
            return Due::Later;
        }
        if self.left == 0 {
            return Due::GiveUp;
        }
        self.left -= 1;
        // From when it was due: a late driver does not stretch the whole.
        self.wait_from(self.due);
        Due::SendAgain
    }

    /// RFC 8489 section 6.2.1: the interval doubles, but the last wait is Rm times the first one.
    fn wait_from(&mut self, moment: Instant) {
        let wait = if self.left == 0 { self.last } else { self.wait };
        self.due = moment + wait;
        self.wait = self.wait.saturating_mul(2);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn datagrams_are_sent_when_rfc_8489_says() {
        let begin = Instant::now();
        let mut schedule = Schedule::start(Path::Datagrams, &Timing::default(), begin);
        let mut times = Vec::new();
        loop {
            times.push((schedule.due - begin).as_millis());
            match schedule.at(schedule.due) {
                Due::SendAgain => {}
                due => break assert_eq!(due, Due::GiveUp),
            }
        }
        assert_eq!(times, [500, 1500, 3500, 7500, 15_500, 31_500, 39_500]);
    }

    #[test]
    fn on_a_stream_nothing_is_sent_again() {
        let begin = Instant::now();
        let mut schedule = Schedule::start(Path::Stream, &Timing::default(), begin);
        assert_eq!(schedule.due - begin, Duration::from_millis(39_500));
        assert_eq!(schedule.at(begin), Due::Later);
        assert_eq!(schedule.at(schedule.due), Due::GiveUp);
    }

    #[test]
    fn ids_follow_from_the_seed_and_differ() {
        let (mut one, mut same, mut other) =
            (TransactionIds::new([1; 32]), TransactionIds::new([1; 32]), TransactionIds::new([2; 32]));
        let first = one.next_id();
        assert_eq!(first, same.next_id());
        assert_ne!(first, one.next_id());
        assert_ne!(first, other.next_id());
    }
}
