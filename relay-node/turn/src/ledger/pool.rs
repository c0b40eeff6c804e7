//! Free relay ports: a random one of each kind in O(1).

use std::ops::RangeInclusive;

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

/// The free ports, with a set for each kind, so that none has to be looked for.
#[derive(Debug)]
pub(super) struct PortPool {
    ports: RangeInclusive<u16>,
    any: PortSet,
    even: PortSet,
    /// Even ports that are free together with the next one.
    pairs: PortSet,
}

impl PortPool {
    pub(super) fn new(ports: &RangeInclusive<u16>) -> Self {
        let [any, even, pairs] = [(); 3].map(|()| PortSet::within(ports));
        let mut pool = Self { ports: ports.clone(), any, even, pairs };
        for port in ports.clone() {
            pool.release(RelayPort::new(port));
        }
        pool
    }

    /// Takes one of `kind`, each as likely as the others; `random` says which.
    pub(super) fn take(&mut self, kind: PortKind, random: u64) -> Option<RelayPort> {
        let set = match kind {
            PortKind::Any => &self.any,
            PortKind::Even => &self.even,
            PortKind::EvenAndNext => &self.pairs,
        };
        let port = set.pick(random)?;
        self.remove(port);
        if let (PortKind::EvenAndNext, Some(next)) = (kind, port.next()) {
            self.remove(next);
        }
        Some(port)
    }

    /// Takes that port, if it is free.
    pub(super) fn claim(&mut self, port: RelayPort) -> bool {
        let free = self.any.contains(port);
        self.remove(port);
        free
    }

    /// Makes a port free. One that is free already, or not in the range, changes nothing.
    pub(super) fn release(&mut self, port: RelayPort) {
        if !self.ports.contains(&port.get()) {
            return;
        }
        self.any.insert(port);
        let even = port.even();
        if even == port {
            self.even.insert(even);
        }
        if self.any.contains(even) && even.next().is_some_and(|next| self.any.contains(next)) {
            self.pairs.insert(even);
        }
    }

    fn remove(&mut self, port: RelayPort) {
        self.any.remove(port);
        self.even.remove(port);
        self.pairs.remove(port.even());
    }
}

/// Place of a port that is not in the set. There are at most 65,535 ports, so none stands there.
const ABSENT: u16 = u16::MAX;

/// A set of ports that can be picked from at random.
#[derive(Debug)]
struct PortSet {
    first: u16,
    ports: Vec<RelayPort>,
    /// For each port from `first`, where it stands in `ports`.
    places: Box<[u16]>,
}

impl PortSet {
    fn within(range: &RangeInclusive<u16>) -> Self {
        Self {
            first: *range.start(),
            ports: Vec::new(),
            places: vec![ABSENT; range.len()].into_boxed_slice(),
        }
    }

    fn pick(&self, random: u64) -> Option<RelayPort> {
        let count = self.ports.len() as u64;
        self.ports.get(random.checked_rem(count)? as usize).copied()
    }

    fn contains(&self, port: RelayPort) -> bool {
        let index = port.get().checked_sub(self.first);
        index.and_then(|index| self.places.get(usize::from(index))).is_some_and(|place| *place != ABSENT)
    }

    fn insert(&mut self, port: RelayPort) {
        let free = self.ports.len() as u16;
        if let Some(place) = self.place(port)
            && *place == ABSENT
        {
            *place = free;
            self.ports.push(port);
        }
    }

    fn remove(&mut self, port: RelayPort) {
        let Some(place) = self.place(port) else { return };
        let gone = std::mem::replace(place, ABSENT);
        if gone == ABSENT {
            return;
        }
        self.ports.swap_remove(usize::from(gone));
        if let Some(moved) = self.ports.get(usize::from(gone)).copied()
            && let Some(place) = self.place(moved)
        {
            *place = gone;
        }
    }

    fn place(&mut self, port: RelayPort) -> Option<&mut u16> {
        let index = port.get().checked_sub(self.first)?;
        self.places.get_mut(usize::from(index))
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
        fn behaves_like_a_set(steps in proptest::collection::vec((0..5u8, any::<u64>()), 0..200)) {
            let range = 50000..=50015;
            let mut pool = PortPool::new(&range);
            let mut taken = BTreeSet::new();
            for (step, random) in steps {
                if step == 4 {
                    // One on either side of the range too.
                    let port = 49999 + (random % 18) as u16;
                    let free = range.contains(&port) && taken.insert(port);
                    prop_assert_eq!(pool.claim(RelayPort::new(port)), free);
                    continue;
                }
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
                prop_assert_eq!(pool.any.ports.len() + taken.len(), range.len());
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
        assert_eq!(pool.any.ports.len(), 2);
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
