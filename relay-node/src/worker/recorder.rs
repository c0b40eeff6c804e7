//! A worker's records: what it writes so that it outlives the process.

use std::sync::Arc;

use turn::record::{AllocationRecord, Change, Tally};

use crate::recovery::records::Records;
use crate::recovery::state::{State, Touched};

/// Writes down what the core says.
pub(super) struct Recorder {
    worker: usize,
    records: Records,
    state: Option<Arc<State>>,
    /// Whose records these are, by the allocation's place.
    allocations: Vec<Option<Touched>>,
    /// Whether it was said that something could not be written down.
    is_known_to_fail: bool,
}

impl Recorder {
    pub(super) fn new(worker: usize, records: Records, state: Option<Arc<State>>) -> Self {
        Self { worker, records, state, allocations: Vec::new(), is_known_to_fail: false }
    }

    /// Where the core counts packets.
    pub(super) fn tallies(&self) -> &'static [Tally] {
        self.records.tallies()
    }

    /// Writes a change down; whether it did.
    pub(super) fn write(&mut self, change: &Change) -> bool {
        match change {
            Change::Allocation { id, record } => {
                self.note(id.index(), record.as_deref());
            }
            Change::Permission { record, .. } => self.touch(record.allocation.index()),
            Change::Channel { record, .. } => self.touch(record.allocation.index()),
            // What they say of nobody's packets can stop a worker.
            Change::Reservation { .. } | Change::Deletion { .. } => {}
        }
        let Err(error) = self.records.write(change) else { return true };
        if !std::mem::replace(&mut self.is_known_to_fail, true) {
            let worker = self.worker;
            tracing::error!(worker, %error, "calls are not protected any more: give recovery.directory more room");
        }
        false
    }

    /// Notes who has a place from now on, and touches them, or who had it.
    fn note(&mut self, place: usize, allocation: Option<&AllocationRecord>) {
        if self.state.is_none() {
            return;
        }
        if self.allocations.len() <= place {
            self.allocations.resize(place + 1, None);
        }
        if let (Some(owner), Some(allocation)) = (self.allocations.get_mut(place), allocation) {
            *owner = Some(Touched::of(allocation));
        }
        self.touch(place);
    }

    /// Tells who would be to blame if the process ended now.
    fn touch(&self, place: usize) {
        if let (Some(state), Some(Some(allocation))) = (&self.state, self.allocations.get(place)) {
            state.touch(self.worker, *allocation);
        }
    }
}
