//! The time, read once a round.

use rustix::time::{ClockId, clock_gettime};
use turn::{Monotonic, Now, UnixSeconds};

/// What both clocks of the system say.
///
/// The monotonic one goes on while the machine is suspended, which CLOCK_MONOTONIC does not: clients' clocks
/// do so too, and a record that says until when something lives means the same to every process of this boot.
pub(super) fn now() -> Now {
    let monotonic = clock_gettime(ClockId::Boottime);
    let unix = clock_gettime(ClockId::RealtimeCoarse);
    // Neither clock is ever negative on a system that can run this.
    let nanos = (monotonic.tv_sec as u64).saturating_mul(1_000_000_000) + monotonic.tv_nsec as u64;
    Now { monotonic: Monotonic::from_nanos(nanos), unix: UnixSeconds::new(unix.tv_sec.max(0) as u64) }
}
