//! A limit for each source and one for all together.

use super::sketch::Sketch;
use crate::rate::{NANOS_PER_SECOND, Rate};
use crate::settings::AnswerLimits;
use crate::time::Monotonic;

/// How far a rate may be ahead of the clock when a request comes that was not seen before.
pub(super) const FOR_FIRST: u64 = NANOS_PER_SECOND / 4 * 3;
/// And when it comes again: a second's worth may go out at once.
pub(super) const FOR_ALL: u64 = NANOS_PER_SECOND;

/// What an answer costs at least, in bytes, so that answers no larger than their requests are bounded too.
const LEAST_COST: usize = 16;

/// Bytes of answers to strangers of one kind.
#[derive(Debug, Default)]
pub(super) struct Share {
    sources: Sketch,
    total: Rate,
}

impl Share {
    /// How far the source or the total is ahead of the clock: whichever is further.
    pub(super) fn ahead(&self, now: Monotonic, source: u64) -> u64 {
        self.total.ahead(now).max(self.sources.ahead(now, source))
    }

    /// Takes `excess` bytes, which may take either rate beyond its limit by one answer.
    pub(super) fn charge(&self, now: Monotonic, limits: &AnswerLimits, source: u64, excess: usize) {
        let bytes = excess.max(LEAST_COST) as u64;
        let cost = |per_second: u32| bytes * NANOS_PER_SECOND / u64::from(per_second.max(1));
        self.sources.charge(now, source, cost(limits.per_source_bytes_per_second));
        self.total.take(now, cost(limits.total_bytes_per_second), u64::MAX);
    }
}
