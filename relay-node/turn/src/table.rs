//! Where allocations are kept: a table of slots, found in O(1) by 5-tuple and by relayed address.

use ahash::RandomState;
use hashbrown::HashTable;
use stun::attribute::AddressFamily;

use crate::address::{FiveTuple, RelayId};
use crate::allocation::Allocation;
use crate::record::AllocationId;

/// The place of an allocation. Used again after its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot(pub(crate) u32);

#[derive(Debug)]
pub(crate) struct Table {
    slots: Vec<Place>,
    free: Vec<Slot>,
    /// Only slots, which are compared where they lead to: a packet needs that memory next anyway, and
    /// the 5-tuples once more would be fifteen times as much to find one in.
    by_five_tuple: HashTable<Slot>,
    hasher: RandomState,
}

#[derive(Debug, Default)]
struct Place {
    /// Grows with each use, so that a late event for an earlier allocation is known as such.
    generation: u32,
    allocation: Option<Box<Allocation>>,
}

impl Table {
    pub(crate) fn new(hasher: &RandomState) -> Self {
        Self { slots: Vec::new(), free: Vec::new(), by_five_tuple: HashTable::new(), hasher: hasher.clone() }
    }

    pub(crate) fn len(&self) -> usize {
        self.by_five_tuple.len()
    }

    pub(crate) fn insert(&mut self, allocation: Allocation) -> Slot {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Place::default());
            Slot(self.slots.len() as u32 - 1)
        });
        let hash = self.hasher.hash_one(allocation.five_tuple);
        if let Some(place) = self.slots.get_mut(slot.0 as usize) {
            place.generation = place.generation.wrapping_add(1);
            place.allocation = Some(Box::new(allocation));
        }
        let Self { slots, by_five_tuple, hasher, .. } = self;
        by_five_tuple
            .insert_unique(hash, slot, |slot| five_tuple(slots, *slot).map_or(0, |it| hasher.hash_one(it)));
        slot
    }

    pub(crate) fn remove(&mut self, slot: Slot) -> Option<Box<Allocation>> {
        let allocation = self.slots.get_mut(slot.0 as usize)?.allocation.take()?;
        let hash = self.hasher.hash_one(allocation.five_tuple);
        if let Ok(entry) = self.by_five_tuple.find_entry(hash, |other| *other == slot) {
            entry.remove();
        }
        self.free.push(slot);
        Some(allocation)
    }

    pub(crate) fn find(&self, five_tuple: &FiveTuple) -> Option<Slot> {
        let hash = self.hasher.hash_one(five_tuple);
        self.by_five_tuple.find(hash, |slot| is_of(&self.slots, *slot, five_tuple)).copied()
    }

    pub(crate) fn get(&self, slot: Slot) -> Option<&Allocation> {
        self.slots.get(slot.0 as usize)?.allocation.as_deref()
    }

    pub(crate) fn get_mut(&mut self, slot: Slot) -> Option<&mut Allocation> {
        self.slots.get_mut(slot.0 as usize)?.allocation.as_deref_mut()
    }

    /// Every slot in use.
    pub(crate) fn slots(&self) -> Vec<Slot> {
        self.by_five_tuple.iter().copied().collect()
    }

    /// Every slot that there is from this one on, in use or not.
    pub(crate) fn slots_from(&self, first: usize) -> impl Iterator<Item = Slot> {
        (first..self.slots.len()).map(|slot| Slot(slot as u32))
    }

    /// The name of a relayed address towards the driver.
    pub(crate) fn relay_id(&self, slot: Slot, family: AddressFamily) -> RelayId {
        let AllocationId { slot, generation } = self.id(slot);
        RelayId { index: slot << 1 | u32::from(family == AddressFamily::V6), generation }
    }

    /// The name of the allocation that has the slot, or had it last.
    pub(crate) fn id(&self, Slot(slot): Slot) -> AllocationId {
        let generation = self.slots.get(slot as usize).map_or(0, |place| place.generation);
        AllocationId { slot, generation }
    }

    /// Whose relayed address that is, unless it is of an allocation that has ended.
    pub(crate) fn owner_of(&self, relay: RelayId) -> Option<(Slot, AddressFamily)> {
        let (slot, family) = Self::place(relay.index);
        let place = self.slots.get(slot.0 as usize)?;
        (place.generation == relay.generation && place.allocation.is_some()).then_some((slot, family))
    }

    /// The place of the relayed address with this [`RelayId::index`], whoever has it.
    pub(crate) fn place(index: u32) -> (Slot, AddressFamily) {
        (Slot(index >> 1), if index & 1 == 0 { AddressFamily::V4 } else { AddressFamily::V6 })
    }
}

/// Whether the allocation in `slot` is of that 5-tuple. Not inlined: the search would read all that an
/// IPv6 one might be compared by before it looks at any slot.
#[inline(never)]
fn is_of(slots: &[Place], slot: Slot, five_tuple: &FiveTuple) -> bool {
    self::five_tuple(slots, slot) == Some(five_tuple)
}

/// The 5-tuple of the allocation in `slot`.
fn five_tuple(slots: &[Place], slot: Slot) -> Option<&FiveTuple> {
    Some(&slots.get(slot.0 as usize)?.allocation.as_ref()?.five_tuple)
}
