//! Other settings while calls are live: what lives goes on, what is new goes by the new ones.

use std::net::SocketAddr;

use crate::support::{Relay, SECRET, START, TestClient, allocated, at, credentials, peer, settings};
use stun::Method;
use stun::attribute::{Lifetime, Nonce, Software};
use turn::{AnswerLimits, Lifetimes, PeerPolicy, Quota, Realm, Settings};

/// A relay with a live call, which then goes on under what `change` makes of its settings.
fn live_under(change: impl FnOnce(&mut Settings)) -> (Relay, TestClient, SocketAddr) {
    let (mut relay, mut alice, relayed) = allocated();
    alice.bind(&mut relay, 0x4000, peer());
    let mut other = settings();
    change(&mut other);
    relay.apply(other);
    (relay, alice, relayed)
}

fn assert_flows(relay: &mut Relay, alice: &TestClient, relayed: SocketAddr) {
    assert_eq!(alice.channel_data(relay, 0x4000, b"hello").len(), 1);
    assert!(relay.peer_sends(peer(), relayed, b"hello").is_some());
}

fn bob() -> TestClient {
    TestClient::new("198.51.100.8:4000").named("bob", "builder")
}

#[test]
fn a_removed_user_keeps_what_it_has_until_its_time_and_gets_no_more() {
    let (mut relay, mut alice, relayed) = live_under(|settings| {
        settings.credentials =
            turn::Credentials::new(&settings.realm, &[("bob", "builder")], vec![]).unwrap();
    });
    assert_flows(&mut relay, &alice, relayed);
    for answer in [
        alice.refresh(&mut relay, 600),
        alice.permit(&mut relay, at("192.0.2.11:1")),
        alice.bind(&mut relay, 0x4001, at("192.0.2.11:1")),
        TestClient::new("198.51.100.7:4001").try_allocate(&mut relay),
    ] {
        assert_eq!(answer.code(), 401);
    }
    relay.wait(std::time::Duration::from_secs(600));
    assert!(relay.is_empty());
}

#[test]
fn a_user_with_another_password_goes_on_with_either() {
    let (mut relay, mut alice, relayed) = live_under(|settings| {
        settings.credentials =
            turn::Credentials::new(&settings.realm, &[("alice", "looking-glass")], vec![]).unwrap();
    });
    assert_flows(&mut relay, &alice, relayed);
    assert_eq!(alice.refresh(&mut relay, 600).code(), 0);
    assert_eq!(alice.named("alice", "looking-glass").refresh(&mut relay, 600).code(), 0);
    assert_eq!(TestClient::new("198.51.100.7:4001").try_allocate(&mut relay).code(), 401);
}

#[test]
fn a_call_outlives_the_secret_that_it_began_under_and_the_end_of_its_name() {
    let mut relay = Relay::new();
    let name = format!("{}:carol", START.unix.get() + 60);
    let mut carol = TestClient::new("198.51.100.9:1").timed(&name, SECRET);
    carol.allocate(&mut relay);
    let mut rotated = settings();
    rotated.credentials = credentials(&["another secret, as long as need be"]);
    relay.apply(rotated);
    relay.wait(std::time::Duration::from_secs(120));
    assert_eq!(carol.refresh(&mut relay, 600).code(), 0);
}

#[test]
fn a_denied_peer_keeps_what_it_has_and_gets_no_more() {
    let (mut relay, mut alice, relayed) = live_under(|settings| {
        settings.policy = PeerPolicy::new(vec![], vec!["192.0.2.0/24".parse().unwrap()], vec![]);
    });
    assert_flows(&mut relay, &alice, relayed);
    assert_eq!(alice.bind(&mut relay, 0x4000, peer()).code(), 403);
    relay.wait(std::time::Duration::from_secs(300));
    assert_eq!(relay.peer_sends(peer(), relayed, b"hello"), None);
}

#[test]
fn lower_quotas_end_nothing_and_allow_no_more() {
    let none = |quota: Quota| Quota { allocations: 0, permissions: 0, channels: 0, ..quota };
    let (mut relay, mut alice, relayed) =
        live_under(|settings| settings.limits.user = none(settings.limits.user));
    assert_flows(&mut relay, &alice, relayed);
    assert_eq!(alice.bind(&mut relay, 0x4000, peer()).code(), 0, "a refresh takes nothing new");
    assert_eq!(alice.permit(&mut relay, at("192.0.2.11:1")).code(), 508);
    assert_eq!(bob().try_allocate(&mut relay).code(), 486);
}

#[test]
fn a_bandwidth_limit_holds_at_once() {
    let (mut relay, alice, _) = live_under(|settings| {
        settings.limits.user = Quota { bits_per_second: Some(8_224), ..settings.limits.user }
    });
    assert_eq!(alice.channel_data(&mut relay, 0x4000, &[0; 1000]).len(), 1);
    assert_eq!(alice.channel_data(&mut relay, 0x4000, &[0; 1000]), []);
}

#[test]
fn an_answer_budget_holds_at_once() {
    let (mut relay, _, _) = live_under(|settings| {
        settings.limits.answers =
            AnswerLimits { per_source_bytes_per_second: 32, total_bytes_per_second: 1000 };
    });
    let mut stranger = bob();
    let mut answers = || {
        let request = stranger.bare(Method::BINDING, |_| Ok(()));
        relay.packet(&stranger.path, &request).len()
    };
    assert_eq!((0..10).map(|_| answers()).sum::<usize>(), 2);
}

#[test]
fn other_lifetimes_hold_from_the_next_refresh() {
    let (mut relay, mut alice, _) =
        live_under(|settings| settings.lifetimes = Lifetimes { default: 60, max: 120 });
    relay.wait(std::time::Duration::from_secs(599));
    assert_eq!(relay.turn.allocations(), 1);
    assert_eq!(alice.refresh(&mut relay, 3600).get(), Some(Lifetime(120)));
}

#[test]
fn a_rotated_nonce_key_is_good_until_it_is_taken_away() {
    let (mut relay, mut alice, _) =
        live_under(|settings| settings.nonces = turn::Nonces::new(vec![[8; 32], [7; 32]], 600, true));
    assert_eq!(alice.refresh(&mut relay, 600).code(), 0);
    let mut without = settings();
    without.nonces = turn::Nonces::new(vec![[8; 32]], 600, true);
    relay.apply(without);
    let answer = alice.refresh(&mut relay, 600);
    assert_eq!(answer.code(), 438);
    alice.nonce = answer.get::<Nonce<'_>>().unwrap().0.to_vec();
    assert_eq!(alice.refresh(&mut relay, 600).code(), 0);
}

/// Another realm, and the same users in it.
fn moved(settings: &mut Settings) {
    settings.realm = Realm::new("example.net").unwrap();
    settings.credentials =
        turn::Credentials::new(&settings.realm, &[("alice", "wonderland"), ("bob", "builder")], vec![])
            .unwrap();
}

#[test]
fn a_live_call_keeps_its_realm_and_new_clients_are_told_the_new_one() {
    let (mut relay, mut alice, relayed) = live_under(moved);
    assert_flows(&mut relay, &alice, relayed);
    for answer in [alice.refresh(&mut relay, 600), alice.permit(&mut relay, at("192.0.2.11:1"))] {
        assert_eq!(answer.code(), 0);
    }
    let request = bob().bare(Method::ALLOCATE, |_| Ok(()));
    let challenge = bob().exchange(&mut relay, &request);
    assert_eq!(challenge.get(), Some(stun::attribute::Realm(b"example.net")));
    assert_eq!(bob().try_allocate(&mut relay).code(), 401, "Bob's key is of the old realm");
}

#[test]
fn a_challenge_to_a_live_call_names_the_realm_that_it_has() {
    let (mut relay, mut alice, _) = live_under(moved);
    relay.wait(std::time::Duration::from_secs(300));
    assert_eq!(alice.refresh(&mut relay, 600).code(), 0);
    relay.wait(std::time::Duration::from_secs(301));
    let stale = alice.refresh(&mut relay, 600);
    assert_eq!(stale.code(), 438);
    assert_eq!(stale.get(), Some(stun::attribute::Realm(crate::support::REALM.as_bytes())));
    alice.nonce = stale.get::<Nonce<'_>>().unwrap().0.to_vec();
    assert_eq!(alice.refresh(&mut relay, 600).code(), 0);
}

#[test]
fn software_is_told_to_who_proved_its_credentials_only() {
    let (mut relay, mut alice, _) = live_under(|settings| settings.software = Some("EdgeRelay".to_owned()));
    assert_eq!(alice.refresh(&mut relay, 600).get(), Some(Software(b"EdgeRelay")));
    for method in [Method::BINDING, Method::ALLOCATE] {
        let request = alice.bare(method, |_| Ok(()));
        assert!(alice.exchange(&mut relay, &request).get::<Software<'_>>().is_none());
    }
}

#[test]
fn a_new_user_can_come_at_once() {
    let mut relay = Relay::new();
    let mut carol = TestClient::new("198.51.100.9:1").named("carol", "christmas");
    assert_eq!(carol.try_allocate(&mut relay).code(), 401);
    let mut with_carol = settings();
    with_carol.credentials =
        turn::Credentials::new(&with_carol.realm, &[("carol", "christmas")], vec![]).unwrap();
    relay.apply(with_carol);
    carol.allocate(&mut relay);
}
