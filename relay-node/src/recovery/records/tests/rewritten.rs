use turn::record::{Tallied, VERSION};

use crate::recovery::Vault;
use crate::recovery::example::{Example, example, reservation};
use crate::recovery::records::{Estate, Records, Unusable, highest_version, read, rewrite, version_of};
use crate::recovery::state::State;

/// A generation of three workers, one of which has nothing.
fn written() -> (Vault, State, u64, Vec<Records>) {
    let vault = Vault::in_memory();
    let state = State::open(&vault).unwrap();
    let generation = state.next_generation();
    let mut records = Records::create(&vault, generation, 3).unwrap();
    for (worker, user) in [(0, "alice"), (2, &*"x".repeat(500))] {
        let of = Example { user: user.to_owned(), ..example(3 + worker) };
        let records = &mut records[worker as usize];
        let changes = [
            of.change(),
            of.permission(7, [203, 0, 113, 1]),
            of.channel(8, 0x4000, ([203, 0, 113, 1], 9)),
            of.deletion(9),
            reservation(1000 + worker as u16, user),
        ];
        changes.iter().for_each(|change| records.write(change).unwrap());
        let tally = &records.tallies()[3 + worker as usize];
        let mut tallied = Tallied::default();
        tallied.to_client.packets = 70 + u64::from(worker);
        tally.write(&tallied);
    }
    (vault, state, generation, records)
}

fn text(mut estate: Estate) -> String {
    estate.survivors.sort_by_key(|survivor| survivor.allocation.id);
    estate.deletions.sort_by_key(|deletion| deletion.transaction.as_bytes().to_owned());
    estate.reservations.sort_by_key(|reservation| reservation.port.get());
    format!("{estate:?}")
}

#[test]
fn records_written_once_more_say_the_same_in_every_version() {
    let (vault, state, generation, _records) = written();
    assert_eq!(highest_version(), VERSION);
    assert_eq!(version_of(&vault, generation).unwrap(), VERSION);
    let before = text(read(&vault, generation).unwrap());
    for version in 1..=VERSION {
        let anew = rewrite(&vault, &state, generation, version).unwrap();
        assert!(anew > generation);
        assert_eq!(version_of(&vault, anew).unwrap(), version);
        assert_eq!(text(read(&vault, anew).unwrap()), before);
    }
}

#[test]
fn a_version_that_this_relay_does_not_know_cannot_be_written() {
    let (vault, state, generation, _records) = written();
    let before = vault.names().unwrap();
    for version in [0, VERSION + 1] {
        let refused = rewrite(&vault, &state, generation, version).unwrap_err();
        assert!(matches!(refused, Unusable::Unwritable { version: it } if it == version), "{refused}");
    }
    assert_eq!(vault.names().unwrap(), before);
}
