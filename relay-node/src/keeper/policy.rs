//! How the next relay starts after a crash: when, and with what.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::recovery::state::Crash;

use super::Takes;

/// What counts as at once after each other.
const WINDOW: Duration = Duration::from_secs(10);
/// Crashes within [`WINDOW`] that may be the fault of what is taken in, until less of it is.
const STRIKES: usize = 3;
/// Kills within [`WINDOW`] after which the next relay still starts at once. They are nobody's fault here, but
/// starts cost time.
const KILLS: usize = 20;
/// The first pause before a start, and the longest: each is twice as long as the one before it.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// Looks back at the crashes so far.
#[derive(Debug)]
pub(super) struct Policy {
    takes: Takes,
    /// When it crashed by itself, since `takes` is what it is.
    strikes: VecDeque<Instant>,
    /// When it crashed in any way, [`KILLS`] of them at most.
    crashes: VecDeque<Instant>,
    /// Crashes by itself without [`WINDOW`] of peace between them.
    in_a_row: u32,
    pause: Duration,
}

/// How the next relay starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Start {
    /// What it takes in.
    pub(super) takes: Takes,
    /// How long to wait before.
    pub(super) pause: Duration,
    /// Whether the crash is the first one after a time of peace: what was suspected before is acquitted.
    pub(super) afresh: bool,
}

impl Policy {
    pub(super) fn new() -> Self {
        Self {
            takes: Takes::All,
            strikes: VecDeque::new(),
            crashes: VecDeque::new(),
            in_a_row: 0,
            pause: Duration::ZERO,
        }
    }

    /// The relay, which `had_served` what it took in or not, crashed at `now`.
    pub(super) fn crashed(&mut self, now: Instant, crash: Crash, had_served: bool) -> Start {
        let afresh = self.crashes.back().is_none_or(|last| now.duration_since(*last) > WINDOW);
        if afresh {
            *self = Self::new();
        }
        let hasty = self.crashes.len() == KILLS
            && self.crashes.front().is_some_and(|first| now.duration_since(*first) <= WINDOW);
        if self.crashes.len() == KILLS {
            self.crashes.pop_front();
        }
        self.crashes.push_back(now);
        if crash != Crash::Killed {
            self.in_a_row += 1;
            self.strike(now, had_served);
        }
        if hasty || self.pause > Duration::ZERO || self.in_a_row > STRIKES as u32 {
            let (first, longest) = PAUSES;
            self.pause = (2 * self.pause).clamp(first, longest);
        }
        // What it served was recorded by it alone, and nothing of that is to blame for a kill.
        let takes = if crash == Crash::Killed && had_served { Takes::All } else { self.takes };
        Start { takes, pause: self.pause, afresh }
    }

    /// It crashed by itself: perhaps it is for something that it took in.
    fn strike(&mut self, now: Instant, had_served: bool) {
        self.strikes.retain(|strike| now.duration_since(*strike) <= WINDOW);
        self.strikes.push_back(now);
        // Without the suspects, and not even up: it was none of them, and calls wait.
        let in_vain = self.takes == Takes::WithoutSuspects && !had_served;
        if self.strikes.len() == STRIKES || in_vain {
            self.strikes.clear();
            self.takes = match self.takes {
                Takes::All => Takes::WithoutSuspects,
                Takes::WithoutSuspects | Takes::Nothing => Takes::Nothing,
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lets the relay crash as often as `gaps` (seconds since it was started again) says; what followed.
    fn crashes(crash: Crash, had_served: bool, gaps: &[f64]) -> Vec<Start> {
        let mut policy = Policy::new();
        let mut now = Instant::now();
        let starts = gaps.iter().map(|gap| {
            now += Duration::from_secs_f64(*gap);
            let start = policy.crashed(now, crash, had_served);
            now += start.pause;
            start
        });
        starts.collect()
    }

    fn takes(starts: &[Start]) -> Vec<Takes> {
        starts.iter().map(|start| start.takes).collect()
    }

    fn paused(starts: &[Start]) -> Vec<f64> {
        starts.iter().map(|start| start.pause.as_secs_f64()).collect()
    }

    #[test]
    fn the_third_crash_in_ten_seconds_leaves_the_suspects_out_and_the_sixth_everything() {
        use Takes::{All, Nothing, WithoutSuspects};
        for crash in [Crash::Aborted, Crash::Fault, Crash::NotRestored] {
            let starts = crashes(crash, true, &[1.0; 7]);
            let without = WithoutSuspects;
            assert_eq!(takes(&starts), [All, All, without, without, without, Nothing, Nothing]);
        }
    }

    #[test]
    fn a_start_without_the_suspects_that_fails_again_leaves_everything_out() {
        use Takes::{All, Nothing, WithoutSuspects};
        let starts = crashes(Crash::Aborted, false, &[0.1; 4]);
        assert_eq!(takes(&starts), [All, All, WithoutSuspects, Nothing]);
    }

    #[test]
    fn crashes_far_apart_leave_nothing_out_and_are_answered_at_once() {
        let starts = crashes(Crash::Fault, true, &[5.5; 20]);
        assert!(takes(&starts).iter().all(|takes| *takes == Takes::All));
        let starts = crashes(Crash::Fault, true, &[11.0; 20]);
        assert!(
            starts.iter().all(|start| start.takes == Takes::All && start.pause.is_zero() && start.afresh)
        );
    }

    #[test]
    fn after_ten_seconds_of_peace_everything_is_taken_again() {
        let starts = crashes(Crash::Aborted, true, &[1.0, 1.0, 1.0, 10.5, 1.0]);
        let again = Start { takes: Takes::All, pause: Duration::ZERO, afresh: true };
        assert_eq!(starts.get(3), Some(&again));
        assert_eq!(starts.get(4), Some(&Start { afresh: false, ..again }));
    }

    #[test]
    fn kills_never_leave_anything_out() {
        assert!(takes(&crashes(Crash::Killed, false, &[0.01; 100])).iter().all(|takes| *takes == Takes::All));
    }

    #[test]
    fn a_kill_before_it_served_does_not_bring_back_what_was_to_be_left_out() {
        for (had_served, takes) in [(false, Takes::WithoutSuspects), (true, Takes::All)] {
            let mut policy = Policy::new();
            let now = Instant::now();
            for _ in 0..STRIKES {
                policy.crashed(now, Crash::Aborted, true);
            }
            assert_eq!(policy.crashed(now, Crash::Killed, had_served).takes, takes);
        }
    }

    #[test]
    fn two_kills_a_second_are_answered_at_once() {
        assert!(paused(&crashes(Crash::Killed, true, &[0.51; 120])).iter().all(|pause| *pause == 0.0));
    }

    #[test]
    fn pauses_double_up_to_five_seconds_and_end_with_peace() {
        let pauses = paused(&crashes(Crash::Aborted, false, &[0.0; 11]));
        assert_eq!(pauses, [0.0, 0.0, 0.0, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]);
        let mut gaps = vec![0.0; 23];
        gaps.push(10.1);
        let pauses = paused(&crashes(Crash::Killed, true, &gaps));
        assert_eq!(pauses.get(19..), Some(&[0.0, 0.1, 0.2, 0.4, 0.0][..]));
    }
}
