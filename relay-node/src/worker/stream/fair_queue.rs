//! A bounded queue in which sources take turns.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::net::IpAddr;

/// One of each source after the other. When it is full, whoever waits with the most gives way to who
/// has fewer.
pub(super) struct FairQueue<T> {
    most: usize,
    len: usize,
    waiting: HashMap<IpAddr, VecDeque<T>>,
    turns: VecDeque<IpAddr>,
    by_length: BTreeSet<(usize, IpAddr)>,
}

impl<T> FairQueue<T> {
    /// A queue of `most`.
    pub(super) fn new(most: usize) -> Self {
        Self { most, len: 0, waiting: HashMap::new(), turns: VecDeque::new(), by_length: BTreeSet::new() }
    }

    /// Lets `item` of `source` wait; gives back what has to go for it, which may be itself.
    pub(super) fn push(&mut self, source: IpAddr, item: T) -> Option<T> {
        let own = self.waiting.get(&source).map_or(0, VecDeque::len);
        let mut displaced = None;
        if self.len >= self.most {
            let longest = self.by_length.last().filter(|(length, _)| *length > own + 1);
            let Some((length, longest)) = longest.copied() else { return Some(item) };
            // At least one of its own is left.
            displaced = self.waiting.get_mut(&longest).and_then(VecDeque::pop_back);
            self.rank(longest, length, length - 1);
        }
        if own == 0 {
            self.turns.push_back(source);
        }
        self.waiting.entry(source).or_default().push_back(item);
        self.rank(source, own, own + 1);
        displaced
    }

    /// What is next.
    pub(super) fn pop(&mut self) -> Option<T> {
        let source = self.turns.pop_front()?;
        let queue = self.waiting.get_mut(&source)?;
        let length = queue.len();
        let item = queue.pop_front();
        if queue.is_empty() {
            self.waiting.remove(&source);
        } else {
            self.turns.push_back(source);
        }
        self.rank(source, length, length - 1);
        item
    }

    fn rank(&mut self, source: IpAddr, before: usize, after: usize) {
        self.len = self.len + after - before;
        self.by_length.remove(&(before, source));
        if after > 0 {
            self.by_length.insert((after, source));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(number: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, number])
    }

    #[test]
    fn sources_take_turns() {
        let mut queue = FairQueue::new(10);
        for item in 0..3 {
            assert_eq!(queue.push(source(1), item), None);
        }
        assert_eq!(queue.push(source(2), 10), None);
        let order: Vec<_> = std::iter::from_fn(|| queue.pop()).collect();
        assert_eq!(order, [0, 10, 1, 2]);
        assert!(queue.waiting.is_empty() && queue.by_length.is_empty() && queue.len == 0);
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
}
