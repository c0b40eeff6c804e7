//! A client that comes through a load balancer: nothing relies on the address that it seems to have, and what one
//! node gave it, every node takes.

use crate::support::{Relay, TestClient, node, settings};
use stun::Method;
use turn::nonce::{NonceCheck, NonceKind};
use turn::{Settings, Transport};

const ALICE: &str = "198.51.100.7:4000";

fn kind(client: &TestClient, relay: &Relay) -> NonceKind {
    let nonces = settings().nonces;
    match nonces.check(relay.now.unix, client.address().ip(), &client.nonce) {
        NonceCheck::Valid(kind) => kind,
        other => panic!("no good nonce: {other:?}"),
    }
}

/// Settings of another node of the same fleet, with a realm and users in common.
fn other_node() -> Settings {
    settings()
}

#[test]
fn its_nonce_is_bound_to_no_address() {
    let mut relay = Relay::new();
    let mut alice = TestClient::new(ALICE).through_balancer();
    alice.learn_nonce(&mut relay);
    assert_eq!(kind(&alice, &relay), NonceKind::Unbound);
    let mut direct = TestClient::new(ALICE);
    direct.learn_nonce(&mut relay);
    assert_eq!(kind(&direct, &relay), NonceKind::Bound);
}

#[test]
fn binding_is_answered() {
    let mut alice = TestClient::new(ALICE).through_balancer();
    let request = alice.bare(Method::BINDING, |_| Ok(()));
    assert_eq!(alice.exchange(&mut Relay::new(), &request).code(), 0);
}

#[test]
fn each_of_the_first_two_packets_may_meet_another_node_and_look_as_if_from_elsewhere() {
    for transport in [Transport::Udp, Transport::Tcp] {
        let mut first = Relay::new();
        let mut second = Relay::with(other_node());
        let mut alice = TestClient::over(transport, ALICE).through_balancer();
        alice.learn_nonce(&mut first);
        let mut elsewhere = TestClient::over(transport, "10.0.0.3:61000").through_balancer();
        elsewhere.nonce = alice.nonce;
        elsewhere.allocate(&mut second);
    }
}

#[test]
fn what_a_first_contact_was_given_is_good_at_a_direct_listener() {
    let mut relay = Relay::new();
    let mut alice = TestClient::new("10.0.0.3:61000").through_balancer();
    alice.learn_nonce(&mut relay);
    let mut direct = TestClient::new(ALICE);
    direct.nonce = alice.nonce;
    direct.allocate(&mut Relay::with(other_node()));
}

#[test]
fn a_nonce_of_another_fleet_is_good_nowhere() {
    let mut other = settings();
    other.nonces = turn::Nonces::new(vec![[8; 32]], 600, true);
    let mut alice = TestClient::new(ALICE).through_balancer();
    alice.learn_nonce(&mut Relay::with(other));
    assert_eq!(alice.try_allocate(&mut Relay::new()).code(), 438);
}

#[test]
fn a_live_call_through_the_balancer_goes_on_like_any_other() {
    let mut relay = Relay::knowing(settings(), &[]);
    let mut alice = TestClient::new(ALICE).through_balancer();
    alice.allocate(&mut relay);
    relay.know(&[node(&["203.0.113.11"])]);
    assert_eq!(alice.refresh(&mut relay, 600).code(), 0);
    assert_eq!(alice.permit(&mut relay, crate::support::peer()).code(), 0);
    assert_eq!(alice.send(&mut relay, crate::support::peer(), b"hello").len(), 1);
    relay.wait(std::time::Duration::from_secs(400));
    assert_eq!(alice.refresh(&mut relay, 600).code(), 0);
    relay.wait(std::time::Duration::from_secs(300));
    let stale = alice.refresh(&mut relay, 600);
    assert_eq!(stale.code(), 438);
    alice.nonce = stale.get::<stun::attribute::Nonce<'_>>().unwrap().0.to_vec();
    assert_eq!(kind(&alice, &relay), NonceKind::Unbound);
    assert_eq!(alice.refresh(&mut relay, 600).code(), 0);
}
