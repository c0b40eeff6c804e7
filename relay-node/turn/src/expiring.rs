//! A map whose entries all last equally long: what is set again lives longest.
//!
//! The entries stand in the order in which they end, each linked to the next, so that setting, finding
//! and ending one costs the same however many there are. A few of them are found without an index: most
//! allocations have one or two peers, and then this is one short piece of memory.

use std::collections::HashMap;
use std::hash::Hash;

use ahash::RandomState;

use crate::time::Monotonic;

/// So many entries are looked through; more have an index.
const FEW: usize = 8;
/// The link of the first entry and of the last one.
const NONE: u32 = u32::MAX;

#[derive(Debug)]
pub(crate) struct Expiring<K, V> {
    entries: Vec<Entry<K, V>>,
    /// Where each key stands in `entries`; only if these are more than a few.
    #[expect(
        clippy::box_collection,
        reason = "an empty map takes 64 bytes of every allocation, three times"
    )]
    index: Option<Box<HashMap<K, u32, RandomState>>>,
    oldest: u32,
    newest: u32,
}

#[derive(Debug)]
struct Entry<K, V> {
    key: K,
    value: V,
    expires: Monotonic,
    older: u32,
    newer: u32,
}

impl<K: Copy + Eq + Hash, V> Expiring<K, V> {
    pub(crate) fn new() -> Self {
        Self { entries: Vec::new(), index: None, oldest: NONE, newest: NONE }
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The entry of `key` and when it ends, ended or not.
    pub(crate) fn get(&self, key: &K) -> Option<(&V, Monotonic)> {
        let entry = self.entry(self.find(key)?)?;
        Some((&entry.value, entry.expires))
    }

    /// Sets the entry of `key`, which ends after all others.
    pub(crate) fn set(&mut self, key: K, value: V, expires: Monotonic, hasher: &RandomState) {
        match self.find(&key) {
            Some(at) => {
                self.unlink(at);
                if let Some(entry) = self.entry_mut(at) {
                    (entry.value, entry.expires) = (value, expires);
                }
                self.link_newest(at);
            }
            None => {
                let at = self.entries.len() as u32;
                if self.entries.len() == self.entries.capacity() {
                    // Room for one, not for the four that a Vec begins with: most allocations have one peer.
                    self.entries.reserve_exact(self.entries.len().max(1));
                }
                self.entries.push(Entry { key, value, expires, older: NONE, newer: NONE });
                self.link_newest(at);
                self.note(key, at, hasher);
            }
        }
    }

    /// When the next one ends.
    pub(crate) fn next_deadline(&self) -> Option<Monotonic> {
        self.entry(self.oldest).map(|entry| entry.expires)
    }

    /// Removes those that have ended, and hands each one's value out.
    pub(crate) fn expire(&mut self, now: Monotonic, mut gone: impl FnMut(V)) {
        while self.next_deadline().is_some_and(|deadline| deadline <= now) {
            self.remove(self.oldest).into_iter().for_each(&mut gone);
        }
    }

    /// Removes those that are not to be kept, and hands each one's value out. It looks at all of them.
    pub(crate) fn retain(&mut self, keep: impl Fn(&K, &V) -> bool, mut gone: impl FnMut(V)) {
        let mut at = self.oldest;
        while let Some(entry) = self.entry(at) {
            let newer = entry.newer;
            if keep(&entry.key, &entry.value) {
                at = newer;
            } else {
                // What stood last stands at `at` now; it may be the very next one.
                let last = self.entries.len() as u32 - 1;
                self.remove(at).into_iter().for_each(&mut gone);
                at = if newer == last { at } else { newer };
            }
        }
    }

    /// All of them, in no order: ended ones too.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&K, &V, Monotonic)> {
        self.entries.iter().map(|entry| (&entry.key, &entry.value, entry.expires))
    }

    /// The values of all of them.
    pub(crate) fn into_values(self) -> impl Iterator<Item = V> {
        self.entries.into_iter().map(|entry| entry.value)
    }

    fn find(&self, key: &K) -> Option<u32> {
        match &self.index {
            Some(index) => index.get(key).copied(),
            None => self.entries.iter().position(|entry| entry.key == *key).map(|at| at as u32),
        }
    }

    /// Writes down where `key` stands, in an index that is made when it is first needed.
    fn note(&mut self, key: K, at: u32, hasher: &RandomState) {
        if let Some(index) = &mut self.index {
            index.insert(key, at);
        } else if self.entries.len() > FEW {
            let mut index = HashMap::with_hasher(hasher.clone());
            index.extend((0..).zip(&self.entries).map(|(at, entry)| (entry.key, at)));
            self.index = Some(Box::new(index));
        }
    }

    fn remove(&mut self, at: u32) -> Option<V> {
        self.unlink(at);
        if at as usize >= self.entries.len() {
            return None;
        }
        let gone = self.entries.swap_remove(at as usize);
        // The last one stands in its place now.
        if let Some(moved) = self.entry(at) {
            let (key, older, newer) = (moved.key, moved.older, moved.newer);
            self.set_newer_of(older, at);
            self.set_older_of(newer, at);
            if let Some(index) = &mut self.index {
                index.insert(key, at);
            }
        }
        if let Some(index) = &mut self.index {
            index.remove(&gone.key);
        }
        if self.entries.is_empty() {
            *self = Self::new();
        }
        Some(gone.value)
    }

    fn link_newest(&mut self, at: u32) {
        let before = self.newest;
        if let Some(entry) = self.entry_mut(at) {
            (entry.older, entry.newer) = (before, NONE);
        }
        self.set_newer_of(before, at);
        self.newest = at;
    }

    fn unlink(&mut self, at: u32) {
        let Some(entry) = self.entry(at) else { return };
        let (older, newer) = (entry.older, entry.newer);
        self.set_newer_of(older, newer);
        self.set_older_of(newer, older);
    }

    fn set_newer_of(&mut self, at: u32, newer: u32) {
        match self.entry_mut(at) {
            Some(entry) => entry.newer = newer,
            None => self.oldest = newer,
        }
    }

    fn set_older_of(&mut self, at: u32, older: u32) {
        match self.entry_mut(at) {
            Some(entry) => entry.older = older,
            None => self.newest = older,
        }
    }

    fn entry(&self, at: u32) -> Option<&Entry<K, V>> {
        self.entries.get(at as usize)
    }

    fn entry_mut(&mut self, at: u32) -> Option<&mut Entry<K, V>> {
        self.entries.get_mut(at as usize)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::hash::Hasher;
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    const LIFETIME: Duration = Duration::from_nanos(300);

    fn hasher() -> RandomState {
        RandomState::with_seeds(1, 2, 3, 4)
    }

    proptest! {
        /// Against a list that is looked through for everything.
        #[test]
        fn behaves_like_a_list(steps in proptest::collection::vec((0..8u8, 0..24u32), 0..300)) {
            let mut map = Expiring::new();
            let mut model: Vec<(u32, u32, Monotonic)> = Vec::new();
            let mut now = Monotonic::from_nanos(0);
            for (n, (step, key)) in (0..).zip(steps) {
                let (mut gone, mut removed) = (Vec::new(), Vec::new());
                match step {
                    0..5 => {
                        map.set(key, n, now.after(LIFETIME), &hasher());
                        model.retain(|(other, ..)| *other != key);
                        model.push((key, n, now.after(LIFETIME)));
                    }
                    5 => {
                        let keep = |kept: &u32| kept % 5 != key % 5;
                        map.retain(|kept, _| keep(kept), |value| gone.push(value));
                        removed.extend(model.extract_if(.., |(kept, ..)| !keep(kept)));
                    }
                    _ => {
                        now = now.after(Duration::from_nanos(u64::from(key) * 4));
                        map.expire(now, |value| gone.push(value));
                        removed.extend(model.extract_if(.., |(.., expires)| *expires <= now));
                    }
                }
                prop_assert_eq!(gone, removed.into_iter().map(|(_, value, _)| value).collect::<Vec<_>>());
                prop_assert_eq!(map.len(), model.len());
                prop_assert_eq!(map.next_deadline(), model.first().map(|(.., expires)| *expires));
                for key in 0..24 {
                    let expected = model.iter().find(|(other, ..)| *other == key);
                    prop_assert_eq!(map.get(&key), expected.map(|(_, value, expires)| (value, *expires)));
                }
            }
            let mut left: Vec<_> = map.into_values().collect();
            left.sort_unstable();
            prop_assert_eq!(left, model.into_iter().map(|(_, value, _)| value).collect::<Vec<_>>());
        }
    }

    thread_local! {
        /// How often a key was looked at.
        static LOOKS: Cell<u64> = const { Cell::new(0) };
    }

    #[derive(Clone, Copy, Debug)]
    struct Key(u32);

    impl PartialEq for Key {
        fn eq(&self, other: &Self) -> bool {
            LOOKS.set(LOOKS.get() + 1);
            self.0 == other.0
        }
    }

    impl Eq for Key {}

    impl Hash for Key {
        fn hash<H: Hasher>(&self, state: &mut H) {
            LOOKS.set(LOOKS.get() + 1);
            self.0.hash(state);
        }
    }

    fn looks(work: impl FnOnce()) -> u64 {
        LOOKS.set(0);
        work();
        LOOKS.get()
    }

    #[test]
    fn every_step_costs_the_same_however_many_there_are() {
        for count in [1, 8, 9, 100, 10_000, 100_000] {
            let mut map = Expiring::new();
            let at = |n: u32| Monotonic::from_nanos(n.into());
            (0..count).for_each(|n| map.set(Key(n), n, at(n), &hasher()));
            let few = FEW as u64 + 2;
            assert!(looks(|| assert!(map.get(&Key(count / 2)).is_some())) <= few);
            assert!(looks(|| assert!(map.get(&Key(count)).is_none())) <= few);
            let refreshed = at(count);
            assert!(looks(|| map.set(Key(0), 0, refreshed, &hasher())) <= few);
            assert_eq!(looks(|| assert!(map.next_deadline().is_some())), 0);
            assert_eq!(looks(|| map.expire(at(0), drop)), 0, "a sweep that ends none looks at none");
            // Of those that end, the last ones first have to be found to be moved.
            assert!(looks(|| map.expire(at(count / 2), drop)) <= (u64::from(count / 2) + 1) * few);
        }
    }

    #[test]
    fn an_entry_that_is_set_a_million_times_takes_the_room_of_one() {
        let mut map = Expiring::new();
        for n in 0..1_000_000 {
            map.set(n % 2, (), Monotonic::from_nanos(n), &hasher());
        }
        assert_eq!((map.len(), map.index.is_some()), (2, false));
        assert!(map.entries.capacity() <= 4);
    }
}
