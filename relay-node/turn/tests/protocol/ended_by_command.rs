//! Ending allocations by command: those that are meant, at once, and no others.

use crate::support::{Relay, SECRET, TestClient, allocated, at, settings};
use turn::credentials::UserId;
use turn::{CloseReason, Event, Settings};

fn reasons(relay: &Relay) -> Vec<CloseReason> {
    let closed = |event: &Event| match event {
        Event::AllocationClosed { reason, .. } => Some(*reason),
        _ => None,
    };
    relay.events.iter().filter_map(closed).collect()
}

#[test]
fn those_of_one_user_end_and_others_go_on() {
    let (mut relay, mut alice, _) = allocated();
    let mut carol = TestClient::new("198.51.100.8:4000").timed("1900000000:t1:carol", SECRET);
    carol.allocate(&mut relay);
    carol.permit(&mut relay, at("192.0.2.10:7000"));
    let meant = UserId::time_limited("t1:carol");
    let ended = relay.turn.end(relay.now, &|session| *session.user == meant);
    assert_eq!((ended, relay.drain()), (1, vec![]));
    assert_eq!(reasons(&relay), [CloseReason::Ended]);
    assert_eq!(carol.refresh(&mut relay, 600).code(), 437, "the client learns it at once");
    assert_eq!(alice.refresh(&mut relay, 600).code(), 0);
    carol.allocate(&mut relay);
}

#[test]
fn a_single_one_is_named_by_its_id_or_its_5_tuple() {
    let mut relay = Relay::new();
    let clients = ["198.51.100.7:1", "198.51.100.7:2", "198.51.100.7:3"].map(TestClient::new);
    let mut clients = clients.map(|mut client| {
        client.allocate(&mut relay);
        client
    });
    let id = std::cell::Cell::new(None);
    let of_first = clients[0].path.five_tuple;
    relay.turn.end(relay.now, &|session| {
        if *session.five_tuple == of_first {
            id.set(Some(session.id));
        }
        false
    });
    assert_eq!(relay.turn.end(relay.now, &|session| Some(session.id) == id.get()), 1);
    let of_second = clients[1].path.five_tuple;
    assert_eq!(relay.turn.end(relay.now, &|session| *session.five_tuple == of_second), 1);
    relay.drain();
    assert_eq!(clients.each_mut().map(|client| client.refresh(&mut relay, 600).code()), [437, 437, 0]);
}

#[test]
fn all_that_it_held_is_given_back() {
    let (mut relay, mut alice, _) = allocated();
    alice.permit(&mut relay, at("192.0.2.10:7000"));
    assert_eq!(relay.turn.end(relay.now, &|_| true), 1);
    assert_eq!(relay.drain(), []);
    assert!(relay.is_empty());
}

#[test]
fn one_that_its_client_was_not_told_of_is_none() {
    let mut relay = Relay::with(Settings { asks_quota: true, ..settings() });
    let mut alice = TestClient::new("198.51.100.7:4000");
    alice.learn_nonce(&mut relay);
    let request = alice.signed_allocate();
    assert_eq!(relay.packet(&alice.path, &request), []);
    assert_eq!(relay.turn.end(relay.now, &|_| true), 0);
}
