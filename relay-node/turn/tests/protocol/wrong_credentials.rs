//! 441: a request about an allocation that another name made (RFC 8656 section 5).

use crate::support::{Relay, SECRET, START, TestClient, allocated, peer};

/// Bob behind Alice's 5-tuple, as somebody who spoofs her address or shares her NAT.
fn bob_as(alice: &TestClient) -> TestClient {
    alice.clone().named("bob", "builder")
}

#[test]
fn another_user_can_do_nothing_to_an_allocation() {
    let (mut relay, mut alice, relayed) = allocated();
    let mut bob = bob_as(&alice);
    for answer in [
        bob.refresh(&mut relay, 600),
        bob.refresh(&mut relay, 0),
        bob.permit(&mut relay, peer()),
        bob.bind(&mut relay, 0x4000, peer()),
    ] {
        assert_eq!(answer.code(), 441);
        assert_eq!(answer.message().verify_sha1(&bob.key()), Ok(()), "signed with Bob's own key");
    }
    assert_eq!(relay.peer_sends(peer(), relayed, b"hello"), None);
    assert_eq!(alice.refresh(&mut relay, 600).code(), 0);
}

#[test]
fn an_allocate_of_another_user_is_a_mismatch() {
    let (mut relay, alice, _) = allocated();
    assert_eq!(bob_as(&alice).try_allocate(&mut relay).code(), 437);
    assert_eq!(relay.turn.allocations(), 1);
}

#[test]
fn the_same_transaction_does_not_make_another_user_the_owner() {
    let mut relay = Relay::new();
    let mut alice = TestClient::new("198.51.100.7:4000");
    alice.learn_nonce(&mut relay);
    let mut bob = bob_as(&alice);
    alice.allocate(&mut relay);
    let answer = bob.try_allocate(&mut relay);
    assert_eq!(answer.code(), 437, "no retransmission, though it looks like one");
}

#[test]
fn a_second_name_of_the_same_time_limited_user_is_another_name() {
    let mut relay = Relay::new();
    let name = |seconds| format!("{}:carol", START.unix.get() + seconds);
    let mut first = TestClient::new("198.51.100.9:1").timed(&name(60), SECRET);
    first.allocate(&mut relay);
    let mut second = first.clone().timed(&name(61), SECRET);
    assert_eq!(second.refresh(&mut relay, 600).code(), 441);
}

#[test]
fn after_its_end_the_five_tuple_is_anybodys() {
    let (mut relay, mut alice, _) = allocated();
    alice.refresh(&mut relay, 0);
    let mut bob = bob_as(&alice);
    bob.allocate(&mut relay);
    assert_eq!(alice.refresh(&mut relay, 600).code(), 441);
}
