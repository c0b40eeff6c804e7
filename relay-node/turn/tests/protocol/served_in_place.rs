//! Who cannot follow never comes back after a 300: so it is served by the node that it met.

use crate::support::{Relay, SECRET, TestClient, node, settings};
use stun::Method;
use stun::attribute::{Nonce, Realm, RequestedTransport, ReservationToken, Username};
use turn::{Redirect, Redirection, Settings};
use turn_client::Allocate;

const ALICE: &str = "198.51.100.7:4000";

fn fleet(redirect: Redirect) -> Relay {
    Relay::knowing(Settings { redirect, ..settings() }, &[node(&["203.0.113.11"])])
}

/// An Allocate as pion sends it: that of libwebrtc, and a FINGERPRINT.
fn pions(client: &mut TestClient, relay: &mut Relay) -> u16 {
    client.learn_nonce(relay);
    let request = client.request(Method::ALLOCATE, |client, writer| {
        writer.attribute(&RequestedTransport::UDP)?.attribute(&Username(&client.username))?;
        writer.attribute(&Realm(client.realm.as_bytes()))?.attribute(&Nonce(&client.nonce))?;
        writer.integrity_sha1(&client.key())?.fingerprint().map(drop)
    });
    client.exchange(relay, &request).code()
}

#[test]
fn who_is_not_known_to_follow_is_served() {
    let mut relay = fleet(Redirect::Known);
    let mut pion = TestClient::new(ALICE).through_balancer();
    assert_eq!(pions(&mut pion, &mut relay), 0);
    assert_eq!(relay.turn.stats().redirections[Redirection::NotFollowing as usize], 1);
}

#[test]
fn whose_credential_says_that_it_follows_is_sent_on() {
    let mut relay = fleet(Redirect::Known);
    let mut marked = TestClient::new(ALICE).through_balancer().timed("1900000000+300:t1:carol", SECRET);
    assert_eq!(pions(&mut marked, &mut relay), 300);
    let mut unmarked = TestClient::new(ALICE).through_balancer().timed("1900000000:t1:carol", SECRET);
    assert_eq!(pions(&mut unmarked, &mut relay), 0);
}

#[test]
fn a_mark_needs_its_own_password() {
    let mut relay = fleet(Redirect::Known);
    let unmarked = TestClient::new(ALICE).timed("1900000000:t1:carol", SECRET);
    let password = String::from_utf8(unmarked.password).unwrap();
    let mut forged = TestClient::new(ALICE).through_balancer().named("1900000000+300:t1:carol", &password);
    assert_eq!(pions(&mut forged, &mut relay), 401);
}

#[test]
fn a_marked_name_is_the_same_user() {
    let mut few = settings();
    few.limits.user.allocations = 1;
    let mut relay = Relay::with(few);
    TestClient::new(ALICE).timed("1900000000+300:t1:carol", SECRET).allocate(&mut relay);
    let mut again = TestClient::new("198.51.100.8:4000").timed("1900000000:t1:carol", SECRET);
    assert_eq!(again.try_allocate(&mut relay).code(), 486);
}

#[test]
fn all_are_sent_on_if_the_relay_is_told_so_and_none_if_it_is_told_that() {
    let mut pion = TestClient::new(ALICE).through_balancer();
    assert_eq!(pions(&mut pion.clone(), &mut fleet(Redirect::All)), 300);
    assert_eq!(pion.try_allocate(&mut fleet(Redirect::Never)).code(), 0);
}

#[test]
fn where_there_is_no_node_with_room_everybody_is_served() {
    let full = turn::Alternate { room: 0, ..node(&["203.0.113.11"]) };
    for nodes in [&[][..], &[full]] {
        let mut relay = Relay::knowing(settings(), nodes);
        TestClient::new(ALICE).through_balancer().allocate(&mut relay);
        assert_eq!(relay.turn.stats().redirections[Redirection::NoAlternate as usize], 1);
    }
}

#[test]
fn who_comes_for_a_port_that_was_reserved_here_gets_it_here() {
    let mut relay = Relay::new();
    let even = Some(stun::attribute::EvenPort { reserve_next: true });
    let answer = TestClient::new(ALICE)
        .through_balancer()
        .allocate_as(&mut relay, Allocate { even_port: even, ..Allocate::default() });
    let reservation = answer.get::<ReservationToken>();
    relay.know(&[node(&["203.0.113.11"])]);
    let mut again = TestClient::new("198.51.100.7:4001").through_balancer();
    let second = again.allocate_as(&mut relay, Allocate { reservation, ..Allocate::default() });
    assert_eq!(second.relayed()[0].port(), answer.relayed()[0].port() + 1);
}
