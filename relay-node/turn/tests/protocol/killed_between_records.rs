//! A process that is killed after any of the records of a request, before its answer, leaves what lets the next
//! one answer the retransmission as if that were the first.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::support::{Answer, Relay, Store, TestClient, peer};
use stun::Method;
use stun::attribute::{
    ChannelNumber, EvenPort, Lifetime, RequestedAddressFamily, ReservationToken, XorRelayedAddress,
};
use turn::{AddressFamily, OpenError, Output, PathId, WorkerId};
use turn_client::{Allocate, Request};

const PATH: PathId = PathId(77);
/// Of the only worker.
const WORKER: WorkerId = WorkerId(1);

fn alice() -> TestClient {
    TestClient::new("198.51.100.7:4000")
}

/// Alice with relayed addresses of both families, a second ago.
fn with_both(relay: &mut Relay) -> TestClient {
    let mut alice = alice();
    alice.allocate_as(relay, Allocate { additional: Some(AddressFamily::V6), ..Allocate::default() });
    relay.wait(Duration::from_secs(1));
    alice
}

/// What the core says of `packet`, of which `records` are kept and no answer leaves; how many there were.
fn killed_after(
    records: usize,
    relay: &mut Relay,
    store: &Mutex<Store>,
    client: &TestClient,
    packet: &[u8],
) -> usize {
    relay.packet_alone(&client.path, packet);
    let mut said = 0;
    while let Some(output) = relay.turn.poll_output() {
        match output {
            Output::Record(change) => {
                if said < records {
                    store.lock().unwrap().keep(WORKER, change);
                }
                said += 1;
            }
            Output::OpenRelay { relay: id, .. } => relay.turn.relay_opened(relay.now, id, Ok(())),
            Output::AskQuota { .. } => unreachable!("its settings say that nobody is asked"),
            Output::CloseRelay { .. } | Output::Event(_) | Output::ToClient { .. } => {}
        }
    }
    said
}

/// For each number of records that may be kept: sends what `ask` writes to a relay that is killed then, and again
/// to the next one, whose answer and state `check` sees.
fn at_every_moment(
    ask: impl Fn(&mut Relay) -> (TestClient, Vec<u8>),
    check: impl Fn(&mut Relay, &TestClient, &Answer),
) {
    for records in 0.. {
        let store = Arc::default();
        let mut relay = Relay::new().recording(&store);
        let (client, packet) = ask(&mut relay);
        let said = killed_after(records, &mut relay, &store, &client, &packet);
        if records > said {
            assert!(said > 0);
            return;
        }
        let mut next = Relay::new().recording(&Arc::default());
        next.now = relay.now;
        relay.left_behind().restore(std::slice::from_mut(&mut next), |_| (0, PATH));
        let answer = client.exchange(&mut next, &packet);
        assert_eq!(answer.code(), 0, "after {records} of {said} records");
        check(&mut next, &client, &answer);
    }
}

#[test]
fn of_an_allocation() {
    let ask = |relay: &mut Relay| {
        let mut alice = alice();
        alice.learn_nonce(relay);
        let packet = alice.signed_allocate();
        (alice, packet)
    };
    at_every_moment(ask, |relay, _, _| assert_eq!(relay.turn.allocations(), 1));
}

#[test]
fn of_an_allocation_that_reserves_the_next_port() {
    let ask = |relay: &mut Relay| {
        let mut alice = alice();
        alice.learn_nonce(relay);
        let pair = Allocate { even_port: Some(EvenPort { reserve_next: true }), ..Allocate::default() };
        let packet = alice.signed_request(&Request::Allocate(pair));
        (alice, packet)
    };
    at_every_moment(ask, |relay, _, answer| {
        let reservation = answer.get::<ReservationToken>();
        let mut bob = TestClient::new("198.51.100.7:4001");
        assert_eq!(bob.allocate_as(relay, Allocate { reservation, ..Allocate::default() }).code(), 0);
    });
}

#[test]
fn of_an_allocation_of_a_reserved_port() {
    let ask = |relay: &mut Relay| {
        let pair = Allocate { even_port: Some(EvenPort { reserve_next: true }), ..Allocate::default() };
        let reservation = alice().allocate_as(relay, pair).get::<ReservationToken>();
        let mut bob = TestClient::new("198.51.100.7:4001");
        bob.learn_nonce(relay);
        let wish = Allocate { reservation, ..Allocate::default() };
        let packet = bob.signed_request(&Request::Allocate(wish));
        (bob, packet)
    };
    at_every_moment(ask, |relay, client, answer| {
        let port = answer.get::<XorRelayedAddress>().unwrap().0.port();
        assert_eq!((port % 2, relay.turn.allocations()), (1, 2));
        // Nobody else gets it.
        assert!(relay.left_behind().reservations.is_empty());
        assert!(relay.turn.has_allocation(&client.path.five_tuple));
    });
}

#[test]
fn of_a_deletion() {
    let ask = |relay: &mut Relay| {
        let mut alice = with_both(relay);
        let packet = alice.signed_refresh(0);
        (alice, packet)
    };
    at_every_moment(ask, |relay, _, answer| {
        assert_eq!(answer.get::<Lifetime>().unwrap().0, 0);
        assert!(relay.turn.allocations() == 0 && relay.sockets.is_empty());
    });
}

#[test]
fn of_a_deletion_of_one_family() {
    let ask = |relay: &mut Relay| {
        let mut alice = with_both(relay);
        let packet = alice.signed(Method::REFRESH, |writer| {
            writer.attribute(&Lifetime(0))?;
            writer.attribute(&RequestedAddressFamily(AddressFamily::V6)).map(drop)
        });
        (alice, packet)
    };
    at_every_moment(ask, |relay, _, _| {
        assert_eq!(relay.turn.allocations(), 1);
        assert!(relay.sockets.keys().all(|local| local.is_ipv4()) && relay.sockets.len() == 1);
    });
}

#[test]
fn of_a_channel() {
    let ask = |relay: &mut Relay| {
        let mut alice = with_both(relay);
        let channel = ChannelNumber::new(0x4000).unwrap();
        let packet = alice.signed_request(&Request::ChannelBind { channel, peer: peer() });
        (alice, packet)
    };
    at_every_moment(ask, |relay, client, _| {
        assert_eq!(client.channel_data(relay, 0x4000, b"there").len(), 1);
    });
}

#[test]
fn a_reserved_port_that_no_socket_opens_on_is_given_up() {
    let store = Arc::default();
    let mut relay = Relay::new().recording(&store);
    let pair = Allocate { even_port: Some(EvenPort { reserve_next: true }), ..Allocate::default() };
    let reservation = alice().allocate_as(&mut relay, pair).get::<ReservationToken>();
    assert_eq!(relay.left_behind().reservations.len(), 1);
    relay.failing[0].push_back(OpenError::InUse);
    let mut bob = TestClient::new("198.51.100.7:4001");
    assert_eq!(bob.allocate_as(&mut relay, Allocate { reservation, ..Allocate::default() }).code(), 508);
    assert!(relay.left_behind().reservations.is_empty());
}

#[test]
fn a_deletion_that_comes_late_deletes_nothing_newer() {
    let mut relay = Relay::new();
    let mut alice = with_both(&mut relay);
    let packet = alice.signed_refresh(0);
    assert_eq!(alice.exchange(&mut relay, &packet).code(), 0);
    alice.allocate(&mut relay);
    assert_eq!(alice.exchange(&mut relay, &packet).code(), 0);
    assert_eq!(relay.turn.allocations(), 1, "in the same moment");
}
