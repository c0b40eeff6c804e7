use turn::record::{Change, Tallied};

use super::*;
use crate::recovery::example::{Example, example};

fn survivor(example: &Example) -> Survivor {
    let (permissions, channels) = (Vec::new(), Vec::new());
    Survivor { allocation: example.record(), tallied: Tallied::default(), permissions, channels }
}

fn estate(of: &[Example]) -> Estate {
    Estate { survivors: of.iter().map(survivor).collect(), ..Estate::default() }
}

/// The slots of those that a worker gets, in their order.
fn slots(share: &Share) -> Vec<usize> {
    share.survivors.iter().map(|survivor| survivor.allocation.id.index()).collect()
}

#[test]
fn each_worker_gets_its_own_clients_the_newest_first() {
    let of = |slot, created| Example { created, ..example(slot) };
    let estate = estate(&[of(0, 3), of(1, 1), of(2, 9), of(3, 2), of(4, 5)]);
    let shares = divide(estate, 2, |client| client.port() as usize % 2, &[]);
    assert_eq!(shares.workers.iter().map(slots).collect::<Vec<_>>(), [vec![2, 4, 0], vec![3, 1]]);
    assert_eq!((shares.of_streams, shares.outdated, shares.suspected), (0, 0, 0));
}

#[test]
fn of_two_with_a_port_or_a_client_in_common_the_newer_one_goes_on() {
    let older = Example { created: 1, ..example(0) };
    let on_its_port = Example { slot: 1, created: 2, client: 7, ..older.clone() };
    let of_its_client = Example { slot: 2, created: 3, relayed: 8, ..older.clone() };
    for newer in [on_its_port, of_its_client] {
        let shares = divide(estate(&[older.clone(), newer.clone()]), 1, |_| 0, &[]);
        assert_eq!((slots(&shares.workers[0]), shares.outdated), (vec![newer.slot as usize], 1));
    }
}

#[test]
fn clients_whose_connections_are_gone_are_left_out_and_what_they_displaced_too() {
    let older = Example { created: 1, ..example(0) };
    let stream = |transport: u8| Example { slot: transport.into(), transport, created: 2, ..example(0) };
    for transport in [2, 3] {
        let shares = divide(estate(&[older.clone(), stream(transport)]), 1, |_| 0, &[]);
        // The older one has another 5-tuple, and the same port.
        assert_eq!((slots(&shares.workers[0]), shares.of_streams, shares.outdated), (vec![], 1, 1));
    }
}

#[test]
fn suspects_are_left_out() {
    let (one, suspect) = (example(0), example(1));
    let suspects = [Touched::of(&suspect.record())];
    let shares = divide(estate(&[one, suspect]), 1, |_| 0, &suspects);
    assert_eq!((slots(&shares.workers[0]), shares.suspected), (vec![0], 1));
}

#[test]
fn deletions_go_with_their_clients_and_reservations_with_nobody() {
    let Change::Reservation { record: Some(reservation), .. } =
        crate::recovery::example::reservation(9, "alice")
    else {
        panic!("it is one")
    };
    let stream = Example { transport: 2, ..example(2) };
    let estate = Estate {
        deletions: vec![example(0).deleted(), example(1).deleted(), stream.deleted()],
        reservations: vec![*reservation.clone()],
        ..Estate::default()
    };
    let shares = divide(estate, 2, |client| client.port() as usize % 2, &[]);
    let deletions: Vec<_> = shares.workers.iter().map(|share| share.deletions.clone()).collect();
    assert_eq!(deletions, [vec![example(0).deleted()], vec![example(1).deleted()]]);
    assert_eq!(shares.reservations, [*reservation]);
}
