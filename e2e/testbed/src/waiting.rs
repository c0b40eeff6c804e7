//! Waiting for a condition with a deadline, never for a time.

use std::thread;
use std::time::{Duration, Instant};

const PAUSE: Duration = Duration::from_millis(10);

/// Asks `probe` until it answers, and returns the answer.
///
/// # Panics
/// When `deadline` has passed without an answer; the message says `what` was awaited.
pub fn eventually<T>(deadline: Duration, what: &str, probe: impl FnMut() -> Option<T>) -> T {
    within(deadline, probe).unwrap_or_else(|| panic!("waited {deadline:?} in vain for {what}"))
}

/// Asks `probe` until it answers or the deadline has passed.
pub fn within<T>(deadline: Duration, mut probe: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + deadline;
    loop {
        let answer = probe();
        if answer.is_some() || Instant::now() >= end {
            return answer;
        }
        thread::sleep(PAUSE);
    }
}

/// Asks `probe` until it says yes.
///
/// # Panics
/// As [`eventually`].
pub fn eventually_true(deadline: Duration, what: &str, mut probe: impl FnMut() -> bool) {
    eventually(deadline, what, || probe().then_some(()));
}
