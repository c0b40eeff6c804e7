//! CreatePermission (RFC 8656 sections 9 and 10).

use std::net::SocketAddr;
use std::time::Duration;

use crate::support::{Relay, TestClient, allocated, allocated_with, at, peer, settings};
use stun::attribute::XorPeerAddress;
use stun::{AttributeType, Method};
use turn::Quota;

/// A relay that grants this many permissions to a user.
fn with_quota(permissions: u32) -> (Relay, TestClient, SocketAddr) {
    let mut limited = settings();
    limited.limits.user = Quota { permissions, ..limited.limits.user };
    allocated_with(limited)
}

#[test]
fn lets_the_peers_address_through_whatever_its_port() {
    let (mut relay, mut alice, relayed) = allocated();
    assert_eq!(alice.permit(&mut relay, peer()).code(), 0);
    for port in [7000, 1, 65535] {
        let from = SocketAddr::new(peer().ip(), port);
        assert!(relay.peer_sends(from, relayed, b"hello").is_some());
        assert_eq!(alice.send(&mut relay, from, b"hello").len(), 1);
    }
    assert_eq!(relay.peer_sends(at("192.0.2.11:7000"), relayed, b"hello"), None);
}

#[test]
fn takes_several_peers_at_once() {
    let (mut relay, mut alice, relayed) = allocated();
    let peers: Vec<_> = (1..=20).map(|n| at(&format!("192.0.2.{n}:7000"))).collect();
    assert_eq!(alice.permit_all(&mut relay, &peers).code(), 0);
    assert!(peers.iter().all(|peer| relay.peer_sends(*peer, relayed, b"hello").is_some()));
    assert_eq!(relay.turn.stats().permissions, 20);
}

#[test]
fn a_permission_is_the_allocations_own() {
    let (mut relay, mut alice, _) = allocated();
    alice.permit(&mut relay, peer());
    let mut second = TestClient::new("198.51.100.7:4001");
    let relayed = second.allocate(&mut relay);
    assert_eq!(relay.peer_sends(peer(), relayed, b"hello"), None);
}

#[test]
fn lasts_300_seconds() {
    let (mut relay, mut alice, relayed) = allocated();
    alice.permit(&mut relay, peer());
    relay.wait(Duration::from_millis(299_999));
    assert!(relay.peer_sends(peer(), relayed, b"hello").is_some());
    assert_eq!(alice.send(&mut relay, peer(), b"hello").len(), 1);
    relay.wait(Duration::from_millis(1));
    assert_eq!(relay.peer_sends(peer(), relayed, b"hello"), None);
    assert_eq!(alice.send(&mut relay, peer(), b"hello"), []);
    assert_eq!(relay.turn.stats().permissions, 0);
}

#[test]
fn is_over_in_time_even_when_the_timers_are_late() {
    let (mut relay, mut alice, relayed) = allocated();
    alice.permit(&mut relay, peer());
    relay.now = relay.now.after(Duration::from_secs(300));
    assert_eq!(relay.peer_sends(peer(), relayed, b"hello"), None);
    assert_eq!(alice.send(&mut relay, peer(), b"hello"), []);
}

#[test]
fn is_prolonged_by_another_request_and_by_nothing_else() {
    let (mut relay, mut alice, relayed) = allocated();
    alice.permit(&mut relay, peer());
    relay.wait(Duration::from_secs(200));
    alice.permit(&mut relay, peer());
    relay.wait(Duration::from_secs(299));
    assert_eq!(alice.refresh(&mut relay, 600).code(), 0);
    alice.send(&mut relay, peer(), b"hello");
    assert!(relay.peer_sends(peer(), relayed, b"hello").is_some());
    relay.wait(Duration::from_secs(1));
    assert_eq!(relay.peer_sends(peer(), relayed, b"hello"), None);
}

#[test]
fn installs_all_or_none() {
    for (bad, code) in [("10.0.0.1:1", 403), ("[2001:db8:2::1]:1", 443)] {
        for peers in [[peer(), at(bad)], [at(bad), peer()]] {
            let (mut relay, mut alice, relayed) = allocated();
            assert_eq!(alice.permit_all(&mut relay, &peers).code(), code);
            assert_eq!(relay.peer_sends(peer(), relayed, b"hello"), None);
            assert_eq!(relay.turn.stats().permissions, 0);
        }
    }
}

#[test]
fn a_refused_request_does_not_prolong_either() {
    let (mut relay, mut alice, relayed) = allocated();
    alice.permit(&mut relay, peer());
    relay.wait(Duration::from_secs(200));
    assert_eq!(alice.permit_all(&mut relay, &[peer(), at("10.0.0.1:1")]).code(), 403);
    relay.wait(Duration::from_secs(100));
    assert_eq!(relay.peer_sends(peer(), relayed, b"hello"), None);
}

#[test]
fn needs_a_peer_and_well_formed_ones() {
    let (mut relay, mut alice, _) = allocated();
    assert_eq!(alice.permit_all(&mut relay, &[]).code(), 400);
    for malformed in [&[][..], &[0, 1, 2, 3], &[0, 1, 1, 1, 192, 0, 2], &[0, 3, 1, 1, 1, 1, 1, 1], &[0; 20]] {
        let answer = alice.ask(&mut relay, Method::CREATE_PERMISSION, |writer| {
            writer.attribute(&XorPeerAddress(peer()))?;
            writer.raw(AttributeType::XOR_PEER_ADDRESS, malformed).map(drop)
        });
        assert_eq!(answer.code(), 400, "{malformed:?}");
    }
    assert_eq!(relay.turn.stats().permissions, 0);
}

#[test]
fn needs_an_allocation() {
    let mut alice = TestClient::new("198.51.100.7:4000");
    assert_eq!(alice.permit(&mut Relay::new(), peer()).code(), 437);
}

#[test]
fn over_the_quota_gets_508_and_installs_nothing() {
    let (mut relay, mut alice, relayed) = with_quota(2);
    let [first, second, third] = ["192.0.2.1:1", "192.0.2.2:1", "192.0.2.3:1"].map(at);
    assert_eq!(alice.permit_all(&mut relay, &[first, second, third]).code(), 508);
    assert_eq!(relay.peer_sends(first, relayed, b"hello"), None);
    assert_eq!(alice.permit_all(&mut relay, &[first, second]).code(), 0);
    assert_eq!(alice.permit(&mut relay, third).code(), 508);
}

#[test]
fn a_prolonged_or_repeated_peer_counts_once() {
    let (mut relay, mut alice, _) = with_quota(1);
    let other_port = SocketAddr::new(peer().ip(), 9);
    assert_eq!(alice.permit_all(&mut relay, &[peer(), peer(), other_port]).code(), 0);
    assert_eq!(alice.permit(&mut relay, peer()).code(), 0);
    assert_eq!(relay.turn.stats().permissions, 1);
}

#[test]
fn one_that_is_over_makes_room_for_another() {
    let (mut relay, mut alice, _) = with_quota(1);
    alice.permit(&mut relay, peer());
    // The timers are late: what is over must not count all the same.
    relay.now = relay.now.after(Duration::from_secs(300));
    assert_eq!(alice.permit(&mut relay, at("192.0.2.11:1")).code(), 0);
}

#[test]
fn the_end_of_an_allocation_gives_its_permissions_back() {
    let (mut relay, mut alice, _) = with_quota(1);
    alice.permit(&mut relay, peer());
    alice.refresh(&mut relay, 0);
    alice.allocate(&mut relay);
    assert_eq!(alice.permit(&mut relay, at("192.0.2.11:1")).code(), 0);
}

#[test]
fn the_whole_relay_has_a_quota_too() {
    let mut limited = settings();
    limited.limits.total = Quota { permissions: 1, ..limited.limits.total };
    let (mut relay, mut alice, _) = allocated_with(limited);
    alice.permit(&mut relay, peer());
    let mut bob = TestClient::new("198.51.100.8:4000").named("bob", "builder");
    bob.allocate(&mut relay);
    assert_eq!(bob.permit(&mut relay, peer()).code(), 508);
    alice.refresh(&mut relay, 0);
    assert_eq!(bob.permit(&mut relay, peer()).code(), 0);
}
