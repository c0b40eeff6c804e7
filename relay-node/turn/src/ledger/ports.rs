//! Relay ports of one address family: which are free, and a random one of them in O(1).

use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::address::RelayPort;

/// What is wanted of a port (RFC 8656 section 7.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PortKind {
    /// Nothing.
    Any,
    /// It is even.
    Even,
    /// It is even, and the next one is free and is taken too.
    EvenAndNext,
}

/// So many random picks look for an even port before a scan does.
const RANDOM_PICKS: u64 = 32;
/// Place of a port that is taken.
const TAKEN: u32 = u32::MAX;

#[derive(Debug)]
pub(super) struct PortPool {
    first: u16,
    free: Vec<RelayPort>,
    /// For each port from `first`, where it stands in `free`.
    places: Vec<u32>,
}

impl PortPool {
    pub(super) fn new(ports: &RangeInclusive<u16>) -> Self {
        let free: Vec<_> = ports.clone().map(RelayPort::new).collect();
        Self { first: *ports.start(), places: (0..free.len() as u32).collect(), free }
    }

    pub(super) fn take(&mut self, kind: PortKind, random: u64) -> Option<RelayPort> {
        let port = match kind {
            PortKind::Any => self.pick(random),
            PortKind::Even | PortKind::EvenAndNext => self.pick_even(kind, random),
        }?;
        self.remove(port);
        if let (PortKind::EvenAndNext, Some(next)) = (kind, port.next()) {
            self.remove(next);
        }
        Some(port)
    }

    /// Makes a port free. One that is free already, or not in the range, changes nothing.
    pub(super) fn release(&mut self, port: RelayPort) {
        let free = self.free.len() as u32;
        if let Some(place) = self.place(port)
            && *place == TAKEN
        {
            *place = free;
            self.free.push(port);
        }
    }

    fn pick(&self, random: u64) -> Option<RelayPort> {
        let count = self.free.len() as u64;
        self.free.get(random.checked_rem(count)? as usize).copied()
    }

    fn pick_even(&self, kind: PortKind, random: u64) -> Option<RelayPort> {
        let fits = |port: &RelayPort| {
            port.get().is_multiple_of(2)
                && (kind == PortKind::Even || port.next().is_some_and(|next| self.is_free(next)))
        };
        // An odd multiplier walks through different picks from one random number.
        let mut picks =
            (0..RANDOM_PICKS).filter_map(|n| self.pick(random.wrapping_mul(2 * n + 1) >> (n % 8)));
        picks.find(fits).or_else(|| self.free.iter().find(|port| fits(port)).copied())
    }

    fn is_free(&self, port: RelayPort) -> bool {
        let index = port.get().checked_sub(self.first);
        index.and_then(|index| self.places.get(usize::from(index))).is_some_and(|place| *place != TAKEN)
    }

    fn remove(&mut self, port: RelayPort) {
        let Some(place) = self.place(port) else { return };
        let taken = std::mem::replace(place, TAKEN) as usize;
        if taken >= self.free.len() {
            return;
        }
        self.free.swap_remove(taken);
        if let Some(moved) = self.free.get(taken).copied()
            && let Some(place) = self.place(moved)
        {
            *place = taken as u32;
        }
    }

    fn place(&mut self, port: RelayPort) -> Option<&mut u32> {
        let index = port.get().checked_sub(self.first)?;
        self.places.get_mut(usize::from(index))
    }
}

/// Ports that relayed addresses have, to be asked without a lock.
#[derive(Debug)]
pub(super) struct InUse {
    first: u16,
    words: Box<[AtomicU64]>,
}

impl InUse {
    pub(super) fn new(ports: &RangeInclusive<u16>) -> Self {
        let words = ports.len().div_ceil(64);
        Self { first: *ports.start(), words: (0..words).map(|_| AtomicU64::new(0)).collect() }
    }

    pub(super) fn get(&self, port: RelayPort) -> bool {
        self.word(port).is_some_and(|(word, bit)| word.load(Ordering::Relaxed) & bit != 0)
    }

    pub(super) fn set(&self, port: RelayPort, value: bool) {
        let Some((word, bit)) = self.word(port) else { return };
        if value {
            word.fetch_or(bit, Ordering::Relaxed);
        } else {
            word.fetch_and(!bit, Ordering::Relaxed);
        }
    }

    fn word(&self, port: RelayPort) -> Option<(&AtomicU64, u64)> {
        let index = port.get().checked_sub(self.first)?;
        self.words.get(usize::from(index / 64)).map(|word| (word, 1 << (index % 64)))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Against a set of taken ports: none is given twice, none is lost, and none is refused that exists.
        #[test]
        fn behaves_like_a_set(steps in proptest::collection::vec((0..4u8, any::<u64>()), 0..200)) {
            let range = 50000..=50015;
            let mut pool = PortPool::new(&range);
            let mut taken = BTreeSet::new();
            for (step, random) in steps {
                let kind = [PortKind::Any, PortKind::Even, PortKind::EvenAndNext].get(usize::from(step)).copied();
                let Some(kind) = kind else {
                    if let Some(port) = taken.iter().nth(random as usize % taken.len().max(1)).copied() {
                        taken.remove(&port);
                        pool.release(RelayPort::new(port));
                    }
                    continue;
                };
                let free = |port| range.contains(&port) && !taken.contains(&port);
                let fits = |port: u16| {
                    free(port)
                        && match kind {
                            PortKind::Any => true,
                            PortKind::Even => port.is_multiple_of(2),
                            PortKind::EvenAndNext => port.is_multiple_of(2) && free(port + 1),
                        }
                };
                let exists = range.clone().any(fits);
                let port = pool.take(kind, random).map(RelayPort::get);
                prop_assert_eq!(port.is_some(), exists);
                if let Some(port) = port {
                    prop_assert!(fits(port));
                    taken.insert(port);
                    if kind == PortKind::EvenAndNext {
                        taken.insert(port + 1);
                    }
                }
                prop_assert_eq!(pool.free.len() + taken.len(), range.len());
            }
        }
    }

    #[test]
    fn releasing_twice_or_a_foreign_port_changes_nothing() {
        let mut pool = PortPool::new(&(50000..=50001));
        let port = pool.take(PortKind::Any, 0).unwrap();
        pool.release(port);
        pool.release(port);
        pool.release(RelayPort::new(40000));
        pool.release(RelayPort::new(50002));
        assert_eq!(pool.free.len(), 2);
    }

    #[test]
    fn every_port_is_picked_sooner_or_later() {
        let mut seen = BTreeSet::new();
        for random in 0..16 {
            let mut pool = PortPool::new(&(50000..=50015));
            seen.extend(pool.take(PortKind::Any, random));
        }
        assert_eq!(seen.len(), 16);
    }
}
