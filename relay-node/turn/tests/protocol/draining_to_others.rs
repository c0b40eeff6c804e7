//! Draining by command: those who follow go to another node, or hear that there is none; all others are served, since
//! they have nowhere else to go.

use crate::support::{Relay, TestClient, allocated, at, node, settings};
use turn::{Alternate, Drain, Redirect, Settings};

const BOB: &str = "198.51.100.8:4000";

fn bob() -> TestClient {
    TestClient::new(BOB).named("bob", "builder")
}

fn draining(how: Drain, nodes: &[Alternate]) -> Relay {
    let mut relay = Relay::knowing(settings(), nodes);
    relay.turn.drain(how);
    relay
}

/// One that is not known to follow: it repeats the password algorithms.
fn other_client() -> TestClient {
    bob().signing(crate::support::Scheme::Sha256)
}

#[test]
fn who_follows_is_sent_on_from_every_listener() {
    for how in [Drain::ToOthers, Drain::ToEnd] {
        for client in [bob(), bob().through_balancer()] {
            let mut relay = draining(how, &[node(&["203.0.113.11"])]);
            let mut client = client;
            assert_eq!(client.sent_to(&mut relay), at("203.0.113.11:3478"));
            assert!(relay.is_empty());
        }
    }
}

#[test]
fn never_to_the_node_itself() {
    let own = Alternate { own: true, ..node(&["203.0.113.99"]) };
    for client in [bob(), bob().through_balancer()] {
        let mut client = client;
        let mut relay = draining(Drain::ToOthers, std::slice::from_ref(&own));
        assert_eq!(client.try_allocate(&mut relay).code(), 508);
        relay.know(&[own.clone(), node(&["203.0.113.11"])]);
        assert_eq!(client.sent_to(&mut relay), at("203.0.113.11:3478"));
    }
}

#[test]
fn who_follows_hears_508_where_there_is_no_other_node() {
    for client in [bob(), bob().through_balancer()] {
        let mut client = client;
        assert_eq!(client.try_allocate(&mut draining(Drain::ToOthers, &[])).code(), 508);
    }
}

#[test]
fn who_does_not_is_served_in_place() {
    for client in [other_client(), other_client().through_balancer()] {
        let mut client = client;
        client.allocate(&mut draining(Drain::ToOthers, &[node(&["203.0.113.11"])]));
    }
}

#[test]
fn who_was_sent_here_is_not_sent_on() {
    let mut relay = Relay::knowing(settings(), &[node(&["203.0.113.11"])]);
    let mut bob = bob().through_balancer();
    bob.sent_to(&mut relay);
    relay.turn.drain(Drain::ToOthers);
    bob.at_relay("203.0.113.1:3478").allocate(&mut relay);
}

#[test]
fn nobody_is_sent_on_where_the_relay_is_told_so() {
    let never = Settings { redirect: Redirect::Never, ..settings() };
    let mut relay = Relay::knowing(never, &[node(&["203.0.113.11"])]);
    relay.turn.drain(Drain::ToOthers);
    bob().allocate(&mut relay);
}

#[test]
fn a_relay_that_is_to_end_serves_nobody_new() {
    let mut relay = draining(Drain::ToEnd, &[node(&["203.0.113.11"])]);
    assert_eq!(other_client().try_allocate(&mut relay).code(), 508);
}

#[test]
fn the_old_ones_are_served_until_they_end_and_new_ones_when_it_is_taken_back() {
    let (mut relay, mut alice, _) = allocated();
    relay.know(&[node(&["203.0.113.11"])]);
    relay.turn.drain(Drain::ToOthers);
    assert_eq!(alice.refresh(&mut relay, 600).code(), 0);
    bob().sent_to(&mut relay);
    relay.turn.resume();
    bob().allocate(&mut relay);
}
