//! A bounded queue in which sources take turns.

use std::collections::{HashMap, VecDeque};

use super::ranking::Ranking;
use super::source::{Party, Source};

/// One of each network after the other, and of each network one of each host after the other. When it is
/// full, whoever waits with the most gives way to who has fewer.
pub(super) struct FairQueue<T> {
    most: usize,
    len: usize,
    /// By host.
    waiting: HashMap<Party, VecDeque<T>>,
    /// Of everybody the networks, and of each network the hosts, that have something waiting.
    turns: HashMap<Party, VecDeque<Party>>,
    lengths: Ranking,
}

impl<T> FairQueue<T> {
    /// A queue of `most`.
    pub(super) fn new(most: usize) -> Self {
        Self { most, len: 0, waiting: HashMap::new(), turns: HashMap::new(), lengths: Ranking::default() }
    }

    /// Lets `item` of `source` wait; gives back what has to go for it, which may be itself.
    pub(super) fn push(&mut self, source: Source, item: T) -> Option<T> {
        let mut displaced = None;
        if self.len >= self.most {
            let Some(longest) = self.lengths.gives_way(source, &self.lengths) else { return Some(item) };
            displaced = self.take(longest, VecDeque::pop_back);
            for (whole, party) in longest.levels() {
                if self.lengths.of(party) == 0 {
                    self.lose_turn(whole, party);
                }
            }
        }
        for (whole, party) in source.levels() {
            if self.lengths.of(party) == 0 {
                self.turns.entry(whole).or_default().push_back(party);
            }
        }
        self.waiting.entry(source.host).or_default().push_back(item);
        self.lengths.add(source);
        self.len += 1;
        displaced
    }

    /// What is next.
    pub(super) fn pop(&mut self) -> Option<T> {
        let network = *self.turns.get(&Party::Everybody)?.front()?;
        let host = *self.turns.get(&network)?.front()?;
        let source = Source { network, host };
        let item = self.take(source, VecDeque::pop_front);
        for (whole, party) in source.levels() {
            self.lose_turn(whole, party);
            if self.lengths.of(party) > 0 {
                self.turns.entry(whole).or_default().push_back(party);
            }
        }
        item
    }

    fn take(&mut self, source: Source, end: impl FnOnce(&mut VecDeque<T>) -> Option<T>) -> Option<T> {
        let queue = self.waiting.get_mut(&source.host)?;
        let item = end(queue)?;
        if queue.is_empty() {
            self.waiting.remove(&source.host);
        }
        self.lengths.remove(source);
        self.len -= 1;
        Some(item)
    }

    /// Takes `party` out of the turns in `whole`: it is the first, but for one that was displaced. No more
    /// parties are looked at than may wait.
    fn lose_turn(&mut self, whole: Party, party: Party) {
        let Some(turns) = self.turns.get_mut(&whole) else { return };
        if let Some(turn) = turns.iter().position(|it| *it == party) {
            turns.remove(turn);
        }
        if turns.is_empty() {
            self.turns.remove(&whole);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(number: u8) -> Source {
        Source::of([192, 0, 2, number].into())
    }

    /// One of the hosts of one network.
    fn neighbour(number: u16) -> Source {
        Source::of([0x2001, 0xdb8, 0, number, 0, 0, 0, 1].into())
    }

    impl<T> FairQueue<T> {
        fn drain(&mut self) -> Vec<T> {
            let items = std::iter::from_fn(|| self.pop()).collect();
            assert!(self.waiting.is_empty() && self.turns.is_empty() && self.lengths.is_empty());
            assert_eq!(self.len, 0);
            items
        }
    }

    #[test]
    fn sources_take_turns() {
        let mut queue = FairQueue::new(10);
        for item in 0..3 {
            assert_eq!(queue.push(source(1), item), None);
        }
        assert_eq!(queue.push(source(2), 10), None);
        assert_eq!(queue.drain(), [0, 10, 1, 2]);
    }

    #[test]
    fn when_it_is_full_the_newest_of_the_longest_gives_way() {
        let mut queue = FairQueue::new(3);
        for item in 0..3 {
            assert_eq!(queue.push(source(1), item), None);
        }
        assert_eq!(queue.push(source(1), 3), Some(3), "its own");
        assert_eq!(queue.push(source(2), 10), Some(2));
        assert_eq!(queue.push(source(2), 11), Some(11), "it would have as many");
        assert_eq!(queue.push(source(3), 20), Some(1));
        assert_eq!(queue.push(source(4), 30), Some(30), "nobody has more");
    }

    #[test]
    fn the_hosts_of_one_network_share_its_turns() {
        let mut queue = FairQueue::new(10);
        for item in 0..3 {
            assert_eq!(queue.push(neighbour(1), item), None);
        }
        assert_eq!(queue.push(neighbour(2), 10), None);
        assert_eq!(queue.push(source(1), 20), None);
        assert_eq!(queue.push(source(1), 21), None);
        assert_eq!(queue.drain(), [0, 20, 10, 21, 1, 2]);
    }

    #[test]
    fn a_network_of_many_hosts_does_not_fill_it() {
        let mut queue = FairQueue::new(4);
        for item in 0..4 {
            assert_eq!(queue.push(neighbour(item), item), None);
        }
        assert_eq!(queue.push(source(1), 10), Some(3));
        assert_eq!(queue.push(neighbour(4), 4), Some(4), "none of its neighbours has more");
        assert_eq!(queue.push(source(1), 11), Some(2));
        assert_eq!(queue.push(source(1), 12), Some(12), "it would have more than them");
        assert_eq!(queue.drain(), [0, 10, 1, 11]);
    }
}
