//! Nobody is reached for sure who comes through a load balancer, or with a nonce that anybody may have: wrong
//! credentials from there are a stranger's, and use up nothing of those who are.

use std::time::Duration;

use crate::support::{Relay, Seen, TestClient, settings};
use stun::Method;
use turn::{AnswerLimits, DropReason, Settings, Transport};

const ALICE: &str = "198.51.100.7:4000";

/// Little for a source, and for all of one port ten times that.
fn limited() -> Settings {
    let mut settings = settings();
    settings.limits.answers =
        AnswerLimits { per_source_bytes_per_second: 1_000, total_bytes_per_second: 10_000 };
    settings
}

/// How many of `tries` Allocates with a wrong password are answered.
fn guesses(relay: &mut Relay, client: &TestClient, tries: usize) -> usize {
    let mut guesser = client.clone().named("alice", "guessed");
    let answers = (0..tries).map(|_| {
        let request = guesser.signed(Method::ALLOCATE, |_| Ok(()));
        relay.packet(&guesser.path, &request).len()
    });
    answers.sum()
}

/// How many of `tries` requests without credentials are answered.
fn strangers(relay: &mut Relay, client: &TestClient, method: Method, tries: usize) -> usize {
    let mut client = client.clone();
    let answers = (0..tries).map(|_| {
        let request = client.bare(method, |_| Ok(()));
        relay.packet(&client.path, &request).len()
    });
    answers.sum()
}

fn with_nonce(relay: &mut Relay, client: TestClient) -> TestClient {
    let mut client = client;
    client.learn_nonce(relay);
    client
}

#[test]
fn a_right_nonce_and_a_wrong_password_are_a_strangers_behind_a_balancer() {
    let mut relay = Relay::with(limited());
    let mallory = with_nonce(&mut relay, TestClient::new(ALICE).through_balancer());
    assert!((3..60).contains(&guesses(&mut relay, &mallory, 90)));
    assert_eq!(strangers(&mut relay, &mallory, Method::ALLOCATE, 10), 0, "its share is used up");
    assert!(relay.dropped(DropReason::AnswerBudget) >= 30);
}

#[test]
fn a_nonce_that_anybody_may_have_shows_nothing_at_a_direct_listener() {
    let mut relay = Relay::with(limited());
    let given = with_nonce(&mut relay, TestClient::new(ALICE).through_balancer());
    let mut spoofed = TestClient::new("192.0.2.66:4000");
    spoofed.nonce = given.nonce;
    assert!((3..60).contains(&guesses(&mut relay, &spoofed, 90)));
    // A bound one shows it.
    let mallory = with_nonce(&mut relay, TestClient::new("192.0.2.67:4000"));
    assert_eq!(guesses(&mut relay, &mallory, 90), 90);
}

#[test]
fn guesses_in_the_name_of_an_address_do_not_silence_it() {
    let mut relay = Relay::new();
    let given = with_nonce(&mut relay, TestClient::new("192.0.2.66:4000").through_balancer());
    let mut spoofed = TestClient::new(ALICE);
    spoofed.nonce = given.nonce;
    guesses(&mut relay, &spoofed, 1_000);
    assert!(relay.dropped(DropReason::Guessing) > 500);
    let mut alice = with_nonce(&mut relay, TestClient::new(ALICE));
    assert_eq!(guesses(&mut relay, &alice, 1), 1, "what is wrong is told");
    alice.allocate(&mut relay);
}

#[test]
fn good_credentials_are_always_answered() {
    let mut relay = Relay::with(limited());
    let mut alice = with_nonce(&mut relay, TestClient::new(ALICE).through_balancer());
    strangers(&mut relay, &alice, Method::ALLOCATE, 100);
    assert_eq!(strangers(&mut relay, &alice, Method::ALLOCATE, 1), 0);
    alice.allocate(&mut relay);
}

#[test]
fn a_source_and_the_whole_port_have_their_limits() {
    for method in [Method::ALLOCATE, Method::BINDING] {
        let mut relay = Relay::with(limited());
        let answered: Vec<usize> = (1..=60)
            .map(|host| {
                let client = TestClient::new(&format!("198.51.100.{host}:1")).through_balancer();
                strangers(&mut relay, &client, method, 200)
            })
            .collect();
        assert_eq!(answered[0], answered[5], "a source has its part");
        assert!(answered[0] > 3);
        assert_eq!(answered[59], 0, "and all together have theirs");
    }
}

#[test]
fn a_flood_through_the_balancer_leaves_direct_clients_their_answers_and_the_other_way_round() {
    for method in [Method::ALLOCATE, Method::BINDING] {
        for flooded in [true, false] {
            let mut relay = Relay::with(limited());
            let of = |host: u8, balanced: bool| {
                let client = TestClient::new(&format!("198.51.100.{host}:1"));
                if balanced { client.through_balancer() } else { client }
            };
            for host in 1..=60 {
                strangers(&mut relay, &of(host, flooded), method, 200);
            }
            assert_eq!(strangers(&mut relay, &of(61, flooded), method, 1), 0);
            assert_eq!(strangers(&mut relay, &of(61, !flooded), method, 1), 1);
        }
    }
}

/// Where the balancer hides addresses, all clients are one source: a flood through it keeps no client out that
/// asks again.
#[test]
fn a_client_of_a_hiding_balancer_that_is_flooded_gets_in_when_it_asks_again() {
    let mut relay = Relay::with(limited());
    // A transaction of its own for each packet.
    let mut mallory = TestClient::new("10.0.0.3:1").through_balancer();
    let mut flood = |relay: &mut Relay| {
        for _ in 0..200 {
            let request = mallory.bare(Method::ALLOCATE, |_| Ok(()));
            relay.packet(&mallory.path, &request);
        }
    };
    flood(&mut relay);
    let mut alice = TestClient::new("10.0.0.3:61000").through_balancer();
    let first = alice.bare(Method::ALLOCATE, |_| Ok(()));
    assert_eq!(relay.packet(&alice.path, &first), []);
    relay.wait(Duration::from_millis(500));
    flood(&mut relay);
    assert!(matches!(relay.packet(&alice.path, &first)[..], [Seen::AtClient { .. }]));
}

#[test]
fn a_stream_is_answered_and_may_guess_so_often() {
    for transport in [Transport::Tcp, Transport::Tls] {
        let mut relay = Relay::with(limited());
        let client = TestClient::over(transport, ALICE).through_balancer();
        assert_eq!(strangers(&mut relay, &client, Method::ALLOCATE, 1_000), 1_000);
        let mallory = with_nonce(&mut relay, client);
        assert_eq!(guesses(&mut relay, &mallory, 1_000), 110);
        let neighbour = TestClient::over(transport, "198.51.100.7:4001").through_balancer();
        with_nonce(&mut relay, neighbour).allocate(&mut relay);
    }
}
