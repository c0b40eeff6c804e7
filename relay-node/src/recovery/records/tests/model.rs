//! Whatever is written, the last of each place is read.

use std::collections::BTreeMap;
use std::fmt::Debug;

use proptest::collection::vec;
use proptest::prelude::*;
use turn::record::{Change, Place};

use crate::recovery::Vault;
use crate::recovery::example::{Example, example, reservation};
use crate::recovery::records::{Records, read, remove_all_but};

const WORKERS: usize = 2;

/// What should stand in a generation's files, by worker and place.
#[derive(Default)]
struct Model {
    last: BTreeMap<(usize, String), Change>,
}

impl Model {
    fn write(&mut self, worker: usize, change: Change) {
        let (worker, place) = match &change {
            Change::Allocation { id, .. } => (worker, format!("allocation {}", id.index())),
            Change::Permission { place, .. } => (worker, format!("permission {place:?}")),
            Change::Channel { place, .. } => (worker, format!("channel {place:?}")),
            Change::Deletion { place, .. } => (worker, format!("deletion {place:?}")),
            // The node's.
            Change::Reservation { family, port, .. } => (0, format!("reservation {family:?} {port:?}")),
        };
        self.last.insert((worker, place), change);
    }

    /// All allocations, of those permissions and channels that are not gone, then the rest.
    fn expected(&self) -> Vec<String> {
        let mut expected = Vec::new();
        for ((worker, _), change) in &self.last {
            let lives = |of| {
                self.last.iter().any(|((on, _), other)| {
                    matches!(other, Change::Allocation { id, record: Some(_) } if (on, *id) == (worker, of))
                })
            };
            match change {
                Change::Allocation { record: Some(record), .. } => expected.push(text(record)),
                Change::Permission { record, .. } if lives(record.allocation) => expected.push(text(record)),
                Change::Channel { record, .. } if lives(record.allocation) => expected.push(text(record)),
                Change::Deletion { record, .. } => expected.push(text(record)),
                Change::Reservation { record: Some(record), .. } => expected.push(text(record)),
                _ => {}
            }
        }
        expected.sort();
        expected
    }
}

fn found(vault: &Vault) -> Vec<String> {
    let estate = read(vault, 1).unwrap();
    assert_eq!(estate.damaged, 0);
    let mut found = Vec::new();
    for survivor in &estate.survivors {
        found.push(text(&Box::new(&survivor.allocation)));
        found.extend(survivor.permissions.iter().map(text));
        found.extend(survivor.channels.iter().map(text));
    }
    found.extend(estate.deletions.iter().map(text));
    found.extend(estate.reservations.iter().map(text));
    found.sort();
    found
}

fn text(record: &impl Debug) -> String {
    format!("{record:?}")
}

fn change() -> impl Strategy<Value = Change> {
    // Some in later segments than the first; names with and without a tail.
    let slot = prop_oneof![0..4_u32, 200..203_u32, Just(2 * 65_536 - 1)];
    let place = prop_oneof![0..4_u32, 1000..1003_u32, Just(4 * 1024 * 1024 - 1)];
    let length = prop_oneof![Just(5_usize), Just(60), Just(508)];
    (slot, place, length, 1..3_u32, 0..7_u8).prop_map(|(slot, place, length, generation, kind)| {
        let of = Example { generation, user: "x".repeat(length), ..example(slot) };
        let port = 1 + (place % 60_000) as u16;
        match kind {
            0 | 1 => of.change(),
            2 => of.end(),
            3 => of.permission(place, [203, 0, 113, generation as u8]),
            4 => of.channel(place, 0x4000 + slot as u16 % 0x1000, ([203, 0, 113, 1], port)),
            5 => of.deletion(place % 4096),
            _ if generation == 1 => reservation(port, &of.user),
            _ => match reservation(port, &of.user) {
                Change::Reservation { family, port, .. } => {
                    Change::Reservation { family, port, record: None }
                }
                other => other,
            },
        }
    })
}

fn check(vault: &Vault, changes: Vec<(usize, Change)>) -> Result<(), TestCaseError> {
    remove_all_but(vault, &[]).unwrap();
    let (mut records, mut model) = (Records::create(vault, 1, WORKERS).unwrap(), Model::default());
    for (worker, change) in changes {
        records[worker].write(&change).unwrap();
        model.write(worker, change);
        // The writer is still there, as at a hand-over.
    }
    prop_assert_eq!(found(vault), model.expected());
    drop(records);
    prop_assert_eq!(found(vault), model.expected());
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_was_written_last_is_read_from_files(changes in vec((0..WORKERS, change()), 0..60)) {
        let directory = tempfile::tempdir().unwrap();
        check(&Vault::in_directory(&directory.path().join("vault")).unwrap(), changes)?;
    }

    #[test]
    fn what_was_written_last_is_read_from_memory(changes in vec((0..WORKERS, change()), 0..60)) {
        check(&Vault::in_memory(), changes)?;
    }
}

#[test]
fn what_has_no_place_is_refused() {
    let vault = Vault::in_memory();
    let mut records = Records::create(&vault, 1, 1).unwrap();
    let of = example(0);
    records[0].write(&of.change()).unwrap();
    assert!(records[0].write(&of.permission(4 * 1024 * 1024, [203, 0, 113, 1])).is_err());
    assert!(records[0].write(&example(2 * 65_536).change()).is_err());
    let Change::Deletion { record, .. } = of.deletion(0) else { panic!("it is one") };
    assert!(records[0].write(&Change::Deletion { place: Place::new(u32::MAX), record }).is_err());
    assert_eq!(read(&vault, 1).unwrap().survivors.len(), 1);
}

#[test]
fn what_packets_count_is_read_with_the_allocation_even_from_before_it_was_written() {
    let vault = Vault::in_memory();
    let mut records = Records::create(&vault, 1, 1).unwrap();
    let of = example(3);
    let tally = &records[0].tallies()[3];
    let mut tallied = tally.read();
    tallied.to_peers.packets = 3;
    tally.write(&tallied);
    records[0].write(&of.change()).unwrap();
    assert_eq!(read(&vault, 1).unwrap().survivors[0].tallied, tallied);
    tallied.to_client.bytes = 1000;
    tally.write(&tallied);
    // Nobody wrote a record, and nobody let go of the memory.
    assert_eq!(read(&vault, 1).unwrap().survivors[0].tallied, tallied);
}
