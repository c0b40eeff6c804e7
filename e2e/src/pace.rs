//! Load at an even pace.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Between two looks at the clock.
const TICK: Duration = Duration::from_millis(1);
/// What is late by more than this is left out: else a stall of this machine would come as a burst.
const LATE: Duration = Duration::from_millis(20);

/// Calls `act` with 0, 1, 2 and so on, `rate` times a second for `duration`; how often it was.
pub fn at_rate(rate: u32, duration: Duration, mut act: impl FnMut(u32)) -> u32 {
    let due_after = |time: Duration| (time.as_secs_f64() * f64::from(rate)) as u32;
    let begun = Instant::now();
    let (mut turn, mut acted) = (0, 0);
    while begun.elapsed() < duration {
        let due = due_after(begun.elapsed());
        turn = turn.max(due.saturating_sub(due_after(LATE).max(1)));
        while turn < due {
            act(acted);
            turn += 1;
            acted += 1;
        }
        thread::sleep(TICK);
    }
    acted
}

/// Says that something is over when it is dropped, also by a panic: who waits for that would wait forever.
#[derive(Debug)]
pub struct Over<'a>(pub &'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Calls `act` until it is `over`, one call after the other and at most one in `interval`.
pub fn at_intervals(interval: Duration, over: &AtomicBool, mut act: impl FnMut()) {
    while !over.load(Ordering::Relaxed) {
        let due = Instant::now() + interval;
        act();
        thread::sleep(due.saturating_duration_since(Instant::now()));
    }
}
