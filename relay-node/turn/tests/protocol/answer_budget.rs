//! Answers to who proved no credentials: so many a second to one source and to all, and no state.

use std::time::Duration;

use crate::support::{Relay, TestClient, settings};
use stun::Method;
use turn::{AnswerLimits, DropReason, Settings};

fn limited() -> Settings {
    let mut settings = settings();
    settings.limits.answers = AnswerLimits { per_source_per_second: 10, total_per_second: 100 };
    settings
}

/// How many of 100 requests without credentials are answered, and with how many bytes.
fn answered(relay: &mut Relay, client: &mut TestClient, method: Method) -> (usize, usize) {
    let answers: Vec<_> = (0..100)
        .filter_map(|_| {
            let request = client.bare(method, |_| Ok(()));
            match &relay.packet(&client.path, &request)[..] {
                [crate::support::Seen::AtClient { packet, .. }] => Some(packet.len()),
                _ => None,
            }
        })
        .collect();
    (answers.len(), answers.iter().sum())
}

#[test]
fn a_source_has_its_rate_and_no_more() {
    for method in [Method::BINDING, Method::ALLOCATE, Method::REFRESH] {
        let mut relay = Relay::with(limited());
        let mut client = TestClient::new("198.51.100.7:4000");
        let (count, bytes) = answered(&mut relay, &mut client, method);
        assert_eq!(count, 10);
        assert_eq!(relay.dropped(DropReason::AnswerBudget), 90);
        assert_eq!(relay.turn.stats().unauthenticated_answer_bytes, bytes as u64);
        relay.wait(Duration::from_millis(500));
        assert_eq!(answered(&mut relay, &mut client, method).0, 5);
    }
}

#[test]
fn all_ports_of_an_address_are_one_source() {
    let mut relay = Relay::with(limited());
    assert_eq!(answered(&mut relay, &mut TestClient::new("198.51.100.7:1"), Method::BINDING).0, 10);
    assert_eq!(answered(&mut relay, &mut TestClient::new("198.51.100.7:2"), Method::BINDING).0, 0);
    assert_eq!(answered(&mut relay, &mut TestClient::new("198.51.100.8:1"), Method::BINDING).0, 10);
}

#[test]
fn a_network_of_64_bits_is_one_source() {
    let mut relay = Relay::with(limited());
    let mut of = |address: &str| answered(&mut relay, &mut TestClient::new(address), Method::BINDING).0;
    assert_eq!(of("[2001:db8:7::1]:1"), 10);
    assert_eq!(of("[2001:db8:7:0:ffff::2]:1"), 0);
    assert_eq!(of("[2001:db8:7:1::1]:1"), 10);
}

#[test]
fn all_sources_together_have_the_total() {
    let mut relay = Relay::with(limited());
    let count: usize = (1..=30)
        .map(|host| {
            let mut client = TestClient::new(&format!("198.51.100.{host}:1"));
            answered(&mut relay, &mut client, Method::ALLOCATE).0
        })
        .sum();
    assert_eq!(count, 100);
}

#[test]
fn every_answer_without_proof_counts() {
    let mut relay = Relay::with(limited());
    let mut mallory = TestClient::new("198.51.100.7:4000").named("alice", "guessed");
    mallory.nonce = b"forged".to_vec();
    let mut guess = || {
        let request = mallory.signed(Method::ALLOCATE, |_| Ok(()));
        relay.packet(&mallory.path, &request).len()
    };
    assert_eq!((0..100).map(|_| guess()).sum::<usize>(), 10);
}

#[test]
fn who_proved_its_credentials_is_answered_beyond_it() {
    let mut relay = Relay::with(limited());
    let mut alice = TestClient::new("198.51.100.7:4000");
    alice.allocate(&mut relay);
    answered(&mut relay, &mut alice, Method::BINDING);
    for _ in 0..50 {
        assert_eq!(alice.refresh(&mut relay, 600).code(), 0);
    }
}

#[test]
fn a_flood_of_100_000_sources_leaves_nothing_behind() {
    let mut relay = Relay::with(limited());
    let mut client = TestClient::new("198.51.100.7:4000");
    let requests = [Method::BINDING, Method::ALLOCATE].map(|method| client.bare(method, |_| Ok(())));
    let mut answers = 0;
    for source in 0..100_000_u32 {
        let [_, a, b, c] = source.to_be_bytes();
        let spoofed = TestClient::new(&format!("{}.{a}.{b}.{c}:4000", 20));
        answers += relay.packet(&spoofed.path, &requests[source as usize % 2]).len();
    }
    assert_eq!(answers, 100);
    assert!(relay.is_empty());
    relay.wait(Duration::from_secs(1));
    client.allocate(&mut relay);
}
