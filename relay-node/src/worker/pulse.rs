//! Whether the workers still take their rounds.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::mailbox::Mailbox;

/// Looks in this part of the patience count for no more: the thread that looks may have stood still itself,
/// and the workers with it, such as in a machine that was suspended.
const PART: u32 = 8;

/// What a thread knows of the workers that asks them again and again.
#[derive(Debug, Default)]
pub(super) struct Pulse {
    looked: Option<Instant>,
    /// Since they were asked.
    asked: Duration,
    /// How long each has owed an answer.
    silent: Vec<Duration>,
}

impl Pulse {
    /// Takes the answers and asks again; the first worker that has owed its one for as long as `patience`.
    pub(super) fn look(
        &mut self,
        now: Instant,
        mailboxes: &[Arc<Mailbox>],
        patience: Duration,
    ) -> Option<usize> {
        let most = patience / PART;
        let passed = self.looked.replace(now).map_or(most, |looked| now.duration_since(looked).min(most));
        self.silent.resize(mailboxes.len(), Duration::ZERO);
        for (silent, mailbox) in self.silent.iter_mut().zip(mailboxes) {
            *silent = if mailbox.has_been_opened() { Duration::ZERO } else { *silent + passed };
        }
        self.asked += passed;
        if self.asked >= most {
            self.asked = Duration::ZERO;
            mailboxes.iter().for_each(|mailbox| mailbox.ask_to_open());
        }
        self.silent.iter().position(|silent| *silent >= patience)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(8);
    const ROUND: Duration = Duration::from_millis(50);

    fn mailboxes() -> Vec<Arc<Mailbox>> {
        (0..2).map(|_| Arc::new(Mailbox::new().unwrap())).collect()
    }

    #[test]
    fn who_does_not_answer_for_so_long_has_stalled() {
        let (mailboxes, mut pulse, start) = (mailboxes(), Pulse::default(), Instant::now());
        let stalled = (0..).find_map(|round| {
            mailboxes[0].open();
            pulse.look(start + round * ROUND, &mailboxes, PATIENCE).map(|worker| (worker, round * ROUND))
        });
        let (worker, after) = stalled.unwrap();
        assert_eq!(worker, 1);
        assert!(after >= PATIENCE && after <= PATIENCE + 2 * ROUND, "{after:?}");
    }

    #[test]
    fn who_answers_now_and_then_has_not() {
        let (mailboxes, mut pulse, start) = (mailboxes(), Pulse::default(), Instant::now());
        for round in 0..1000 {
            if round % 100 == 0 {
                mailboxes.iter().for_each(|mailbox| mailbox.open());
            }
            assert_eq!(pulse.look(start + round * ROUND, &mailboxes, PATIENCE), None);
        }
    }

    #[test]
    fn a_machine_that_stood_still_is_no_stalled_worker() {
        let (mailboxes, mut pulse, start) = (mailboxes(), Pulse::default(), Instant::now());
        for hours in 0..5 {
            let now = start + Duration::from_secs(3600) * hours;
            assert_eq!(pulse.look(now, &mailboxes, PATIENCE), None);
        }
    }
}
