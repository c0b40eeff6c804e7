//! The time by both clocks, so that another process can tell what a record's times mean.

use std::io;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};
use turn::Monotonic;

use crate::recovery::boot;
use crate::recovery::records::format::Clock;

/// One moment by the clock that records are written by, and by the one that all nodes have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// What `monotonic` is told by.
    pub clock: Clock,
    /// Time since that clock's beginning.
    pub monotonic: Monotonic,
    /// Time since 1970.
    pub unix: Duration,
}

impl Moment {
    /// Now.
    ///
    /// # Errors
    /// When the system does not say which boot this is.
    pub fn now() -> io::Result<Self> {
        Ok(Self::by(boot::clock()?))
    }

    /// Later, by the same clock.
    pub fn again(&self) -> Self {
        Self::by(self.clock)
    }

    /// What `time` by `then`'s clock is by this one's. By the same clock that is what it was, whatever happened to
    /// the time of day; by another one, as far ahead as the time of day says, or behind, but not before its beginning.
    pub fn translate(&self, then: &Self, time: Monotonic) -> Monotonic {
        if self.clock == then.clock {
            return time;
        }
        let nanos = self.nanos(self.monotonic) + then.unix_nanos(time) - self.unix_nanos(self.monotonic);
        Monotonic::from_nanos(nanos.clamp(0, u64::MAX.into()) as u64)
    }

    /// The time of day that `time` by this one's clock was, or will be; 1970 where that would be before.
    pub fn unix(&self, time: Monotonic) -> Duration {
        Duration::from_nanos(self.unix_nanos(time).clamp(0, u64::MAX.into()) as u64)
    }

    fn unix_nanos(&self, time: Monotonic) -> i128 {
        // Neither sum comes near the ends of so wide a number: each part has 64 bits and a little more.
        self.nanos(time) - self.nanos(self.monotonic) + self.unix.as_nanos() as i128
    }

    fn nanos(&self, time: Monotonic) -> i128 {
        time.as_nanos().into()
    }

    fn by(clock: Clock) -> Self {
        let boot = clock_gettime(ClockId::Boottime);
        // Not negative on a system that can run this.
        let nanos = (boot.tv_sec as u64).saturating_mul(1_000_000_000) + boot.tv_nsec as u64;
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { clock, monotonic: Monotonic::from_nanos(nanos), unix }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(seconds: u64) -> Monotonic {
        Monotonic::from_nanos(seconds * 1_000_000_000)
    }

    fn moment(boot: u128, up: u64, unix: u64) -> Moment {
        let clock = Clock { boot, namespace: 0 };
        Moment { clock, monotonic: seconds(up), unix: Duration::from_secs(unix) }
    }

    #[test]
    fn by_the_same_clock_a_time_stays_whatever_the_time_of_day_became() {
        let (then, now) = (moment(1, 100, 5_000), moment(1, 110, 9_000));
        assert_eq!(now.translate(&then, seconds(700)), seconds(700));
    }

    #[test]
    fn by_another_one_it_is_as_far_ahead() {
        let (then, now) = (moment(1, 10_000, 5_000), moment(2, 40, 5_100));
        assert_eq!(now.translate(&then, seconds(10_600)), seconds(540));
        assert_eq!(now.translate(&then, seconds(10_060)), seconds(0), "60 s ago, 40 s after the boot");
        assert_eq!(now.translate(&then, seconds(10_070)), seconds(10));
    }

    #[test]
    fn nothing_overflows() {
        let most = Moment { unix: Duration::MAX, ..moment(1, 0, 0) };
        let end = Monotonic::from_nanos(u64::MAX);
        for (then, now) in [(most, moment(2, 0, 0)), (moment(2, 0, 0), most), (most, Moment { ..most })] {
            for time in [seconds(0), end] {
                let _ = (now.translate(&then, time), then.unix(time));
            }
        }
        assert_eq!(moment(2, 0, 0).translate(&most, end), end);
    }

    #[test]
    fn the_time_of_day_of_a_time_is_told() {
        assert_eq!(moment(1, 100, 5_000).unix(seconds(90)), Duration::from_secs(4_990));
        assert_eq!(moment(1, 100, 5).unix(seconds(90)), Duration::ZERO);
    }
}
