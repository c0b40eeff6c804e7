//! Time as the driver tells it: the core has no clock of its own.

use std::time::Duration;

/// A point on the driver's monotonic clock, in nanoseconds.
///
/// [Records](crate::record) hold such points, so whoever keeps them needs a clock that goes on when the
/// process ends, as Linux's CLOCK_MONOTONIC and CLOCK_BOOTTIME do until the next boot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Monotonic(u64);

impl Monotonic {
    /// The point `nanos` nanoseconds after the clock's origin.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the clock's origin.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// The later point, or the end of time where that would overflow.
    pub const fn after(self, duration: Duration) -> Self {
        let nanos = duration.as_nanos();
        if nanos > u64::MAX as u128 { Self(u64::MAX) } else { Self(self.0.saturating_add(nanos as u64)) }
    }

    /// How long from `earlier` to this point; zero if it lies ahead.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// Seconds since 1970 by the wall clock: for nonces and credentials, never for timers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixSeconds(u64);

impl UnixSeconds {
    /// The second `seconds` after the epoch.
    pub const fn new(seconds: u64) -> Self {
        Self(seconds)
    }

    /// Seconds since the epoch.
    pub const fn get(self) -> u64 {
        self.0
    }
}

/// The time of an input, on both clocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// For timers and rates.
    pub monotonic: Monotonic,
    /// For credentials and nonces.
    pub unix: UnixSeconds,
}

impl Now {
    /// Both clocks `duration` later.
    pub const fn after(self, duration: Duration) -> Self {
        Self {
            monotonic: self.monotonic.after(duration),
            unix: UnixSeconds(self.unix.0.saturating_add(duration.as_secs())),
        }
    }
}
