//! The nodes that this one knows by now, and for how long it goes on with what it knows.
//!
//! Redis forgets an entry that is not renewed, and says with each for how long it will keep it: for that long an entry
//! is believed here, counted from before it was asked for. So a node that has died is nobody's choice once its entry
//! would be gone, read again or not.
//!
//! That holds while Redis answers. Once it does not, no node can renew its entry, and what is known by then is the best
//! that anybody knows: it stays until Redis is back, and then for as long as an entry lives, so that the others, who come
//! back at the same time, can tell of themselves again.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::chosen::Chosen;
use super::entry::{Distrust, Entry, NodeName};
use super::snapshot::Choice;

/// How long Redis keeps an entry that is not renewed.
pub(super) const LIFE: Duration = Duration::from_millis(2500);

/// More than three rounds of samples bring.
const MOST: usize = 512;

/// The nodes that are known, each with the choices of it.
#[derive(Debug, Default)]
pub(super) struct Known {
    nodes: HashMap<NodeName, Seen>,
    /// Whether Redis did not answer when it was last asked.
    away: bool,
}

#[derive(Debug)]
struct Seen {
    entry: Arc<Entry>,
    chosen: Chosen,
    until: Instant,
}

impl Known {
    /// Takes an entry that Redis keeps for `left` more, as it said to who asked at `now`.
    ///
    /// # Errors
    /// When a newer one of that node is known.
    pub(super) fn take(&mut self, entry: Entry, now: Instant, left: Duration) -> Result<(), Distrust> {
        let left = left.min(LIFE);
        let until = now + left;
        let told = until.checked_sub(LIFE).unwrap_or(now);
        let has_room = self.nodes.len() < MOST;
        match self.nodes.get_mut(&entry.name) {
            Some(seen) if seen.entry.life == entry.life => {
                if entry.renewal < seen.entry.renewal {
                    return Err(Distrust::Old);
                }
                // Kept longer without being renewed: that was not the node.
                if entry.renewal > seen.entry.renewal {
                    seen.until = until;
                }
                seen.chosen.settle(told);
                seen.entry = Arc::new(entry);
            }
            Some(seen) if seen.entry.life > entry.life => return Err(Distrust::Old),
            Some(seen) => *seen = Seen::new(entry, until),
            None if has_room => {
                self.nodes.insert(entry.name.clone(), Seen::new(entry, until));
            }
            None => {}
        }
        Ok(())
    }

    /// Forgets a node that is gone.
    pub(super) fn forget(&mut self, name: &NodeName) {
        self.nodes.remove(name);
    }

    /// Redis did not answer: nothing is forgotten from now on.
    pub(super) fn keep(&mut self) {
        self.away = true;
    }

    /// Redis has answered.
    pub(super) fn answered(&mut self, now: Instant) {
        if std::mem::take(&mut self.away) {
            for seen in self.nodes.values_mut() {
                seen.until = seen.until.max(now + LIFE);
            }
        }
    }

    /// Remembers how often each node has been chosen by now.
    pub(super) fn mark(&mut self, now: Instant) {
        self.nodes.values_mut().for_each(|seen| seen.chosen.mark(now));
    }

    /// Forgets the nodes whose time is over; whether there were any.
    pub(super) fn lapse(&mut self, now: Instant) -> bool {
        let before = self.nodes.len();
        if !self.away {
            self.nodes.retain(|_, seen| seen.until > now);
        }
        self.nodes.len() < before
    }

    /// When the next one's time is over.
    pub(super) fn next_lapse(&self) -> Option<Instant> {
        if self.away { None } else { self.nodes.values().map(|seen| seen.until).min() }
    }

    /// All of them.
    pub(super) fn choices(&self) -> impl Iterator<Item = Choice> {
        self.nodes.values().map(|seen| Choice {
            entry: Arc::clone(&seen.entry),
            chosen: Arc::clone(seen.chosen.count()),
            own: false,
        })
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }
}

impl Seen {
    fn new(entry: Entry, until: Instant) -> Self {
        Self { entry: Arc::new(entry), chosen: Chosen::default(), until }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::*;
    use crate::cluster::registry::entry::Life;
    use crate::cluster::registry::fixtures::{entry, name};

    struct World {
        known: Known,
        start: Instant,
    }

    impl World {
        fn new() -> Self {
            Self { known: Known::default(), start: Instant::now() }
        }

        fn at(&self, millis: u64) -> Instant {
            self.start + Duration::from_millis(millis)
        }

        fn take(&mut self, entry: Entry, at: u64, left: u64) -> Result<(), Distrust> {
            let at = self.at(at);
            self.known.take(entry, at, Duration::from_millis(left))
        }

        fn knows(&mut self, name: &str, at: u64) -> bool {
            let at = self.at(at);
            self.known.lapse(at);
            self.known.nodes.contains_key(name)
        }
    }

    fn renewed(renewal: u64) -> Entry {
        Entry { renewal, ..entry("a", 1) }
    }

    #[test]
    fn an_entry_is_believed_for_as_long_as_redis_keeps_it() {
        let mut world = World::new();
        world.take(renewed(1), 0, 1600).unwrap();
        assert_eq!(world.known.next_lapse(), Some(world.at(1600)));
        assert!(world.knows("a", 1599));
        assert!(!world.knows("a", 1600));
        // Whatever Redis says: nobody's entry lives longer than that.
        world.take(renewed(2), 2000, 3_600_000).unwrap();
        assert!(!world.knows("a", 4500));
    }

    #[test]
    fn an_entry_that_is_kept_without_being_renewed_is_not_believed_for_longer() {
        let mut world = World::new();
        world.take(renewed(1), 0, 2500).unwrap();
        world.take(renewed(1), 1000, 2500).unwrap();
        assert!(!world.knows("a", 2500));
    }

    #[test]
    fn what_is_known_stays_while_redis_is_away_and_until_others_can_be_back() {
        let mut world = World::new();
        world.take(renewed(1), 0, 2000).unwrap();
        world.known.keep();
        assert_eq!(world.known.next_lapse(), None);
        assert!(world.knows("a", 60_000));
        world.known.answered(world.at(60_000));
        assert!(world.knows("a", 62_499));
        assert!(!world.knows("a", 62_500));
    }

    #[test]
    fn an_older_entry_does_not_take_a_newer_ones_place() {
        let mut world = World::new();
        world.take(renewed(5), 0, 2500).unwrap();
        assert_eq!(world.take(renewed(4), 100, 2500), Err(Distrust::Old));
        let of = |began_at| Entry { life: Life { began_at, incarnation: 3 }, ..entry("a", 1) };
        let before = renewed(1).life.began_at - 1;
        assert_eq!(world.take(of(before), 200, 2500), Err(Distrust::Old));
        world.take(of(before + 2), 300, 2500).unwrap();
        assert_eq!(world.known.choices().next().unwrap().entry.life.began_at, before + 2);
    }

    #[test]
    fn choices_count_until_the_node_tells_of_them_whatever_is_read_meanwhile() {
        let mut world = World::new();
        world.take(renewed(1), 0, 2500).unwrap();
        let count = world.known.choices().next().unwrap().chosen;
        count.fetch_add(7, Ordering::Relaxed);
        world.known.mark(world.at(1000));
        // Told at 900, before the mark.
        world.take(renewed(2), 1000, 2400).unwrap();
        assert_eq!(count.load(Ordering::Relaxed), 7);
        // Told at 1900.
        world.take(renewed(3), 2000, 2400).unwrap();
        assert_eq!(count.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn there_is_room_for_a_bounded_number() {
        let mut world = World::new();
        for number in 0..MOST + 50 {
            world.take(entry(&format!("n{number}"), 1), 0, 2500).unwrap();
        }
        assert_eq!(world.known.len(), MOST);
        world.known.forget(&name("n1"));
        assert_eq!(world.known.len(), MOST - 1);
    }
}
