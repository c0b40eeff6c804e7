//! An Allocate that the node itself would serve waits for what the fleet says of its user's quota: nothing else does.

use std::time::Duration;

use crate::support::{Relay, SECRET, Seen, TestClient, at, settings};
use stun::attribute::{EvenPort, ReservationToken};
use turn::credentials::UserId;
use turn::{Settings, Transport};
use turn_client::{Allocate, Request};

const ALICE: &str = "198.51.100.7:4000";

fn asking() -> Settings {
    Settings { asks_quota: true, ..settings() }
}

/// A relay where Alice waits, and what she asked for.
fn waiting(transport: Transport) -> (Relay, TestClient, Vec<u8>) {
    let mut relay = Relay::with(asking());
    let mut alice = TestClient::over(transport, ALICE);
    alice.learn_nonce(&mut relay);
    let request = alice.signed_allocate();
    assert_eq!(relay.packet(&alice.path, &request), [], "no answer yet");
    (relay, alice, request)
}

impl Relay {
    /// Answers the oldest question, and tells what came of it.
    fn answer_quota(&mut self, granted: bool) -> Vec<Seen> {
        let (ticket, _) = self.questions.remove(0);
        self.turn.quota_answered(self.now, ticket, granted);
        self.drain()
    }
}

fn code(seen: &[Seen]) -> u16 {
    let [seen] = seen else { panic!("not one answer: {seen:?}") };
    crate::support::Answer(seen.at_client().1.to_vec()).code()
}

#[test]
fn the_question_names_the_user_and_no_socket_is_open_before_the_answer() {
    for transport in [Transport::Udp, Transport::Tcp] {
        let (mut relay, mut alice, _) = waiting(transport);
        assert_eq!(relay.questions.len(), 1);
        assert_eq!(relay.questions[0].1, UserId::long_term("alice"));
        assert!(relay.sockets.is_empty());
        assert_eq!(relay.ledger.allocations_of(&UserId::long_term("alice")), 1, "counted already");
        assert_eq!(code(&relay.answer_quota(true)), 0);
        assert_eq!(relay.sockets.len(), 1);
        assert_eq!(alice.refresh(&mut relay, 600).code(), 0);
    }
}

#[test]
fn refused_it_is_486_and_everything_is_given_back() {
    let (mut relay, alice, request) = waiting(Transport::Udp);
    let seen = relay.answer_quota(false);
    assert_eq!(code(&seen), 486);
    let answer = crate::support::Answer(seen[0].at_client().1.to_vec());
    assert!(answer.message().verify_sha1(&alice.key()).is_ok());
    assert!(relay.is_empty());
    assert_eq!(relay.events.len(), 0, "what never was is not announced");
    // Asked again, the fleet may think better of it.
    assert_eq!(relay.packet(&alice.path, &request), []);
    assert_eq!(code(&relay.answer_quota(true)), 0);
}

#[test]
fn retransmissions_join_the_one_that_waits() {
    let (mut relay, alice, request) = waiting(Transport::Udp);
    for _ in 0..6 {
        assert_eq!(relay.packet(&alice.path, &request), []);
    }
    assert_eq!(relay.questions.len(), 1);
    let [Seen::AtClient { packet, .. }] = &relay.answer_quota(true)[..] else { panic!("no answer") };
    assert_eq!(alice.exchange(&mut relay, &request).0, *packet, "answered alike from now on");
}

#[test]
fn another_allocate_of_the_same_5_tuple_is_a_mismatch_meanwhile() {
    let (mut relay, mut alice, _) = waiting(Transport::Udp);
    assert_eq!(alice.try_allocate(&mut relay).code(), 437);
    assert_eq!(alice.refresh(&mut relay, 0).code(), 437);
    assert_eq!(code(&relay.answer_quota(true)), 0);
}

#[test]
fn nobody_waits_whom_the_node_refuses_itself() {
    let mut few = asking();
    few.limits.user.allocations = 1;
    let mut relay = Relay::with(few);
    let mut alice = TestClient::new(ALICE);
    alice.learn_nonce(&mut relay);
    let request = alice.signed_allocate();
    relay.packet(&alice.path, &request);
    let mut again = TestClient::new("198.51.100.7:4001");
    assert_eq!(again.try_allocate(&mut relay).code(), 486, "the one that waits counts");
    assert_eq!(relay.questions.len(), 1);
}

#[test]
fn other_requests_are_answered_at_once() {
    let (mut relay, mut alice, _) = waiting(Transport::Udp);
    relay.answer_quota(true);
    let mut bob = TestClient::new("198.51.100.8:4000").named("bob", "builder");
    bob.learn_nonce(&mut relay);
    let request = bob.signed_allocate();
    relay.packet(&bob.path, &request);
    assert_eq!(alice.permit(&mut relay, at("192.0.2.10:7000")).code(), 0);
    assert_eq!(alice.bind(&mut relay, 0x4000, at("192.0.2.10:7000")).code(), 0);
    assert_eq!(alice.refresh(&mut relay, 0).code(), 0);
    assert_eq!(code(&relay.answer_quota(false)), 486);
    assert!(relay.is_empty());
}

#[test]
fn an_answer_for_a_client_that_is_gone_does_nothing() {
    for granted in [true, false] {
        let (mut relay, alice, _) = waiting(Transport::Tcp);
        relay.turn.client_gone(relay.now, &alice.path.five_tuple);
        assert_eq!(relay.drain(), []);
        assert_eq!(relay.answer_quota(granted), []);
        assert!(relay.is_empty());
    }
}

#[test]
fn a_late_answer_is_not_taken_for_another_allocate() {
    let (mut relay, alice, _) = waiting(Transport::Tcp);
    relay.turn.client_gone(relay.now, &alice.path.five_tuple);
    let mut bob = TestClient::over(Transport::Tcp, "198.51.100.8:4000").named("bob", "builder");
    bob.learn_nonce(&mut relay);
    let request = bob.signed_allocate();
    relay.packet(&bob.path, &request);
    assert_eq!(relay.answer_quota(false), [], "it was Alice's, whose place Bob has");
    assert_eq!(code(&relay.answer_quota(true)), 0);
}

#[test]
fn a_second_answer_does_nothing() {
    let (mut relay, mut alice, _) = waiting(Transport::Udp);
    let question = relay.questions[0].clone();
    relay.answer_quota(true);
    for granted in [true, false] {
        relay.turn.quota_answered(relay.now, question.0, granted);
        assert_eq!(relay.drain(), []);
    }
    assert_eq!(alice.refresh(&mut relay, 600).code(), 0);
}

#[test]
fn one_that_nobody_answers_ends_with_its_lifetime() {
    let (mut relay, _, _) = waiting(Transport::Udp);
    assert_eq!(relay.wait(Duration::from_secs(600)), []);
    assert!(relay.is_empty());
    assert_eq!(relay.answer_quota(true), []);
}

#[test]
fn the_end_of_the_relay_ends_it() {
    let (mut relay, _, _) = waiting(Transport::Udp);
    relay.turn.end_all(relay.now);
    assert_eq!(relay.drain(), []);
    assert_eq!(relay.answer_quota(true), []);
    assert!(relay.is_empty());
}

#[test]
fn a_relay_that_lets_go_of_its_clients_lets_go_of_it() {
    let (mut relay, _, _) = waiting(Transport::Udp);
    relay.turn.release_datagram_clients();
    assert_eq!(relay.answer_quota(true), []);
    assert!(relay.is_empty());
}

#[test]
fn its_ports_are_taken_and_both_families_come_at_once() {
    let mut relay = Relay::with(asking());
    let mut alice = TestClient::new(ALICE);
    alice.learn_nonce(&mut relay);
    let both = Allocate { additional: Some(stun::attribute::AddressFamily::V6), ..Allocate::default() };
    let request = alice.signed_request(&Request::Allocate(both));
    relay.packet(&alice.path, &request);
    let seen = relay.answer_quota(true);
    assert_eq!(crate::support::Answer(seen[0].at_client().1.to_vec()).relayed().len(), 2);
}

#[test]
fn a_refusal_gives_back_the_port_that_was_reserved_with_it_or_before() {
    let mut relay = Relay::on_ports(asking(), 50_000..=50_001);
    let mut alice = TestClient::new(ALICE);
    alice.learn_nonce(&mut relay);
    let pair = Allocate { even_port: Some(EvenPort { reserve_next: true }), ..Allocate::default() };
    let request = alice.signed_request(&Request::Allocate(pair));
    relay.packet(&alice.path, &request);
    relay.answer_quota(false);
    relay.packet(&alice.path, &request);
    let seen = relay.answer_quota(true);
    let answer = crate::support::Answer(seen[0].at_client().1.to_vec());
    let reservation = answer.get::<ReservationToken>();
    // Whoever is refused may come for the reserved port again.
    let mut again = TestClient::new("198.51.100.7:4001");
    again.learn_nonce(&mut relay);
    let request = again.signed_request(&Request::Allocate(Allocate { reservation, ..Allocate::default() }));
    relay.packet(&again.path, &request);
    assert_eq!(code(&relay.answer_quota(false)), 486);
    relay.packet(&again.path, &request);
    assert_eq!(code(&relay.answer_quota(true)), 0);
    assert_eq!(relay.sockets.len(), 2);
}

#[test]
fn what_a_former_process_had_is_not_asked_about() {
    let store = std::sync::Arc::default();
    let mut relay = Relay::new().recording(&store);
    TestClient::new(ALICE).timed("1900000000:t1:carol", SECRET).allocate(&mut relay);
    let mut next = Relay::with(asking()).recording(&std::sync::Arc::default());
    next.now = relay.now;
    relay.left_behind().restore(std::slice::from_mut(&mut next), |_| (0, turn::PathId(0)));
    assert_eq!((next.turn.allocations(), next.questions.len()), (1, 0));
}
