//! Revoked users and credentials: their allocations end, and they are refused until that is undone.

use std::sync::Arc;

use crate::support::{Relay, SECRET, Store, TestClient, credentials, settings};
use turn::credentials::UserId;
use turn::{CloseReason, Event, Revocations, Revoked, Settings, Unrestorable};

const CAROL: &str = "1900000000:t1:carol";
const CAROL_LATER: &str = "1900000600:t1:carol";

fn without(revoked: &[Revoked]) -> Settings {
    Settings { revocations: Arc::new(revoked.iter().cloned().collect()), ..settings() }
}

fn user(name: &str) -> Revoked {
    Revoked::User(UserId::time_limited(name))
}

fn name(name: &str) -> Revoked {
    Revoked::Username(name.as_bytes().into())
}

/// Carol with two credentials, and Alice, each with an allocation.
fn three() -> (Relay, [TestClient; 3]) {
    let mut relay = Relay::new();
    let mut clients = [
        TestClient::new("198.51.100.7:1").timed(CAROL, SECRET),
        TestClient::new("198.51.100.7:2").timed(CAROL_LATER, SECRET),
        TestClient::new("198.51.100.7:3"),
    ];
    for client in &mut clients {
        client.allocate(&mut relay);
    }
    (relay, clients)
}

/// Who still has an allocation, by a refresh; 401 says that the credential is refused besides.
fn refreshed(relay: &mut Relay, clients: &mut [TestClient; 3]) -> [u16; 3] {
    clients.each_mut().map(|client| client.refresh(relay, 600).code())
}

#[test]
fn every_allocation_of_a_revoked_user_ends_at_once() {
    let (mut relay, mut clients) = three();
    relay.apply(without(&[user("t1:carol")]));
    relay.drain();
    assert_eq!((relay.turn.allocations(), relay.sockets.len()), (1, 1));
    let revoked =
        |event: &&Event| matches!(event, Event::AllocationClosed { reason: CloseReason::Revoked, .. });
    assert_eq!(relay.events.iter().filter(revoked).count(), 2);
    assert_eq!(refreshed(&mut relay, &mut clients), [401, 401, 0]);
}

#[test]
fn a_revoked_credential_is_one_of_its_users() {
    let (mut relay, mut clients) = three();
    relay.apply(without(&[name(CAROL)]));
    relay.drain();
    assert_eq!(refreshed(&mut relay, &mut clients), [401, 0, 0]);
}

#[test]
fn who_is_revoked_is_refused_until_it_is_undone() {
    for revoked in [user("t1:carol"), name(CAROL)] {
        let mut relay = Relay::with(without(&[revoked]));
        let mut carol = TestClient::new("198.51.100.7:4000").timed(CAROL, SECRET);
        assert_eq!(carol.try_allocate(&mut relay).code(), 401);
        relay.apply(settings());
        carol.allocate(&mut relay);
    }
}

#[test]
fn a_user_of_the_configuration_is_revoked_under_every_form_of_its_name() {
    let alice = Revoked::User(UserId::long_term("alice"));
    for anonymous in [false, true] {
        let mut relay = Relay::new();
        let mut client = TestClient::new("198.51.100.7:4000");
        client.anonymous = anonymous;
        client.allocate(&mut relay);
        relay.apply(without(std::slice::from_ref(&alice)));
        assert!(relay.drain().is_empty() && relay.is_empty());
        assert_eq!(client.try_allocate(&mut relay).code(), 401);
    }
}

#[test]
fn a_time_limited_user_and_one_of_the_configuration_are_two() {
    let mut relay = Relay::with(without(&[user("alice")]));
    TestClient::new("198.51.100.7:4000").allocate(&mut relay);
}

#[test]
fn a_wrong_password_is_told_nothing_of_it() {
    let mut relay = Relay::with(without(&[name(CAROL)]));
    let answers = [CAROL, CAROL_LATER].map(|username| {
        let mut mallory = TestClient::new("198.51.100.7:4000").named(username, "guessed");
        let answer = mallory.try_allocate(&mut relay);
        (answer.code(), answer.0.len())
    });
    assert_eq!(answers[0], answers[1]);
}

#[test]
fn an_allocate_that_waits_for_its_quota_ends_with_its_user() {
    let waits = |revoked: &[Revoked]| Settings { asks_quota: true, ..without(revoked) };
    let mut relay = Relay::with(waits(&[]));
    let mut carol = TestClient::new("198.51.100.7:4000").timed(CAROL, SECRET);
    carol.learn_nonce(&mut relay);
    let request = carol.signed_allocate();
    assert_eq!(relay.packet(&carol.path, &request), []);
    relay.apply(waits(&[user("t1:carol")]));
    assert_eq!(relay.drain(), []);
    let (ticket, _) = relay.questions[0].clone();
    relay.turn.quota_answered(relay.now, ticket, true);
    assert_eq!(relay.drain(), []);
    assert!(relay.is_empty());
    assert_eq!(carol.exchange(&mut relay, &request).code(), 401);
}

#[test]
fn what_a_former_process_had_of_a_revoked_user_is_not_taken_in() {
    let store = Arc::default();
    let mut relay = Relay::new().recording(&store);
    TestClient::new("198.51.100.7:4000").timed(CAROL, SECRET).allocate(&mut relay);
    TestClient::new("198.51.100.8:4000").allocate(&mut relay);
    let store: Arc<std::sync::Mutex<Store>> = Arc::default();
    let mut next = Relay::with(without(&[user("t1:carol")])).recording(&store);
    next.now = relay.now;
    let refused = relay.left_behind().restore(std::slice::from_mut(&mut next), |_| (0, turn::PathId(0)));
    assert_eq!(refused, [Unrestorable::Revoked]);
    assert_eq!(next.turn.allocations(), 1);
}

#[test]
fn other_settings_with_the_same_list_end_nothing() {
    let (mut relay, mut clients) = three();
    let mut other = without(&[]);
    other.credentials = credentials(&["another secret of the tests"]);
    relay.apply(other);
    assert_eq!(refreshed(&mut relay, &mut clients), [0; 3]);
}

#[test]
fn ten_thousand_revocations_are_one_question() {
    let all = (0..10_000).map(|n| user(&format!("t1:user-{n}")));
    let revocations: Revocations = all.collect();
    assert!(revocations.contains(&UserId::time_limited("t1:user-9999"), b"1900000000:t1:user-9999"));
    assert!(!revocations.contains(&UserId::time_limited("t1:carol"), CAROL.as_bytes()));
}
