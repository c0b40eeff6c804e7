//! The places that are taken, in the order in which they are given up.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::Seat;

/// Connections with an allocation that are looked at, at most, to find one that is not in use.
const LOOKS: usize = 16;

/// Every step takes time that grows with the logarithm of their number.
#[derive(Default)]
pub(super) struct Seats {
    taken: HashMap<Seat, Taken>,
    sources: HashMap<IpAddr, Count>,
    /// Of each source those without an allocation, then those with one; both the oldest first.
    order: BTreeMap<Rank, Seat>,
    /// Sources by how many they have without an allocation, and by how many they have at all.
    by_idle: BTreeSet<(usize, IpAddr)>,
    by_all: BTreeSet<(usize, IpAddr)>,
    ranked: u64,
}

struct Taken {
    rank: Rank,
    active: Arc<AtomicBool>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    source: IpAddr,
    has_allocation: bool,
    since: u64,
}

#[derive(Clone, Copy, Default)]
struct Count {
    idle: usize,
    all: usize,
}

impl Seats {
    /// How many are taken.
    pub(super) fn len(&self) -> usize {
        self.taken.len()
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.taken.is_empty()
            && self.sources.is_empty()
            && self.order.is_empty()
            && self.by_idle.is_empty()
            && self.by_all.is_empty()
    }

    /// How many `source` has.
    pub(super) fn of(&self, source: IpAddr) -> usize {
        self.sources.get(&source).map_or(0, |count| count.all)
    }

    /// Takes one for `source`.
    pub(super) fn add(&mut self, seat: Seat, source: IpAddr, active: Arc<AtomicBool>) {
        self.insert(seat, source, false, active);
    }

    /// Gives one up, if it is still taken.
    pub(super) fn remove(&mut self, seat: Seat) {
        drop(self.take(seat));
    }

    /// Hands one to another source, which may have `most`; else, or if it is no longer taken, it is
    /// given up.
    pub(super) fn move_to(&mut self, seat: Seat, source: IpAddr, most: usize) -> bool {
        let Some(Taken { rank, active }) = self.take(seat) else { return false };
        let is_allowed = self.of(source) < most;
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
    pub(super) fn make_room(&mut self, source: IpAddr) -> Option<Seat> {
        // With fewer the newcomer's source would have the most afterwards.
        let enough = self.of(source) + 2;
        let idle = self.by_idle.last().map(|(_, most)| *most).filter(|most| self.of(*most) >= enough);
        let seat = match idle {
            Some(most) => self.first(most, false),
            None => None,
        };
        let seat = match seat {
            Some(seat) => seat,
            None => {
                let (_, most) = self.by_all.last().copied().filter(|(count, _)| *count >= enough)?;
                self.least_used(most)?
            }
        };
        self.take(seat);
        Some(seat)
    }

    /// One with an allocation that was not in use lately, if one is found soon.
    fn least_used(&mut self, source: IpAddr) -> Option<Seat> {
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

    fn first(&self, source: IpAddr, has_allocation: bool) -> Option<Seat> {
        let rank = |since| Rank { source, has_allocation, since };
        self.order.range(rank(0)..=rank(u64::MAX)).next().map(|(_, seat)| *seat)
    }

    fn insert(&mut self, seat: Seat, source: IpAddr, has_allocation: bool, active: Arc<AtomicBool>) {
        self.ranked += 1;
        let rank = Rank { source, has_allocation, since: self.ranked };
        self.order.insert(rank, seat);
        self.taken.insert(seat, Taken { rank, active });
        self.count(source, |count| {
            count.all += 1;
            count.idle += usize::from(!has_allocation);
        });
    }

    fn take(&mut self, seat: Seat) -> Option<Taken> {
        let taken = self.taken.remove(&seat)?;
        self.order.remove(&taken.rank);
        self.count(taken.rank.source, |count| {
            count.all -= 1;
            count.idle -= usize::from(!taken.rank.has_allocation);
        });
        Some(taken)
    }

    /// Changes the count of `source`, and its place among the sources.
    fn count(&mut self, source: IpAddr, change: impl FnOnce(&mut Count)) {
        let count = self.sources.entry(source).or_default();
        self.by_idle.remove(&(count.idle, source));
        self.by_all.remove(&(count.all, source));
        change(count);
        if count.idle > 0 {
            self.by_idle.insert((count.idle, source));
        }
        if count.all > 0 {
            self.by_all.insert((count.all, source));
        } else {
            self.sources.remove(&source);
        }
    }
}
