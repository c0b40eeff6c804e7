//! Allocations that a Refresh just deleted, so that its retransmission is answered alike and not by
//! 437 (RFC 8489 section 6.3.1). A bounded memory: the oldest goes first.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use ahash::RandomState;
use stun::TransactionId;

use crate::address::FiveTuple;
use crate::record::{DeletionRecord, Place};
use crate::time::Monotonic;

/// How long a client retransmits (RFC 8489 section 6.2.1: 39.5 s).
pub(crate) const MEMORY: Duration = Duration::from_secs(40);
/// How many are remembered at most.
const CAPACITY: usize = 4096;

/// A Refresh that deleted something: an allocation may end by two, one for each address family.
type Deletion = (FiveTuple, TransactionId);

#[derive(Debug)]
pub(crate) struct RecentlyClosed {
    /// Until when each deletion is remembered.
    until: HashMap<Deletion, Monotonic, RandomState>,
    /// The oldest first.
    order: VecDeque<Deletion>,
    /// The place of the next one's record.
    next: u32,
}

impl RecentlyClosed {
    pub(crate) fn new(hasher: &RandomState) -> Self {
        Self { until: HashMap::with_hasher(hasher.clone()), order: VecDeque::new(), next: 0 }
    }

    /// Remembers a Refresh that deleted an allocation, or a part of it: for longer than all that it knows.
    /// Tells the place of its record.
    pub(crate) fn remember(&mut self, now: Monotonic, deletion: &DeletionRecord) -> Place {
        self.expire(now);
        if self.order.len() == CAPACITY {
            self.forget_oldest();
        }
        let DeletionRecord { five_tuple, transaction, until } = *deletion;
        self.until.insert((five_tuple, transaction), until);
        self.order.push_back((five_tuple, transaction));
        // Once round the ring: what stood there was forgotten just now, or before.
        let place = Place(self.next);
        self.next = (self.next + 1) % CAPACITY as u32;
        place
    }

    /// Until when its client may repeat `transaction`, if that is a deletion on `five_tuple`.
    pub(crate) fn known_until(
        &self,
        now: Monotonic,
        five_tuple: &FiveTuple,
        transaction: TransactionId,
    ) -> Option<Monotonic> {
        self.until.get(&(*five_tuple, transaction)).copied().filter(|until| *until > now)
    }

    /// Forgets what no client retransmits any more.
    pub(crate) fn expire(&mut self, now: Monotonic) {
        while self.order.front().is_some_and(|oldest| self.until.get(oldest).is_none_or(|it| *it <= now)) {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some(oldest) = self.order.pop_front() {
            self.until.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::{ClientAddr, ServerAddr, Transport};

    fn five_tuple(port: u16) -> FiveTuple {
        FiveTuple {
            client: ClientAddr::new(([198, 51, 100, 1], port).into()),
            server: ServerAddr::new(([203, 0, 113, 1], 3478).into()),
            transport: Transport::Udp,
        }
    }

    fn transaction(n: usize) -> TransactionId {
        let mut bytes = [0; 12];
        bytes[..8].copy_from_slice(&n.to_be_bytes());
        TransactionId::new(bytes)
    }

    fn deletion(now: Monotonic, port: u16, n: usize) -> DeletionRecord {
        DeletionRecord { five_tuple: five_tuple(port), transaction: transaction(n), until: now.after(MEMORY) }
    }

    fn known(closed: &RecentlyClosed, now: Monotonic, port: u16, n: usize) -> Option<Monotonic> {
        closed.known_until(now, &five_tuple(port), transaction(n))
    }

    fn closed() -> RecentlyClosed {
        RecentlyClosed::new(&RandomState::with_seeds(1, 2, 3, 4))
    }

    #[test]
    fn knows_a_transaction_until_no_client_repeats_it() {
        let mut closed = closed();
        let start = Monotonic::from_nanos(0);
        closed.remember(start, &deletion(start, 1, 1));
        assert_eq!(known(&closed, start, 1, 1), Some(start.after(MEMORY)));
        assert_eq!(known(&closed, start, 1, 2), None);
        assert_eq!(known(&closed, start, 2, 1), None);
        // Whether or not anybody has called `expire` meanwhile.
        assert_eq!(known(&closed, start.after(MEMORY), 1, 1), None);
    }

    #[test]
    fn two_deletions_on_one_five_tuple_are_both_known() {
        let mut closed = closed();
        let start = Monotonic::from_nanos(0);
        closed.remember(start, &deletion(start, 1, 1));
        closed.remember(start, &deletion(start, 1, 2));
        for deletion in [1, 2] {
            assert!(known(&closed, start, 1, deletion).is_some());
        }
        closed.expire(start.after(MEMORY));
        assert!(closed.order.is_empty() && closed.until.is_empty());
    }

    #[test]
    fn never_remembers_more_than_its_capacity() {
        let mut closed = closed();
        for n in 0..3 * CAPACITY {
            let now = Monotonic::from_nanos(n as u64);
            let place = closed.remember(now, &deletion(now, n as u16, n));
            assert_eq!(place.index(), n % CAPACITY, "that of the one that was forgotten");
        }
        assert_eq!((closed.order.len(), closed.until.len()), (CAPACITY, CAPACITY));
    }
}
