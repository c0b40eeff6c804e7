//! The nodes that this one knows by now, and for how long it goes on with what it knows.
//!
//! Known are those that were read last: who has left, drains or has become full is not known for longer than from one round
//! to the next. Redis forgets an entry that is not renewed, and says with each for how long it will keep it: it is not
//! believed for longer, counted from before it was asked for. So a node that has died is nobody's choice once its entry is
//! gone, read again or not.
//!
//! That holds while Redis answers. Once it does not, no node can renew its entry, and what is known by then is the best
//! that anybody knows: it stays until Redis is back, and then for as long as an entry lives, so that the others, who come
//! back at the same time, can tell of themselves again. The same goes for a Redis that has lost what it had.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::chosen::Chosen;
use super::entry::{CLOCKS_APART, Distrust, Entry, NodeName};
use super::snapshot::Choice;

/// How long Redis keeps an entry that is not renewed.
pub(super) const LIFE: Duration = Duration::from_millis(2500);

/// For how long what a node told last is remembered: later it is refused for its age.
const REMEMBERED: Duration = Duration::from_millis(2 * CLOCKS_APART);

/// The nodes that are known, each with the choices of it.
#[derive(Debug, Default)]
pub(super) struct Known {
    nodes: HashMap<NodeName, Seen>,
    /// Whether Redis did not answer when it was last asked.
    away: bool,
    /// Until when others may not have told of themselves again.
    grace: Option<Instant>,
}

#[derive(Debug)]
struct Seen {
    entry: Arc<Entry>,
    chosen: Chosen,
    read: Instant,
    until: Instant,
    /// It is known no more, but what it told last is remembered, so that nobody can bring that back.
    is_over: bool,
}

impl Known {
    /// Takes an entry that Redis keeps for `left` more, as it said to who asked at `now`.
    ///
    /// # Errors
    /// When a newer one of that node has been read.
    pub(super) fn take(&mut self, entry: Entry, now: Instant, left: Duration) -> Result<(), Distrust> {
        let until = now + left.min(LIFE);
        let told = until.checked_sub(LIFE).unwrap_or(now);
        let Some(seen) = self.nodes.get_mut(&entry.name).filter(|seen| seen.entry.life >= entry.life) else {
            let name = entry.name.clone();
            let entry = Arc::new(entry);
            self.nodes
                .insert(name, Seen { entry, chosen: Chosen::default(), read: now, until, is_over: false });
            return Ok(());
        };
        if seen.entry.life > entry.life || seen.entry.renewal > entry.renewal {
            return Err(Distrust::Old);
        }
        // Kept longer without being renewed: that was not the node.
        if entry.renewal > seen.entry.renewal {
            seen.until = until;
            seen.chosen.settle(told);
            seen.entry = Arc::new(entry);
        }
        seen.read = now;
        seen.is_over = seen.until <= now;
        Ok(())
    }

    /// Redis did not answer: nobody is forgotten from now on.
    pub(super) fn keep(&mut self) {
        self.away = true;
    }

    /// Redis has answered, and may have lost what it had.
    pub(super) fn answered(&mut self, now: Instant, has_lost: bool) {
        if std::mem::take(&mut self.away) || has_lost {
            self.grace = Some(now + LIFE);
            for seen in self.nodes.values_mut().filter(|seen| !seen.is_over) {
                seen.until = seen.until.max(now + LIFE);
            }
        }
    }

    /// Knows none but these any more, unless others may be there that have not told of themselves again.
    pub(super) fn keep_only(&mut self, names: &[NodeName], now: Instant) {
        if self.grace.is_none_or(|end| end <= now) {
            self.grace = None;
            let others = self.nodes.iter_mut().filter(|(name, _)| !names.contains(name));
            others.for_each(|(_, seen)| seen.is_over = true);
        }
    }

    /// Remembers how often each node has been chosen by now.
    pub(super) fn mark(&mut self, now: Instant) {
        self.nodes.values_mut().for_each(|seen| seen.chosen.mark(now));
    }

    /// Knows those no more whose time is over.
    pub(super) fn lapse(&mut self, now: Instant) {
        if !self.away {
            self.nodes.values_mut().for_each(|seen| seen.is_over |= seen.until <= now);
        }
        self.nodes.retain(|_, seen| !seen.is_over || now.duration_since(seen.read) < REMEMBERED);
    }

    /// When the next one's time is over.
    pub(super) fn next_lapse(&self) -> Option<Instant> {
        if self.away { None } else { self.known().map(|seen| seen.until).min() }
    }

    /// All of them.
    pub(super) fn choices(&self) -> impl Iterator<Item = Choice> {
        self.known().map(|seen| Choice {
            entry: Arc::clone(&seen.entry),
            chosen: Arc::clone(seen.chosen.count()),
            own: false,
        })
    }

    fn known(&self) -> impl Iterator<Item = &Seen> {
        self.nodes.values().filter(|seen| !seen.is_over)
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
            self.known.choices().any(|choice| choice.entry.name.as_str() == name)
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
        world.known.answered(world.at(60_000), false);
        world.known.keep_only(&[], world.at(60_000));
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
    fn nobody_can_bring_back_what_a_dead_node_told() {
        let mut world = World::new();
        world.take(renewed(5), 0, 2500).unwrap();
        assert!(!world.knows("a", 2500));
        world.take(renewed(5), 3000, 2500).unwrap();
        assert!(!world.knows("a", 3000));
        assert_eq!(world.take(renewed(4), 3000, 2500), Err(Distrust::Old));
        world.take(renewed(6), 3500, 2500).unwrap();
        assert!(world.knows("a", 3500));
        // Its age speaks for itself by then.
        world.knows("a", 200_000);
        assert!(world.known.nodes.is_empty());
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
    fn who_is_read_no_more_is_forgotten_unless_redis_has_forgotten_it_too() {
        let mut world = World::new();
        world.take(renewed(1), 0, 2500).unwrap();
        world.take(entry("b", 1), 0, 2500).unwrap();
        world.known.answered(world.at(1000), true);
        world.known.keep_only(&[name("b")], world.at(1000));
        assert!(world.knows("a", 3499) && world.knows("b", 3499));
        world.take(renewed(2), 3499, 2500).unwrap();
        world.take(Entry { renewal: 2, ..entry("b", 1) }, 3499, 2500).unwrap();
        world.known.answered(world.at(3500), false);
        world.known.keep_only(&[name("b")], world.at(3500));
        assert!(!world.knows("a", 3500) && world.knows("b", 3500));
    }
}
