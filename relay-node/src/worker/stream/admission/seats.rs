//! The places that are taken, in the order in which they are given up.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::super::ranking::Ranking;
use super::super::source::{Party, Source};
use super::Seat;

/// Connections with an allocation that are looked at, at most, to find one that is not in use.
const LOOKS: usize = 16;

/// Every step takes time that grows with the logarithm of their number.
#[derive(Default)]
pub(super) struct Seats {
    taken: HashMap<Seat, Taken>,
    /// Of each host those without an allocation, then those with one; both the oldest first.
    order: BTreeMap<Rank, Seat>,
    /// Who has how many without an allocation, and who has how many at all.
    idle: Ranking,
    all: Ranking,
    ranked: u64,
}

struct Taken {
    rank: Rank,
    active: Arc<AtomicBool>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    source: Source,
    has_allocation: bool,
    since: u64,
}

impl Seats {
    /// How many are taken.
    pub(super) fn len(&self) -> usize {
        self.taken.len()
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.taken.is_empty() && self.order.is_empty() && self.idle.is_empty() && self.all.is_empty()
    }

    /// How many `party` has.
    pub(super) fn of(&self, party: Party) -> usize {
        self.all.of(party)
    }

    /// Takes one for `source`.
    pub(super) fn add(&mut self, seat: Seat, source: Source, active: Arc<AtomicBool>) {
        self.insert(seat, source, false, active);
    }

    /// Gives one up, if it is still taken.
    pub(super) fn remove(&mut self, seat: Seat) {
        drop(self.take(seat));
    }

    /// Hands one to another source, whose host may have `most`; else, or if it is no longer taken, it is
    /// given up.
    pub(super) fn move_to(&mut self, seat: Seat, source: Source, most: usize) -> bool {
        let Some(Taken { rank, active }) = self.take(seat) else { return false };
        let is_allowed = self.of(source.host) < most;
        if is_allowed {
            self.insert(seat, source, rank.has_allocation, active);
        }
        is_allowed
    }

    /// Notes whether an allocation depends on one.
    pub(super) fn set_allocation(&mut self, seat: Seat, has_allocation: bool) {
        if let Some(Taken { rank, active }) = self.take(seat) {
            self.insert(seat, rank.source, has_allocation, active);
        }
    }

    /// Gives up the one that deserves it least, for a newcomer from `source`; whose it was.
    pub(super) fn make_room(&mut self, source: Source) -> Option<Seat> {
        let of_idle = || self.idle.gives_way(source, &self.all);
        let most = of_idle().or_else(|| self.all.gives_way(source, &self.all))?;
        let seat = self.first(most, false).or_else(|| self.least_used(most))?;
        self.take(seat);
        Some(seat)
    }

    /// One with an allocation that was not in use lately, if one is found soon.
    fn least_used(&mut self, source: Source) -> Option<Seat> {
        for _ in 0..LOOKS {
            let seat = self.first(source, true)?;
            let is_active = self.taken.get(&seat).is_some_and(|it| it.active.swap(false, Ordering::Relaxed));
            if !is_active {
                return Some(seat);
            }
            // Its turn comes again behind all others.
            let Taken { rank, active } = self.take(seat)?;
            self.insert(seat, source, rank.has_allocation, active);
        }
        self.first(source, true)
    }

    fn first(&self, source: Source, has_allocation: bool) -> Option<Seat> {
        let rank = |since| Rank { source, has_allocation, since };
        self.order.range(rank(0)..=rank(u64::MAX)).next().map(|(_, seat)| *seat)
    }

    fn insert(&mut self, seat: Seat, source: Source, has_allocation: bool, active: Arc<AtomicBool>) {
        self.ranked += 1;
        let rank = Rank { source, has_allocation, since: self.ranked };
        self.order.insert(rank, seat);
        self.taken.insert(seat, Taken { rank, active });
        self.all.add(source);
        if !has_allocation {
            self.idle.add(source);
        }
    }

    fn take(&mut self, seat: Seat) -> Option<Taken> {
        let taken = self.taken.remove(&seat)?;
        self.order.remove(&taken.rank);
        self.all.remove(taken.rank.source);
        if !taken.rank.has_allocation {
            self.idle.remove(taken.rank.source);
        }
        Some(taken)
    }
}
