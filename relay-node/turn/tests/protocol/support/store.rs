use std::collections::BTreeMap;

use turn::record::{
    AllocationRecord, Change, ChannelRecord, DeletionRecord, PermissionRecord, Record, ReservationRecord,
    Survivor, Tally, gather,
};
use turn::{AddressFamily, FiveTuple, PathId, RelayPort, Unrestorable, WorkerId};

use super::Relay;

/// What a driver keeps of a node that may die: bytes in the places that the core says.
#[derive(Default)]
pub struct Store {
    workers: BTreeMap<WorkerId, Cells>,
    reservations: BTreeMap<(bool, RelayPort), Vec<u8>>,
}

/// What one worker writes.
struct Cells {
    allocations: BTreeMap<usize, Vec<u8>>,
    permissions: BTreeMap<usize, Vec<u8>>,
    channels: BTreeMap<usize, Vec<u8>>,
    deletions: BTreeMap<usize, Vec<u8>>,
    tallies: &'static [Tally],
}

/// All that is left of a node that died.
pub struct Remains {
    pub survivors: Vec<Survivor>,
    pub reservations: Vec<ReservationRecord>,
    pub deletions: Vec<DeletionRecord>,
}

impl Store {
    /// Allocations of a worker that have a tally.
    pub const SLOTS: usize = 16;

    /// Makes room for a worker.
    pub fn add(&mut self, worker: WorkerId) -> &'static [Tally] {
        let tallies: &'static [Tally] = Vec::leak((0..Self::SLOTS).map(|_| Tally::default()).collect());
        let [allocations, permissions, channels, deletions] = Default::default();
        self.workers.insert(worker, Cells { allocations, permissions, channels, deletions, tallies });
        tallies
    }

    /// Does what a worker's [`turn::Output::Record`] says.
    pub fn keep(&mut self, worker: WorkerId, change: Change) {
        let cells = self.workers.get_mut(&worker).expect("a worker that has a place");
        match change {
            Change::Allocation { id, record: Some(record) } => {
                assert_eq!(record.id, id);
                cells.allocations.insert(id.index(), encoded(&*record));
            }
            Change::Allocation { id, record: None } => drop(cells.allocations.remove(&id.index())),
            Change::Permission { place, record } => {
                cells.permissions.insert(place.index(), encoded(&record));
            }
            Change::Channel { place, record } => {
                cells.channels.insert(place.index(), encoded(&record));
            }
            Change::Deletion { place, record } => {
                cells.deletions.insert(place.index(), encoded(&record));
            }
            Change::Reservation { family, port, record } => {
                let place = (family == AddressFamily::V4, port);
                match record {
                    Some(record) => drop(self.reservations.insert(place, encoded(&*record))),
                    None => drop(self.reservations.remove(&place)),
                }
            }
        }
    }

    /// Everything that is there.
    pub fn remains(&self) -> Remains {
        let workers = self.workers.values();
        Remains {
            survivors: workers.clone().flat_map(Cells::survivors).collect(),
            reservations: decoded(self.reservations.values()).collect(),
            deletions: workers.flat_map(|cells| decoded(cells.deletions.values())).collect(),
        }
    }
}

impl Remains {
    /// Has `workers` take everything in; `home` says which of them a client's packets go to, and the way
    /// back. Tells why what was not taken in.
    pub fn restore(
        self,
        workers: &mut [Relay],
        home: impl Fn(&FiveTuple) -> (usize, PathId),
    ) -> Vec<Unrestorable> {
        let mut refused = Vec::new();
        for survivor in self.survivors {
            let (place, path) = home(&survivor.allocation.five_tuple);
            let worker = &mut workers[place];
            refused.extend(worker.turn.restore(worker.now, survivor, path).err());
            assert_eq!(worker.drain(), [], "no client hears of it");
        }
        let first = &mut workers[0];
        let lost = first.turn.restore_reservations(first.now, self.reservations);
        refused.extend(lost.into_iter().map(|(_, loss)| Unrestorable::AddressLost(loss)));
        for (place, worker) in workers.iter_mut().enumerate() {
            let at_home = |it: &&DeletionRecord| home(&it.five_tuple).0 == place;
            let deletions = self.deletions.iter().filter(at_home).copied().collect();
            worker.turn.restore_deletions(worker.now, deletions);
            assert_eq!(worker.drain(), []);
        }
        refused
    }
}

impl Cells {
    fn survivors(&self) -> Vec<Survivor> {
        let tallied = |allocation: AllocationRecord| {
            let tally = self.tallies[allocation.id.index()].read();
            (allocation, tally)
        };
        gather(
            decoded(self.allocations.values()).map(tallied),
            decoded::<PermissionRecord>(self.permissions.values()),
            decoded::<ChannelRecord>(self.channels.values()),
        )
    }
}

fn encoded<R: Record>(record: &R) -> Vec<u8> {
    let mut cell = vec![0xAA; R::MAX_LEN];
    let length = record.encode(&mut cell).expect("it fits");
    cell[..length].to_vec()
}

fn decoded<'b, R: Record>(cells: impl Iterator<Item = &'b Vec<u8>>) -> impl Iterator<Item = R> {
    cells.map(|cell| R::decode(cell).expect("what was encoded"))
}
