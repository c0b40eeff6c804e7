//! The generic cell rate algorithm on one atomic: a rate kept by many threads without a lock.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::time::Monotonic;

pub(crate) const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// When, in nanoseconds, all that was taken so far is paid for at exactly the limit.
#[derive(Debug, Default)]
pub(crate) struct Rate(AtomicU64);

impl Rate {
    /// Takes what costs `cost` nanoseconds, unless the rate would then be more than `most` ahead of the clock.
    pub(crate) fn take(&self, now: Monotonic, cost: u64, most: u64) -> bool {
        let horizon = now.as_nanos().saturating_add(most);
        let update = |paid| Some(charged(paid, now, cost)).filter(|paid| *paid <= horizon);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, update).is_ok()
    }

    /// Takes back what [`Self::take`] just took.
    pub(crate) fn give_back(&self, cost: u64) {
        self.0.fetch_sub(cost, Ordering::Relaxed);
    }

    /// When all that was taken is paid for.
    pub(crate) fn paid_at(&self) -> Monotonic {
        Monotonic::from_nanos(self.0.load(Ordering::Relaxed))
    }

    /// How many nanoseconds it is ahead of the clock.
    pub(crate) fn ahead(&self, now: Monotonic) -> u64 {
        self.0.load(Ordering::Relaxed).saturating_sub(now.as_nanos())
    }

    /// Makes it at least `ahead` nanoseconds ahead of the clock.
    pub(crate) fn raise(&self, now: Monotonic, ahead: u64) {
        self.0.fetch_max(now.as_nanos().saturating_add(ahead), Ordering::Relaxed);
    }
}

fn charged(paid: u64, now: Monotonic, cost: u64) -> u64 {
    paid.max(now.as_nanos()).saturating_add(cost)
}
