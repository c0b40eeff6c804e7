//! Refresh (RFC 8656 section 8).

use std::net::SocketAddr;
use std::time::Duration;

use crate::support::{Answer, Relay, TestClient, allocated, at, peer};
use stun::attribute::{AddressFamily, Lifetime, RequestedAddressFamily};
use stun::{AttributeType, Method};
use turn::{CloseReason, Event};

/// A relay where Alice has an address of each family, IPv4 first.
fn dual_stack() -> (Relay, TestClient, [SocketAddr; 2]) {
    let mut relay = Relay::new();
    let mut alice = TestClient::new("198.51.100.7:4000");
    let relayed = alice.allocate_both(&mut relay).relayed();
    (relay, alice, [relayed[0], relayed[1]])
}

fn of_family(alice: &mut TestClient, family: AddressFamily, lifetime: u32) -> Vec<u8> {
    alice.signed(Method::REFRESH, |writer| {
        writer.attribute(&Lifetime(lifetime))?.attribute(&RequestedAddressFamily(family)).map(drop)
    })
}

fn refresh_family(relay: &mut Relay, alice: &mut TestClient, family: AddressFamily, lifetime: u32) -> Answer {
    let request = of_family(alice, family, lifetime);
    alice.exchange(relay, &request)
}

fn close_reasons(relay: &Relay) -> Vec<CloseReason> {
    let reason = |event: &Event| match event {
        Event::AllocationClosed { reason, .. } => Some(*reason),
        _ => None,
    };
    relay.events.iter().filter_map(reason).collect()
}

#[test]
fn prolongs_the_allocation() {
    let (mut relay, mut alice, _) = allocated();
    for _ in 0..3 {
        relay.wait(Duration::from_secs(500));
        alice.learn_nonce(&mut relay);
        assert_eq!(alice.refresh(&mut relay, 600).get(), Some(Lifetime(600)));
    }
    relay.wait(Duration::from_secs(599));
    assert_eq!(relay.turn.allocations(), 1);
    relay.wait(Duration::from_secs(1));
    assert_eq!((relay.turn.allocations(), relay.sockets.len()), (0, 0));
}

#[test]
fn grants_between_the_default_and_the_maximum() {
    let (mut relay, mut alice, _) = allocated();
    for (asked, granted) in [(1, 600), (599, 600), (1800, 1800), (3601, 3600), (u32::MAX, 3600)] {
        assert_eq!(alice.refresh(&mut relay, asked).get(), Some(Lifetime(granted)), "asked for {asked}");
    }
    let without = alice.ask(&mut relay, Method::REFRESH, |_| Ok(()));
    assert_eq!(without.get(), Some(Lifetime(600)));
}

#[test]
fn can_shorten_the_lifetime() {
    let (mut relay, mut alice, _) = allocated();
    alice.refresh(&mut relay, 3600);
    alice.refresh(&mut relay, 600);
    relay.wait(Duration::from_secs(600));
    assert_eq!(relay.turn.allocations(), 0);
}

#[test]
fn with_lifetime_zero_deletes() {
    let (mut relay, mut alice, relayed) = allocated();
    alice.permit(&mut relay, peer());
    let answer = alice.refresh(&mut relay, 0);
    assert_eq!((answer.code(), answer.get()), (0, Some(Lifetime(0))));
    assert!(relay.is_empty());
    assert_eq!(relay.peer_sends(peer(), relayed, b"hello"), None);
    assert_eq!(close_reasons(&relay), [CloseReason::Deleted]);
}

#[test]
fn a_retransmitted_deletion_is_answered_alike() {
    let (mut relay, mut alice, _) = allocated();
    let deletion = alice.signed_refresh(0);
    let first = alice.exchange(&mut relay, &deletion);
    relay.wait(Duration::from_secs(39));
    assert_eq!(alice.exchange(&mut relay, &deletion).0, first.0);
    assert_eq!(alice.refresh(&mut relay, 0).code(), 437, "another transaction has nothing to delete");
    relay.wait(Duration::from_secs(1));
    assert_eq!(alice.exchange(&mut relay, &deletion).code(), 437, "no client retransmits for so long");
}

#[test]
fn a_late_deletion_does_not_end_the_next_allocation() {
    let (mut relay, mut alice, _) = allocated();
    let deletion = alice.signed_refresh(0);
    let first = alice.exchange(&mut relay, &deletion);
    alice.allocate(&mut relay);
    assert_eq!(alice.exchange(&mut relay, &deletion).0, first.0);
    assert_eq!(relay.turn.allocations(), 1);
}

#[test]
fn without_an_allocation_is_a_mismatch() {
    let mut relay = Relay::new();
    let mut alice = TestClient::new("198.51.100.7:4000");
    for lifetime in [0, 600] {
        assert_eq!(alice.refresh(&mut relay, lifetime).code(), 437);
    }
}

#[test]
fn a_malformed_lifetime_is_a_bad_request() {
    let (mut relay, mut alice, _) = allocated();
    let answer = alice.ask(&mut relay, Method::REFRESH, |writer| {
        writer.raw(stun::AttributeType::LIFETIME, &[0; 3]).map(drop)
    });
    assert_eq!((answer.code(), relay.turn.allocations()), (400, 1));
}

#[test]
fn of_another_family_is_a_family_mismatch() {
    let (mut relay, mut alice, _) = allocated();
    for lifetime in [0, 600] {
        assert_eq!(refresh_family(&mut relay, &mut alice, AddressFamily::V6, lifetime).code(), 443);
        let unknown = alice.ask(&mut relay, Method::REFRESH, |writer| {
            writer.attribute(&Lifetime(lifetime))?;
            writer.raw(AttributeType::REQUESTED_ADDRESS_FAMILY, &[9, 0, 0, 0]).map(drop)
        });
        assert_eq!(unknown.code(), 443);
    }
    assert_eq!(refresh_family(&mut relay, &mut alice, AddressFamily::V4, 600).code(), 0);
    assert_eq!(relay.turn.allocations(), 1);
}

#[test]
fn of_two_families_one_can_be_deleted() {
    let (mut relay, mut alice, [v4, v6]) = dual_stack();
    let (peer_v4, peer_v6) = (at("192.0.2.10:7000"), at("[2001:db8:2::10]:7000"));
    alice.permit(&mut relay, peer_v4);
    alice.permit(&mut relay, peer_v6);
    alice.bind(&mut relay, 0x4000, peer_v4);

    assert_eq!(refresh_family(&mut relay, &mut alice, AddressFamily::V4, 0).get(), Some(Lifetime(0)));
    assert!(!relay.sockets.contains_key(&v4));
    assert_eq!(alice.send(&mut relay, peer_v4, b"hello"), []);
    assert_eq!(alice.channel_data(&mut relay, 0x4000, b"hello"), []);
    assert_eq!(alice.permit(&mut relay, peer_v4).code(), 443);
    assert!(relay.peer_sends(peer_v6, v6, b"hello").is_some());
    assert_eq!((relay.turn.stats().permissions, relay.turn.stats().channels), (1, 0));
    assert_eq!(close_reasons(&relay), []);

    assert_eq!(refresh_family(&mut relay, &mut alice, AddressFamily::V4, 600).code(), 443);
    assert_eq!(refresh_family(&mut relay, &mut alice, AddressFamily::V6, 0).code(), 0);
    assert!(relay.is_empty());
    assert_eq!(close_reasons(&relay), [CloseReason::Deleted]);
}

#[test]
fn a_retransmitted_deletion_of_one_family_is_answered_alike() {
    let (mut relay, mut alice, _) = dual_stack();
    let deletion = of_family(&mut alice, AddressFamily::V6, 0);
    let first = alice.exchange(&mut relay, &deletion);
    assert_eq!(first.code(), 0);
    assert_eq!(alice.exchange(&mut relay, &deletion).0, first.0);
    assert_eq!((relay.turn.allocations(), relay.sockets.len()), (1, 1));
}

#[test]
fn of_one_of_two_families_prolongs_that_one() {
    let (mut relay, mut alice, [v4, v6]) = dual_stack();
    let peer_v4 = at("192.0.2.10:7000");
    relay.wait(Duration::from_secs(500));
    alice.permit(&mut relay, peer_v4);
    assert_eq!(refresh_family(&mut relay, &mut alice, AddressFamily::V6, 600).code(), 0);
    relay.wait(Duration::from_secs(99));
    assert!(relay.sockets.contains_key(&v4));
    relay.wait(Duration::from_secs(1));
    assert_eq!(relay.sockets.keys().collect::<Vec<_>>(), [&v6]);
    assert_eq!(alice.send(&mut relay, peer_v4, b"hello"), []);
    assert_eq!(relay.turn.stats().permissions, 0);
    relay.wait(Duration::from_secs(500));
    assert!(relay.is_empty());
    assert_eq!(close_reasons(&relay), [CloseReason::Expired]);
}

#[test]
fn without_a_family_prolongs_both() {
    let (mut relay, mut alice, _) = dual_stack();
    relay.wait(Duration::from_secs(500));
    assert_eq!(alice.refresh(&mut relay, 600).code(), 0);
    relay.wait(Duration::from_secs(599));
    assert_eq!(relay.sockets.len(), 2);
    relay.wait(Duration::from_secs(1));
    assert!(relay.is_empty());
}
