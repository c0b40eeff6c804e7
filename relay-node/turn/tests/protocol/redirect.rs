//! 300 (Try Alternate): a client that follows is sent from the load balancer to a node, where the very same request
//! succeeds (RFC 8489 section 10).

use crate::support::{REALM, Relay, Scheme, TestClient, alternate, at, chosen, node, settings};
use std::net::SocketAddr;
use stun::AttributeType;
use stun::attribute::{AlternateDomain, AlternateServer, Nonce, Realm, XorRelayedAddress};
use turn::nonce::{NonceCheck, NonceKind};
use turn::{Alternate, Redirect, Redirection, RequestKind, Settings, Transport};

const ALICE: &str = "198.51.100.7:4000";
const OTHER: &str = "203.0.113.11";

/// Whoever comes is taken for one that follows.
fn all() -> Settings {
    Settings { redirect: Redirect::All, ..settings() }
}

fn with_certificate(mut node: Alternate, covers: &[&str], domain: Option<&str>) -> Alternate {
    node.certificate_covers = covers.iter().map(|address| address.parse().unwrap()).collect();
    node.domain = domain.map(Into::into);
    node
}

#[test]
fn the_client_is_told_one_address_the_realm_and_a_nonce_under_integrity() {
    let mut relay = Relay::knowing(settings(), &[node(&[OTHER, "2001:db8:1::11"])]);
    let mut alice = TestClient::new(ALICE).through_balancer();
    let answer = alice.try_allocate(&mut relay);
    assert_eq!(answer.code(), 300);
    assert_eq!(alternate(&answer), at("203.0.113.11:3478"));
    assert_eq!(answer.get(), Some(Realm(REALM.as_bytes())));
    let Nonce(nonce) = answer.get().unwrap();
    let check = settings().nonces.check(relay.now.unix, alice.address().ip(), nonce);
    assert_eq!(check, NonceCheck::Valid(NonceKind::Redirected));
    assert!(answer.message().verify_sha1(&alice.key()).is_ok());
    assert!(!answer.message().has(AttributeType::ALTERNATE_DOMAIN));
    assert!(relay.is_empty(), "nothing is kept of it here");
    assert_eq!(relay.turn.stats().answers(RequestKind::Allocate, Some(turn::Refusal::TryAlternate)), 1);
    assert_eq!(relay.turn.stats().redirections[Redirection::Sent as usize], 1);
}

#[test]
fn the_retry_succeeds_without_another_challenge() {
    for scheme in [Scheme::Classic, Scheme::Sha256] {
        for kept in [false, true] {
            let mut relay = Relay::knowing(all(), &[node(&[OTHER])]);
            let mut alice = TestClient::new("10.0.0.3:61000").through_balancer().signing(scheme);
            alice.learn_nonce(&mut relay);
            let first = alice.nonce.clone();
            let to = alice.sent_to(&mut relay);
            if kept {
                // A client that keeps the nonce of its 401 is no worse off.
                alice.nonce = first;
            }
            let mut there = TestClient::new(ALICE).signing(scheme).at_relay(&to.to_string());
            there.nonce = alice.nonce;
            there.allocate(&mut Relay::new());
        }
    }
}

#[test]
fn the_address_is_of_the_clients_own_family() {
    let both = node(&[OTHER, "2001:db8:1::11"]);
    for (client, to) in [(ALICE, "203.0.113.11:3478"), ("[2001:db8:7::1]:4000", "[2001:db8:1::11]:3478")] {
        let mut relay = Relay::knowing(settings(), std::slice::from_ref(&both));
        assert_eq!(TestClient::new(client).through_balancer().sent_to(&mut relay), at(to));
    }
    let mut relay = Relay::knowing(settings(), &[node(&["2001:db8:1::11"])]);
    TestClient::new(ALICE).through_balancer().allocate(&mut relay);
}

#[test]
fn the_address_is_one_of_the_clients_own_transport() {
    let only_udp = Alternate { addresses: vec![(Transport::Udp, at("203.0.113.11:3478"))], ..node(&[]) };
    let mut relay = Relay::knowing(settings(), &[only_udp]);
    TestClient::over(Transport::Tcp, ALICE).through_balancer().allocate(&mut relay);
    assert_eq!(relay.turn.stats().redirections[Redirection::NoAlternate as usize], 1);
}

#[test]
fn over_tls_it_is_one_that_the_certificate_covers_with_its_domain() {
    let sent = |node: Alternate| {
        let mut relay = Relay::knowing(settings(), &[node]);
        let mut alice = TestClient::over(Transport::Tls, ALICE).through_balancer();
        alice.try_allocate(&mut relay)
    };
    let covered = sent(with_certificate(node(&[OTHER]), &[OTHER], Some("relay.example.org")));
    assert_eq!((covered.code(), alternate(&covered)), (300, at("203.0.113.11:5349")));
    assert_eq!(covered.get(), Some(AlternateDomain(b"relay.example.org")));
    for covers in [&[][..], &["203.0.113.12"]] {
        let not_covered = sent(with_certificate(node(&[OTHER]), covers, Some("relay.example.org")));
        assert_eq!(not_covered.code(), 0, "served in place");
    }
}

#[test]
fn a_domain_is_named_over_tls_alone() {
    let node = with_certificate(node(&[OTHER]), &[OTHER], Some("relay.example.org"));
    let mut relay = Relay::knowing(settings(), &[node]);
    let answer = TestClient::over(Transport::Tcp, ALICE).through_balancer().try_allocate(&mut relay);
    assert_eq!(answer.get::<AlternateServer>(), Some(AlternateServer(at("203.0.113.11:3478"))));
    assert!(!answer.message().has(AttributeType::ALTERNATE_DOMAIN));
}

#[test]
fn nobody_is_sent_to_what_no_client_elsewhere_could_mean() {
    let useless =
        ["127.0.0.1", "::1", "0.0.0.0", "::", "169.254.1.1", "fe80::1", "224.0.0.1", "255.255.255.255"];
    let mut node = node(&useless);
    node.addresses.push((Transport::Udp, at("203.0.113.11:0")));
    node.addresses.push((Transport::Udp, at("[::ffff:127.0.0.1]:3478")));
    for client in [ALICE, "[2001:db8:7::1]:4000"] {
        let mut relay = Relay::knowing(settings(), &[node.clone()]);
        TestClient::new(client).through_balancer().try_allocate(&mut relay).relayed();
    }
}

#[test]
fn an_allocate_that_is_malformed_is_refused_here() {
    let mut relay = Relay::knowing(settings(), &[node(&[OTHER])]);
    let mut alice = TestClient::new(ALICE).through_balancer();
    let answer = alice.ask(&mut relay, stun::Method::ALLOCATE, |_| Ok(()));
    assert_eq!(answer.code(), 400);
}

#[test]
fn no_user_without_credentials_is_told_a_node() {
    let mut relay = Relay::knowing(all(), &[node(&[OTHER])]);
    let mut mallory = TestClient::new(ALICE).through_balancer().named("alice", "guessed");
    assert_eq!(mallory.try_allocate(&mut relay).code(), 401);
}

#[test]
fn nobody_is_sent_on_twice() {
    let (one, other) = (node(&[OTHER]), node(&["203.0.113.12"]));
    let mut relay = Relay::knowing(settings(), &[one, other]);
    let mut alice = TestClient::new(ALICE).through_balancer();
    alice.sent_to(&mut relay);
    alice.allocate(&mut relay);
    assert_eq!(relay.turn.stats().redirections[Redirection::SentBefore as usize], 1);
}

#[test]
fn nobody_is_sent_to_where_it_is() {
    let mut relay = Relay::knowing(settings(), &[node(&["203.0.113.1"])]);
    let mut alice = TestClient::new(ALICE).through_balancer();
    assert_eq!(alice.path.five_tuple.server.get(), at("203.0.113.1:3478"));
    alice.allocate(&mut relay);
}

#[test]
fn the_node_itself_is_a_way_past_the_balancer() {
    let own = Alternate { own: true, ..node(&["203.0.113.99"]) };
    let mut relay = Relay::knowing(settings(), &[own]);
    let mut alice = TestClient::new(ALICE).through_balancer();
    assert_eq!(alice.sent_to(&mut relay), at("203.0.113.99:3478"));
    let mut there = alice.at_relay("203.0.113.99:3478");
    assert!(there.try_allocate(&mut relay).get::<XorRelayedAddress>().is_some());
}

#[test]
fn who_comes_directly_is_served_where_it_is() {
    let other = node(&[OTHER]);
    let mut relay = Relay::knowing(all(), std::slice::from_ref(&other));
    TestClient::new(ALICE).allocate(&mut relay);
    assert_eq!(chosen(&other), 0);
}

#[test]
fn a_retransmission_of_it_is_answered_too() {
    let mut relay = Relay::knowing(settings(), &[node(&[OTHER])]);
    let mut alice = TestClient::new(ALICE).through_balancer();
    alice.learn_nonce(&mut relay);
    let request = alice.signed_allocate();
    let answers: Vec<SocketAddr> = (0..3).map(|_| alternate(&alice.exchange(&mut relay, &request))).collect();
    assert_eq!(answers, [at("203.0.113.11:3478"); 3]);
}
