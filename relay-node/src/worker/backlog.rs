//! Who waits for a turn.

use std::collections::VecDeque;

/// Sockets in which something waits, by index: each at most once, the one that has waited longest first.
///
/// A socket that is told of again while it waits keeps its place, so the queue never holds more than
/// there are sockets, and one that is flooded gets one turn for each turn of every other.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    queue: VecDeque<usize>,
    // By index: whether it is in the queue.
    waits: Vec<bool>,
}

impl Backlog {
    /// Gives the socket at `index` a place, unless it has one.
    pub(super) fn add(&mut self, index: usize) {
        if self.waits.len() <= index {
            self.waits.resize(index + 1, false);
        }
        if let Some(waits) = self.waits.get_mut(index)
            && !std::mem::replace(waits, true)
        {
            self.queue.push_back(index);
        }
    }

    /// Whose turn it is. Who has more than a turn takes is added again.
    pub(super) fn next(&mut self) -> Option<usize> {
        let index = self.queue.pop_front()?;
        if let Some(waits) = self.waits.get_mut(index) {
            *waits = false;
        }
        Some(index)
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }

    /// Whether nobody waits.
    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_waits_once_however_often_it_is_told_of() {
        let mut backlog = Backlog::default();
        for _ in 0..1000 {
            for index in [7, 3, 900] {
                backlog.add(index);
            }
        }
        assert_eq!(backlog.len(), 3);
        assert_eq!(std::iter::from_fn(|| backlog.next()).collect::<Vec<_>>(), [7, 3, 900]);
        assert!(backlog.is_empty());
    }

    #[test]
    fn one_that_always_has_more_gets_one_turn_for_each_of_the_others() {
        let mut backlog = Backlog::default();
        (0..3).for_each(|index| backlog.add(index));
        let turns: Vec<usize> = (0..9)
            .map(|_| {
                let index = backlog.next().unwrap();
                backlog.add(index);
                // Edges that come in its turn give it no other.
                backlog.add(index);
                index
            })
            .collect();
        assert_eq!(turns, [0, 1, 2, 0, 1, 2, 0, 1, 2]);
    }
}
