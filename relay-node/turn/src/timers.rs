//! One deadline for each allocation slot: a binary heap that knows where each slot stands in it.
//!
//! A slot's entry moves when its deadline does, so the heap never holds a stale one and its size is
//! that of the slot table, however fast allocations come and go.

use crate::time::Monotonic;

/// Place of a slot that has no deadline.
const ABSENT: u32 = u32::MAX;

#[derive(Debug, Default)]
pub(crate) struct Timers {
    heap: Vec<(Monotonic, u32)>,
    /// For each slot, where it stands in the heap.
    places: Vec<u32>,
}

impl Timers {
    /// Sets the deadline of `slot`, whether it had one or not, or takes it away.
    pub(crate) fn set(&mut self, slot: u32, deadline: Option<Monotonic>) {
        let Some(deadline) = deadline else { return self.clear(slot) };
        let index = slot as usize;
        if self.places.len() <= index {
            self.places.resize(index + 1, ABSENT);
        }
        let place = match self.place(slot) {
            Some(place) => {
                if let Some(entry) = self.heap.get_mut(place) {
                    entry.0 = deadline;
                }
                place
            }
            None => {
                self.heap.push((deadline, slot));
                self.note(self.heap.len() - 1);
                self.heap.len() - 1
            }
        };
        let place = self.sift_up(place);
        self.sift_down(place);
    }

    /// Takes the deadline of `slot` away.
    pub(crate) fn clear(&mut self, slot: u32) {
        let Some(place) = self.place(slot) else { return };
        self.heap.swap_remove(place);
        if let Some(entry) = self.places.get_mut(slot as usize) {
            *entry = ABSENT;
        }
        if place < self.heap.len() {
            self.note(place);
            let place = self.sift_up(place);
            self.sift_down(place);
        }
    }

    /// The earliest deadline.
    pub(crate) fn next(&self) -> Option<Monotonic> {
        self.heap.first().map(|(deadline, _)| *deadline)
    }

    /// Takes out a slot whose deadline is not after `now`.
    pub(crate) fn pop_due(&mut self, now: Monotonic) -> Option<u32> {
        let (deadline, slot) = *self.heap.first()?;
        if deadline > now {
            return None;
        }
        self.clear(slot);
        Some(slot)
    }

    fn place(&self, slot: u32) -> Option<usize> {
        self.places.get(slot as usize).filter(|place| **place != ABSENT).map(|place| *place as usize)
    }

    fn deadline(&self, place: usize) -> Option<Monotonic> {
        self.heap.get(place).map(|(deadline, _)| *deadline)
    }

    /// Writes down where the slot at `place` stands.
    fn note(&mut self, place: usize) {
        if let Some((_, slot)) = self.heap.get(place)
            && let Some(entry) = self.places.get_mut(*slot as usize)
        {
            *entry = place as u32;
        }
    }

    fn swap(&mut self, a: usize, b: usize) {
        self.heap.swap(a, b);
        self.note(a);
        self.note(b);
    }

    fn sift_up(&mut self, mut place: usize) -> usize {
        while place > 0 {
            let parent = (place - 1) / 2;
            if self.deadline(parent) <= self.deadline(place) {
                break;
            }
            self.swap(parent, place);
            place = parent;
        }
        place
    }

    fn sift_down(&mut self, mut place: usize) {
        loop {
            let left = 2 * place + 1;
            let right = left + 1;
            let Some(mut least) = self.deadline(left).map(|_| left) else { return };
            if self.deadline(right).is_some_and(|deadline| Some(deadline) < self.deadline(left)) {
                least = right;
            }
            if self.deadline(place) <= self.deadline(least) {
                return;
            }
            self.swap(place, least);
            place = least;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Step {
        Set(u32, u64),
        Clear(u32),
        Pop(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0..20u32, 0..100u64).prop_map(|(slot, at)| Step::Set(slot, at)),
            (0..20u32).prop_map(Step::Clear),
            (0..100u64).prop_map(Step::Pop),
        ]
    }

    proptest! {
        /// Against a map from slot to deadline: the same earliest deadline, and only due slots come out.
        #[test]
        fn behaves_like_a_map(steps in proptest::collection::vec(step(), 0..200)) {
            let mut timers = Timers::default();
            let mut model = BTreeMap::new();
            for step in steps {
                match step {
                    Step::Set(slot, at) => {
                        timers.set(slot, Some(Monotonic::from_nanos(at)));
                        model.insert(slot, at);
                    }
                    Step::Clear(slot) => {
                        timers.clear(slot);
                        model.remove(&slot);
                    }
                    Step::Pop(now) => {
                        let due = timers.pop_due(Monotonic::from_nanos(now));
                        let least = model.values().min().copied();
                        match due {
                            Some(slot) => {
                                let at = model.remove(&slot);
                                prop_assert_eq!(at, least);
                                prop_assert!(at.is_some_and(|at| at <= now));
                            }
                            None => prop_assert!(least.is_none_or(|at| at > now)),
                        }
                    }
                }
                let least = model.values().min().copied();
                prop_assert_eq!(timers.next().map(Monotonic::as_nanos), least);
            }
        }
    }
}
