//! Wrong credentials: so many are heard from a client and its network, and who has good ones is always heard.

use std::time::Duration;

use crate::support::{Relay, TestClient};
use stun::Method;
use turn::{DropReason, Transport};

/// How many of 1,000 guesses of Alice's password are answered.
fn guess(relay: &mut Relay, mallory: &mut TestClient) -> usize {
    let mut guesses = mallory.clone().named("alice", "guessed");
    let answers = (0..1_000).map(|_| {
        let request = guesses.signed(Method::ALLOCATE, |_| Ok(()));
        relay.packet(&guesses.path, &request).len()
    });
    let count = answers.sum();
    mallory.clone_from(&guesses.named("alice", "wonderland"));
    count
}

fn with_nonce(relay: &mut Relay, transport: Transport, port: u16) -> TestClient {
    let mut client = TestClient::over(transport, &format!("198.51.100.7:{port}"));
    client.learn_nonce(relay);
    client
}

#[test]
fn a_client_guesses_so_often_in_a_second() {
    for transport in [Transport::Udp, Transport::Tcp] {
        let mut relay = Relay::new();
        let mut mallory = with_nonce(&mut relay, transport, 666);
        assert_eq!(guess(&mut relay, &mut mallory), 110);
        assert_eq!(relay.dropped(DropReason::Guessing), 890);
        relay.wait(Duration::from_secs(1));
        assert_eq!(guess(&mut relay, &mut mallory), 110);
    }
}

#[test]
fn its_neighbours_behind_the_same_nat_are_heard() {
    let mut relay = Relay::new();
    let mut mallory = with_nonce(&mut relay, Transport::Udp, 666);
    guess(&mut relay, &mut mallory);
    for port in 1_000..1_100 {
        with_nonce(&mut relay, Transport::Udp, port).allocate(&mut relay);
    }
}

#[test]
fn a_live_call_is_heard_whatever_its_own_address_guesses() {
    let mut relay = Relay::new();
    let mut alice = with_nonce(&mut relay, Transport::Udp, 4000);
    alice.allocate(&mut relay);
    guess(&mut relay, &mut alice);
    for _ in 0..100 {
        assert_eq!(alice.refresh(&mut relay, 600).code(), 0);
    }
    alice.nonce = with_nonce(&mut relay, Transport::Udp, 4001).nonce;
    assert_eq!(alice.refresh(&mut relay, 0).code(), 0);
}

#[test]
fn good_credentials_count_for_nothing() {
    let mut relay = Relay::new();
    let mut alice = with_nonce(&mut relay, Transport::Udp, 4000);
    for _ in 0..1_000 {
        alice.allocate(&mut relay);
        assert_eq!(alice.refresh(&mut relay, 0).code(), 0);
    }
    assert_eq!(relay.dropped(DropReason::Guessing), 0);
}
