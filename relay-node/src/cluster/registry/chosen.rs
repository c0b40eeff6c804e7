//! How often this relay has sent clients to a node that the node's own count does not show yet.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

/// The choices of one node.
///
/// Workers count up. Once the node has told a load that shows choices, they are taken off again: those that were made
/// when the last mark before that moment was set. A choice is rather counted twice for a second than not at all. While
/// Redis is away no load is told: then choices count for some seconds only, for nobody knows how many calls have ended.
#[derive(Debug, Default)]
pub(super) struct Chosen {
    /// Since the load that is known was told.
    count: Arc<AtomicU32>,
    /// How many have been taken off.
    settled: u32,
    /// How many there had been in all at these moments.
    marks: VecDeque<(Instant, u32)>,
}

/// Marks are set each second, and a load is at most 2.5 s old where Redis answers.
const MOST_MARKS: usize = 8;

impl Chosen {
    /// What workers count.
    pub(super) fn count(&self) -> &Arc<AtomicU32> {
        &self.count
    }

    /// Remembers how many there have been by now.
    pub(super) fn mark(&mut self, now: Instant) {
        if self.marks.len() == MOST_MARKS
            && let Some((oldest, _)) = self.marks.front().copied()
        {
            self.settle(oldest);
        }
        let total = self.settled.wrapping_add(self.count.load(Ordering::Relaxed));
        self.marks.push_back((now, total));
    }

    /// The node's load is known as it was at `told`.
    pub(super) fn settle(&mut self, told: Instant) {
        while let Some((_, total)) = self.marks.pop_front_if(|(at, _)| *at <= told) {
            let shown = total.wrapping_sub(self.settled);
            self.count.fetch_sub(shown, Ordering::Relaxed);
            self.settled = total;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_choice_counts_until_a_load_that_shows_it_is_told() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let mut chosen = Chosen::default();
        let choose = |chosen: &Chosen, times| chosen.count().fetch_add(times, Ordering::Relaxed);
        let left = |chosen: &Chosen| chosen.count().load(Ordering::Relaxed);

        choose(&chosen, 10);
        chosen.mark(at(1000));
        choose(&chosen, 5);
        // Told before the mark: it may show none of them.
        chosen.settle(at(900));
        assert_eq!(left(&chosen), 15);
        chosen.settle(at(1500));
        assert_eq!(left(&chosen), 5);
        chosen.mark(at(2000));
        choose(&chosen, 1);
        chosen.settle(at(2500));
        assert_eq!(left(&chosen), 1);
    }

    #[test]
    fn without_a_load_a_choice_counts_for_a_while_only() {
        let start = Instant::now();
        let mut chosen = Chosen::default();
        for second in 0..100 {
            chosen.count().fetch_add(1, Ordering::Relaxed);
            chosen.mark(start + Duration::from_secs(second));
        }
        assert_eq!(chosen.marks.len(), MOST_MARKS);
        assert_eq!(chosen.count().load(Ordering::Relaxed) as usize, MOST_MARKS);
    }
}
