//! Draining: no new calls, the old ones go on until they end or are ended.

use std::time::Duration;

use crate::support::{TestClient, allocated, at, peer};
use turn::{CloseReason, Drain, Event};

#[test]
fn refuses_new_allocations() {
    let (mut relay, _, _) = allocated();
    relay.turn.drain(Drain::ToEnd);
    let mut bob = TestClient::new("198.51.100.8:4000").named("bob", "builder");
    assert_eq!(bob.try_allocate(&mut relay).code(), 508);
    assert_eq!((relay.turn.allocations(), relay.sockets.len()), (1, 1));
}

#[test]
fn takes_new_allocations_again_when_told() {
    let (mut relay, _, _) = allocated();
    relay.turn.drain(Drain::ToEnd);
    let mut bob = TestClient::new("198.51.100.8:4000").named("bob", "builder");
    assert_eq!(bob.try_allocate(&mut relay).code(), 508);
    relay.turn.resume();
    assert_eq!(bob.try_allocate(&mut relay).code(), 0);
    assert_eq!(relay.turn.allocations(), 2);
}

#[test]
fn serves_the_old_ones_as_ever() {
    let (mut relay, mut alice, relayed) = allocated();
    relay.turn.drain(Drain::ToEnd);
    assert_eq!(alice.refresh(&mut relay, 600).code(), 0);
    assert_eq!(alice.permit(&mut relay, peer()).code(), 0);
    assert_eq!(alice.bind(&mut relay, 0x4000, at("192.0.2.11:1")).code(), 0);
    assert_eq!(alice.send(&mut relay, peer(), b"hello").len(), 1);
    assert!(relay.peer_sends(peer(), relayed, b"hello").is_some());
    relay.wait(Duration::from_secs(600));
    assert!(relay.is_empty());
}

#[test]
fn answers_binding() {
    let (mut relay, mut alice, _) = allocated();
    relay.turn.drain(Drain::ToEnd);
    let request = alice.bare(stun::Method::BINDING, |_| Ok(()));
    assert_eq!(alice.exchange(&mut relay, &request).code(), 0);
}

#[test]
fn an_allocate_from_before_is_still_answered_alike() {
    let mut relay = crate::support::Relay::new();
    let mut alice = TestClient::new("198.51.100.7:4000");
    alice.learn_nonce(&mut relay);
    let request = alice.signed_allocate();
    let first = alice.exchange(&mut relay, &request);
    relay.turn.drain(Drain::ToEnd);
    assert_eq!(alice.exchange(&mut relay, &request).0, first.0);
}

#[test]
fn at_the_deadline_everything_ends() {
    let (mut relay, mut alice, _) = allocated();
    alice.permit(&mut relay, peer());
    for host in 1..=9 {
        TestClient::new(&format!("198.51.100.8:{host}")).allocate(&mut relay);
    }
    relay.turn.drain(Drain::ToEnd);
    relay.turn.end_all(relay.now);
    assert_eq!(relay.drain(), []);
    assert!(relay.is_empty());
    let stopped = relay
        .events
        .iter()
        .filter(|event| matches!(event, Event::AllocationClosed { reason: CloseReason::Stopped, .. }));
    assert_eq!(stopped.count(), 10);
    assert_eq!(alice.refresh(&mut relay, 600).code(), 437, "the client learns it at once");
}
