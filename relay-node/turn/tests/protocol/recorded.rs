//! What a core tells its driver to keep: each change of what it has, as one record of bounded size, before
//! anybody hears of it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::support::{Relay, TestClient, at, peer};
use stun::attribute::{ChannelNumber, EvenPort};
use turn::record::{Change, Tallied};
use turn::{AddressFamily, Output, Traffic};
use turn_client::{Allocate, Request};

/// Something that the core wants done.
#[derive(Debug, PartialEq)]
enum Said {
    Keep(Change),
    Answer,
    Other,
}

/// A core that records, and a client of it.
fn begun() -> (Relay, TestClient) {
    let mut relay = Relay::new().recording(&Arc::default());
    let mut alice = TestClient::new("198.51.100.7:4000");
    alice.learn_nonce(&mut relay);
    (relay, alice)
}

/// What the core wants done next; its sockets are opened.
fn said(relay: &mut Relay) -> Vec<Said> {
    let mut said = Vec::new();
    while let Some(output) = relay.turn.poll_output() {
        match output {
            Output::Record(change) => said.push(Said::Keep(change)),
            Output::ToClient { .. } => said.push(Said::Answer),
            Output::OpenRelay { relay: id, .. } => relay.turn.relay_opened(relay.now, id, Ok(())),
            Output::AskQuota { .. } => unreachable!("its settings say that nobody is asked"),
            Output::CloseRelay { .. } | Output::Event(_) => said.push(Said::Other),
        }
    }
    said
}

/// What is to be kept before a request is answered.
fn kept(relay: &mut Relay, alice: &mut TestClient, request: &Request) -> Vec<Change> {
    let packet = alice.signed_request(request);
    relay.packet_alone(&alice.path, &packet);
    let mut said = said(relay);
    assert_eq!(said.pop(), Some(Said::Answer));
    changes(said)
}

fn changes(said: Vec<Said>) -> Vec<Change> {
    let change = |said| match said {
        Said::Keep(change) => Some(change),
        Said::Other => None,
        Said::Answer => panic!("an answer came before what it tells"),
    };
    said.into_iter().filter_map(change).collect()
}

fn bind(number: u16, peer: SocketAddr) -> Request {
    Request::ChannelBind { channel: ChannelNumber::new(number).unwrap(), peer }
}

fn permit(peers: &[&str]) -> Request {
    Request::CreatePermission { peers: peers.iter().copied().map(at).collect() }
}

/// The place of each permission among `changes`.
fn places(changes: &[Change]) -> Vec<usize> {
    let place = |change: &Change| match change {
        Change::Permission { place, .. } => Some(place.index()),
        _ => None,
    };
    changes.iter().filter_map(place).collect()
}

#[test]
fn an_allocation_is_one_record_whenever_it_changes() {
    let (mut relay, mut alice) = begun();
    let allocate = Request::Allocate(Allocate { additional: Some(AddressFamily::V6), ..Allocate::default() });
    let one = |changes: Vec<Change>| match <[Change; 1]>::try_from(changes) {
        Ok([Change::Allocation { id, record }]) => (id, record),
        other => panic!("{other:?}"),
    };
    let (id, record) = one(kept(&mut relay, &mut alice, &allocate));
    let record = record.unwrap();
    assert_eq!(
        (record.id, record.five_tuple, record.created),
        (id, alice.path.five_tuple, relay.now.monotonic)
    );
    assert_eq!(record.relayed.present().count(), 2);

    relay.now = relay.now.after(Duration::from_secs(1));
    let (same, refreshed) = one(kept(&mut relay, &mut alice, &Request::Refresh { lifetime: 1000 }));
    let expires = relay.now.monotonic.after(Duration::from_secs(1000));
    assert_eq!(same, id);
    assert!(refreshed.unwrap().relayed.present().all(|(_, relayed)| relayed.expires == expires));

    relay.now = relay.now.after(Duration::from_secs(1000));
    relay.turn.timeout(relay.now);
    assert_eq!(one(changes(said(&mut relay))), (id, None));
}

#[test]
fn a_permission_and_a_channel_are_a_record_each() {
    let (mut relay, mut alice) = begun();
    alice.allocate(&mut relay);
    let installed = kept(&mut relay, &mut alice, &permit(&["192.0.2.1:1", "192.0.2.2:1", "192.0.2.1:2"]));
    assert_eq!((installed.len(), places(&installed)), (2, vec![0, 1]));
    let [Change::Permission { .. }, Change::Channel { place, record }] =
        &kept(&mut relay, &mut alice, &bind(0x4000, peer()))[..]
    else {
        panic!("a permission and a channel")
    };
    assert_eq!((place.index(), record.number.get(), record.peer.get()), (0, 0x4000, peer()));
}

#[test]
fn what_is_refreshed_keeps_its_place_and_what_is_over_leaves_it() {
    let (mut relay, mut alice) = begun();
    alice.allocate(&mut relay);
    kept(&mut relay, &mut alice, &permit(&["192.0.2.1:1", "192.0.2.2:1"]));
    relay.wait(Duration::from_secs(200));
    assert_eq!(places(&kept(&mut relay, &mut alice, &permit(&["192.0.2.2:1"]))), [1]);
    relay.wait(Duration::from_secs(100));
    assert_eq!(places(&kept(&mut relay, &mut alice, &permit(&["192.0.2.3:1"]))), [0]);
    assert_eq!(places(&kept(&mut relay, &mut alice, &permit(&["192.0.2.4:1"]))), [2]);
    alice.refresh(&mut relay, 0);
    alice.allocate(&mut relay);
    let again = permit(&["192.0.2.1:1", "192.0.2.2:1", "192.0.2.3:1"]);
    let mut again = places(&kept(&mut relay, &mut alice, &again));
    again.sort_unstable();
    assert_eq!(again, [0, 1, 2]);
}

#[test]
fn an_end_is_as_small_as_a_beginning() {
    let (mut relay, mut alice) = begun();
    alice.allocate(&mut relay);
    for host in 1..=100 {
        assert_eq!(alice.permit(&mut relay, at(&format!("192.0.2.{host}:1"))).code(), 0);
    }
    let [Change::Deletion { record, .. }, Change::Allocation { record: None, .. }] =
        &kept(&mut relay, &mut alice, &Request::Refresh { lifetime: 0 })[..]
    else {
        panic!("whose doing it was, and the allocation's end")
    };
    assert_eq!(record.five_tuple, alice.path.five_tuple);
}

#[test]
fn a_reserved_port_is_kept_with_the_allocation_and_given_up_with_its_redemption() {
    let (mut relay, mut alice) = begun();
    let pair = Allocate { even_port: Some(EvenPort { reserve_next: true }), ..Allocate::default() };
    let changes = kept(&mut relay, &mut alice, &Request::Allocate(pair));
    let [
        Change::Reservation { family, port, record: Some(_) },
        Change::Allocation { record: Some(first), .. },
    ] = &changes[..]
    else {
        panic!("{changes:?}")
    };
    assert_eq!(first.relayed.get(*family).unwrap().port.next(), Some(*port));

    let another = |port| TestClient::new(&format!("198.51.100.7:{port}"));
    let reservation = another(1).allocate_as(&mut relay, pair).get();
    let redeem = Request::Allocate(Allocate { reservation, ..Allocate::default() });
    let mut third = another(2);
    third.learn_nonce(&mut relay);
    let changes = kept(&mut relay, &mut third, &redeem);
    let [Change::Allocation { record: Some(second), .. }, Change::Reservation { port, record: None, .. }] =
        &changes[..]
    else {
        panic!("{changes:?}")
    };
    assert_eq!(second.relayed.get(*family).unwrap().port, *port);
}

#[test]
fn packets_are_counted_where_that_outlives_the_process() {
    let (mut relay, mut alice) = begun();
    let relayed = alice.allocate(&mut relay);
    alice.permit(&mut relay, peer());
    alice.send(&mut relay, peer(), b"there");
    alice.send(&mut relay, peer(), b"there");
    relay.peer_sends(peer(), relayed, b"back").unwrap();
    let tallied = |relay: &Relay| relay.left_behind().survivors[0].tallied;
    let counted = tallied(&relay);
    assert_eq!(counted.to_peers, Traffic { packets: 2, bytes: 10 });
    assert_eq!(counted.to_client, Traffic { packets: 1, bytes: 4 });
    alice.refresh(&mut relay, 0);
    alice.allocate(&mut relay);
    assert_eq!(tallied(&relay), Tallied::default(), "the next one in its slot begins anew");
}
