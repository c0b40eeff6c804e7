//! What reaches a relayed address from where no permission is, is dropped (RFC 8656 section 9).

use std::time::Duration;

use crate::support::{TestClient, allocated, at, data_indication, peer};
use turn::{DropReason, Forward, HEADROOM, PeerAddr, Span, TAILROOM};

#[test]
fn a_stranger_reaches_nobody() {
    let (mut relay, mut alice, relayed) = allocated();
    assert_eq!(relay.peer_sends(peer(), relayed, b"hello"), None);
    alice.permit(&mut relay, peer());
    for stranger in ["192.0.2.11:7000", "198.51.100.7:4000", "203.0.113.1:3478", "[2001:db8:2::1]:7000"] {
        assert_eq!(relay.peer_sends(at(stranger), relayed, b"hello"), None, "{stranger}");
    }
    assert_eq!(relay.dropped(DropReason::NoPermission), 5);
    assert_eq!(relay.turn.stats().to_clients.packets, 0);
}

#[test]
fn one_allocations_peer_is_a_stranger_to_the_next() {
    let (mut relay, mut alice, relayed) = allocated();
    alice.permit(&mut relay, peer());
    let mut bob = TestClient::new("198.51.100.8:4000").named("bob", "builder");
    let bobs = bob.allocate(&mut relay);
    assert!(relay.peer_sends(peer(), relayed, b"hello").is_some());
    assert_eq!(relay.peer_sends(peer(), bobs, b"hello"), None);
}

#[test]
fn what_a_stranger_sends_looking_like_turn_is_no_different() {
    let (mut relay, mut alice, relayed) = allocated();
    let request = alice.signed(stun::Method::REFRESH, |_| Ok(()));
    assert_eq!(relay.peer_sends(peer(), relayed, &request), None);
    alice.permit(&mut relay, peer());
    let (_, packet) = relay.peer_sends(peer(), relayed, &request).unwrap();
    assert_eq!(data_indication(&packet), (peer(), request.as_slice()), "a payload like any other");
}

#[test]
fn an_ipv4_peer_written_as_ipv6_is_a_stranger() {
    let (mut relay, mut alice, relayed) = allocated();
    alice.permit(&mut relay, peer());
    assert_eq!(relay.peer_sends(at("[::ffff:192.0.2.10]:7000"), relayed, b"hello"), None);
}

#[test]
fn a_late_packet_for_an_allocation_that_ended_does_not_reach_the_next_one() {
    let (mut relay, mut alice, relayed) = allocated();
    let old = relay.sockets[&relayed];
    alice.refresh(&mut relay, 0);
    let mut bob = TestClient::new("198.51.100.8:4000").named("bob", "builder");
    let bobs = bob.allocate(&mut relay);
    bob.permit(&mut relay, peer());
    assert_eq!(relay.sockets[&bobs].index(), old.index(), "the place is used again");

    let mut buffer = vec![0; HEADROOM + 5 + TAILROOM];
    let payload = Span { start: HEADROOM, end: HEADROOM + 5 };
    let forward = relay.turn.peer_packet(relay.now, old, PeerAddr::new(peer()), &mut buffer, payload);
    assert_eq!(forward, Forward::Nothing);
    assert!(relay.peer_sends(peer(), bobs, b"hello").is_some());
}

#[test]
fn an_allocation_that_expired_is_closed_to_its_peers() {
    let (mut relay, mut alice, relayed) = allocated();
    relay.wait(Duration::from_secs(599));
    alice.permit(&mut relay, peer());
    assert!(relay.peer_sends(peer(), relayed, b"hello").is_some());
    relay.wait(Duration::from_secs(1));
    assert_eq!(relay.peer_sends(peer(), relayed, b"hello"), None);
    assert!(relay.is_empty());
}
