//! Answers to who may have a spoofed address: so many bytes to one source and to all, and no state.

use std::time::Duration;

use crate::support::{Relay, Seen, TestClient, settings};
use stun::Method;
use turn::{AnswerLimits, DropReason, Settings, Transport};

fn limited() -> Settings {
    let mut settings = settings();
    settings.limits.answers =
        AnswerLimits { per_source_bytes_per_second: 1_000, total_bytes_per_second: 10_000 };
    settings
}

/// How many of `tries` requests without credentials are answered, and with how many bytes more than they had.
fn answered(relay: &mut Relay, client: &mut TestClient, method: Method, tries: usize) -> (usize, usize) {
    let excess: Vec<_> = (0..tries)
        .filter_map(|_| {
            let request = client.bare(method, |_| Ok(()));
            match &relay.packet(&client.path, &request)[..] {
                [Seen::AtClient { packet, .. }] => Some(packet.len() - request.len()),
                _ => None,
            }
        })
        .collect();
    (excess.len(), excess.iter().sum())
}

/// Whether `bytes` are what 750 milliseconds at `limit` allow, and no more than one answer beyond.
fn assert_spent(bytes: usize, limit: usize) {
    let share = limit * 3 / 4;
    assert!((share..share + 200).contains(&bytes), "{bytes} of {share}");
}

#[test]
fn a_source_has_its_bytes_and_no_more() {
    for method in [Method::ALLOCATE, Method::REFRESH, Method::CREATE_PERMISSION] {
        let mut relay = Relay::with(limited());
        let mut client = TestClient::new("198.51.100.7:4000");
        let (count, bytes) = answered(&mut relay, &mut client, method, 100);
        assert_spent(bytes, 1_000);
        assert_eq!(relay.dropped(DropReason::AnswerBudget), 100 - count as u64);
        let all = relay.turn.stats().unauthenticated_answer_bytes;
        assert!(all > bytes as u64, "counted with the bytes that the requests paid for");
        relay.wait(Duration::from_secs(1));
        let (_, bytes) = answered(&mut relay, &mut client, method, 100);
        assert_spent(bytes, 1_000);
    }
}

#[test]
fn an_answer_hardly_longer_than_its_request_counts_as_16_bytes() {
    let mut relay = Relay::with(limited());
    let mut client = TestClient::new("198.51.100.7:4000");
    let (count, bytes) = answered(&mut relay, &mut client, Method::BINDING, 100);
    assert_eq!((count, bytes), (47, 47 * 12));
}

#[test]
fn bindings_and_challenges_do_not_take_from_each_other() {
    for methods in [[Method::BINDING, Method::ALLOCATE], [Method::ALLOCATE, Method::BINDING]] {
        let mut relay = Relay::with(limited());
        let mut client = TestClient::new("198.51.100.7:4000");
        for method in methods {
            assert!(answered(&mut relay, &mut client, method, 100).0 > 5);
            assert_eq!(answered(&mut relay, &mut client, method, 100).0, 0);
        }
    }
}

#[test]
fn two_thousand_bindings_a_second_are_within_the_default() {
    let mut relay = Relay::new();
    for address in ["198.51.100.7:4000", "[2001:db8:7::1]:4000"] {
        let mut client = TestClient::new(address);
        for _ in 0..3_000 {
            assert_eq!(answered(&mut relay, &mut client, Method::BINDING, 2).0, 2);
            relay.wait(Duration::from_millis(1));
        }
    }
}

#[test]
fn all_ports_of_an_address_and_all_addresses_of_a_64_bit_network_are_one_source() {
    let mut relay = Relay::with(limited());
    let mut of = |address: &str| answered(&mut relay, &mut TestClient::new(address), Method::BINDING, 100).0;
    assert_eq!(of("198.51.100.7:1"), 47);
    assert_eq!(of("198.51.100.7:2"), 0);
    assert_eq!(of("198.51.100.8:1"), 47);
    let v6 = of("[2001:db8:7::1]:1");
    assert!(v6 > 20);
    assert_eq!(of("[2001:db8:7:0:ffff::2]:1"), 0);
    assert_eq!(of("[2001:db8:7:1::1]:1"), v6);
}

#[test]
fn all_sources_together_have_the_total() {
    let mut relay = Relay::with(limited());
    let bytes = (1..=30).map(|host| {
        let mut client = TestClient::new(&format!("198.51.100.{host}:1"));
        answered(&mut relay, &mut client, Method::ALLOCATE, 100).1
    });
    let bytes = bytes.sum();
    assert_spent(bytes, 10_000);
}

#[test]
fn a_forged_nonce_is_a_challenge_like_any_other() {
    let mut relay = Relay::with(limited());
    let mut mallory = TestClient::new("198.51.100.7:4000").named("alice", "guessed");
    mallory.nonce = b"forged".to_vec();
    let answers = (0..100).map(|_| {
        let request = mallory.signed_allocate();
        relay.packet(&mallory.path, &request).len()
    });
    let count: usize = answers.sum();
    assert!((1..50).contains(&count), "{count} answers");
    assert_eq!(relay.dropped(DropReason::AnswerBudget), 100 - count as u64);
    assert_eq!(answered(&mut relay, &mut mallory, Method::ALLOCATE, 10).0, 0, "nothing is left for others");
}

#[test]
fn a_stream_is_not_measured() {
    for transport in [Transport::Tcp, Transport::Tls] {
        let mut relay = Relay::with(limited());
        let mut client = TestClient::over(transport, "198.51.100.7:4000");
        for method in [Method::BINDING, Method::ALLOCATE] {
            assert_eq!(answered(&mut relay, &mut client, method, 1_000).0, 1_000);
        }
        let mut neighbour = TestClient::new("198.51.100.7:4001");
        assert_eq!(answered(&mut relay, &mut neighbour, Method::BINDING, 10).0, 10, "and takes from nobody");
    }
}

#[test]
fn who_proved_its_credentials_is_answered_beyond_it() {
    let mut relay = Relay::with(limited());
    let mut alice = TestClient::new("198.51.100.7:4000");
    alice.allocate(&mut relay);
    answered(&mut relay, &mut alice, Method::ALLOCATE, 100);
    assert_eq!(answered(&mut relay, &mut alice, Method::ALLOCATE, 1).0, 0, "it is used up");
    for _ in 0..50 {
        assert_eq!(alice.refresh(&mut relay, 600).code(), 0);
    }
}

#[test]
fn a_flood_of_100_000_sources_leaves_nothing_behind() {
    let mut relay = Relay::with(limited());
    let mut client = TestClient::new("198.51.100.7:4000");
    let request = client.bare(Method::ALLOCATE, |_| Ok(()));
    let mut excess = 0;
    for source in 0..100_000_u32 {
        let [_, a, b, c] = source.to_be_bytes();
        let spoofed = TestClient::new(&format!("{}.{a}.{b}.{c}:4000", 20));
        if let [Seen::AtClient { packet, .. }] = &relay.packet(&spoofed.path, &request)[..] {
            excess += packet.len() - request.len();
        }
    }
    assert_spent(excess, 10_000);
    assert!(relay.is_empty());
    relay.wait(Duration::from_secs(1));
    client.allocate(&mut relay);
}
