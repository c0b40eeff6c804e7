//! Bandwidth, metered without a lock.

use crate::rate::{NANOS_PER_SECOND, Rate};
use crate::time::Monotonic;

/// A second's worth may go out at once: a video's key frame must not be cut.
const BURST: u64 = NANOS_PER_SECOND;
/// How long a byte takes at one bit per second.
const NANOS_PER_BYTE_AT_1_BIT: u64 = 8_000_000_000;

/// How much of its rate somebody has used.
#[derive(Debug, Default)]
pub(super) struct Meter(Rate);

impl Meter {
    /// Whether `bytes` may pass now under a rate; always, without one.
    pub(super) fn allow(&self, now: Monotonic, bytes: usize, bits_per_second: Option<u64>) -> bool {
        bits_per_second.is_none_or(|rate| self.0.take(now, cost(bytes, rate), BURST))
    }

    /// When all that passed is paid for; the meter may be forgotten then.
    pub(super) fn paid_at(&self) -> Monotonic {
        self.0.paid_at()
    }

    /// Makes it at least that what passed is paid for at `paid_at`, or as much as there can be to pay.
    pub(super) fn claim(&self, now: Monotonic, paid_at: Monotonic) {
        if paid_at > now {
            self.0.raise(now, (paid_at.as_nanos() - now.as_nanos()).min(BURST));
        }
    }

    /// Takes back what [`Self::allow`] just let pass and somebody else did not.
    pub(super) fn give_back(&self, bytes: usize, bits_per_second: Option<u64>) {
        if let Some(rate) = bits_per_second {
            self.0.give_back(cost(bytes, rate));
        }
    }
}

/// Nanoseconds that `bytes` take. Exact for all packets that there are, without a 128-bit division.
fn cost(bytes: usize, rate: u64) -> u64 {
    (bytes as u64).saturating_mul(NANOS_PER_BYTE_AT_1_BIT) / rate.max(1)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const START: Monotonic = Monotonic::from_nanos(5_000_000_000);

    #[test]
    fn without_a_rate_everything_passes() {
        assert!(Meter::default().allow(START, usize::MAX, None));
    }

    #[test]
    fn keeps_to_the_rate_over_time() {
        let meter = Meter::default();
        let mut passed = 0;
        for millisecond in 0..10_000 {
            let now = START.after(Duration::from_millis(millisecond));
            // 8 Mbit/s offered twice over.
            for _ in 0..2 {
                passed += u32::from(meter.allow(now, 1000, Some(8_000_000)));
            }
        }
        // Ten seconds of 1,000 packets, and the burst.
        assert!((10_900..=11_001).contains(&passed), "{passed}");
    }

    #[test]
    fn what_is_given_back_may_pass_again() {
        let meter = Meter::default();
        assert!(meter.allow(START, 1000, Some(8000)));
        assert!(!meter.allow(START, 1000, Some(8000)));
        meter.give_back(1000, Some(8000));
        assert!(meter.allow(START, 1000, Some(8000)));
    }

    #[test]
    fn no_size_and_no_rate_overflows() {
        assert!(!Meter::default().allow(START, usize::MAX, Some(1)));
        assert!(!Meter::default().allow(START, 1, Some(0)), "a rate of nothing lets nothing pass");
        assert!(Meter::default().allow(START, 65_535, Some(u64::MAX)));
        assert!(Meter::default().allow(Monotonic::from_nanos(u64::MAX), 1, Some(8)));
    }

    #[test]
    fn a_packet_larger_than_the_burst_never_passes() {
        assert!(!Meter::default().allow(START, 2, Some(8)));
        assert!(Meter::default().allow(START, 1, Some(8)));
    }
}
