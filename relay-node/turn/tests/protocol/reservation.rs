//! EVEN-PORT and RESERVATION-TOKEN: a pair of ports, as RTP and RTCP had them (RFC 8656 section 7.2).

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::support::{Answer, Relay, TestClient, relay_addresses, settings};
use stun::attribute::{EvenPort, ReservationToken};
use turn::{AddressFamily, RelayAddresses, RelayPort};
use turn_client::Allocate;

fn even(relay: &mut Relay, client: &mut TestClient, reserve_next: bool) -> Answer {
    client.allocate_as(relay, Allocate { even_port: Some(EvenPort { reserve_next }), ..Allocate::default() })
}

fn redeem(relay: &mut Relay, client: &mut TestClient, token: ReservationToken) -> Answer {
    client.allocate_as(relay, Allocate { reservation: Some(token), ..Allocate::default() })
}

fn relayed(answer: &Answer) -> SocketAddr {
    answer.relayed()[0]
}

fn alice(port: u16) -> TestClient {
    TestClient::new(&format!("198.51.100.7:{port}"))
}

fn bob(port: u16) -> TestClient {
    TestClient::new(&format!("198.51.100.8:{port}")).named("bob", "builder")
}

/// A relay where Alice has an even port, and the token of the next one.
fn reserved(mut relay: Relay) -> (Relay, SocketAddr, ReservationToken) {
    let answer = even(&mut relay, &mut alice(1), true);
    let token = answer.get::<ReservationToken>().expect("a token");
    (relay, relayed(&answer), token)
}

#[test]
fn an_even_port_is_even() {
    let mut relay = Relay::new();
    for port in 1..50 {
        let answer = even(&mut relay, &mut alice(port), false);
        assert_eq!(relayed(&answer).port() % 2, 0);
        assert!(answer.get::<ReservationToken>().is_none());
    }
}

#[test]
fn the_token_gets_the_next_port_on_another_five_tuple() {
    let (mut relay, first, token) = reserved(Relay::new());
    assert_eq!(first.port() % 2, 0);
    let second = relayed(&redeem(&mut relay, &mut alice(2), token));
    assert_eq!(second, SocketAddr::new(first.ip(), first.port() + 1));
}

#[test]
fn the_token_gets_the_port_on_another_worker() {
    let (relay, first, token) = reserved(Relay::new());
    let mut other = Relay::beside(settings(), Arc::clone(&relay.ledger), 2);
    let second = relayed(&redeem(&mut other, &mut alice(2), token));
    assert_eq!(second.port(), first.port() + 1);
}

#[test]
fn the_token_of_an_ipv6_port_needs_no_ipv4() {
    let only_v6 = RelayAddresses { v4: None, ..relay_addresses() };
    let mut relay = Relay::on_addresses(settings(), only_v6);
    let (family, even_port) = (Some(AddressFamily::V6), Some(EvenPort { reserve_next: true }));
    let first = alice(1).allocate_as(&mut relay, Allocate { family, even_port, ..Allocate::default() });
    let second = redeem(&mut relay, &mut alice(2), first.get().expect("a token"));
    assert_eq!(relayed(&second).port(), relayed(&first).port() + 1);
}

#[test]
fn a_token_is_its_users_own() {
    let (mut relay, _, token) = reserved(Relay::new());
    assert_eq!(redeem(&mut relay, &mut bob(1), token).code(), 508);
    assert_eq!(redeem(&mut relay, &mut alice(2), token).code(), 0, "and was not lost by that");
}

#[test]
fn a_token_is_good_once_and_a_made_up_one_never() {
    let (mut relay, _, token) = reserved(Relay::new());
    assert_eq!(redeem(&mut relay, &mut alice(2), ReservationToken([7; 8])).code(), 508);
    assert_eq!(redeem(&mut relay, &mut alice(2), token).code(), 0);
    assert_eq!(redeem(&mut relay, &mut alice(3), token).code(), 508);
    assert_eq!(relay.turn.allocations(), 2);
}

#[test]
fn tokens_differ() {
    let mut relay = Relay::new();
    let mut tokens: Vec<_> = (1..=100)
        .map(|port| even(&mut relay, &mut alice(port), true).get::<ReservationToken>().unwrap().0)
        .collect();
    tokens.sort_unstable();
    tokens.dedup();
    assert_eq!(tokens.len(), 100);
}

#[test]
fn a_reserved_port_waits_30_seconds_and_is_free_again_after() {
    let (mut relay, first, token) = reserved(Relay::on_ports(settings(), 50000..=50001));
    relay.wait(Duration::from_millis(29_999));
    assert_eq!(bob(1).try_allocate(&mut relay).code(), 508);
    relay.wait(Duration::from_millis(1));
    assert_eq!(redeem(&mut relay, &mut alice(2), token).code(), 508);
    assert_eq!(bob(1).allocate(&mut relay).port(), first.port() + 1);
}

#[test]
fn a_reserved_port_outlives_the_allocation_that_reserved_it() {
    let mut relay = Relay::new();
    let mut first = alice(1);
    let answer = even(&mut relay, &mut first, true);
    let token = answer.get::<ReservationToken>().unwrap();
    first.refresh(&mut relay, 0);
    let second = relayed(&redeem(&mut relay, &mut alice(2), token));
    assert_eq!(second.port(), relayed(&answer).port() + 1);
}

#[test]
fn nobody_listens_on_a_reserved_port() {
    let (mut relay, first, token) = reserved(Relay::new());
    let next = RelayPort::new(first.port() + 1);
    assert!(relay.ledger.holder(AddressFamily::V4, next).is_none());
    assert_eq!(relay.sockets.len(), 1);
    redeem(&mut relay, &mut alice(2), token);
    assert!(relay.ledger.holder(AddressFamily::V4, next).is_some());
}

#[test]
fn without_such_a_port_the_answer_is_508() {
    let mut relay = Relay::on_ports(settings(), 50001..=50001);
    assert_eq!(even(&mut relay, &mut alice(1), false).code(), 508);
    let mut relay = Relay::on_ports(settings(), 50000..=50000);
    assert_eq!(even(&mut relay, &mut alice(1), true).code(), 508);
    assert_eq!(even(&mut relay, &mut alice(1), false).code(), 0);
}

#[test]
fn a_failed_request_keeps_neither_port() {
    let mut relay = Relay::on_ports(settings(), 50000..=50001);
    relay.exhausted = true;
    assert_eq!(even(&mut relay, &mut alice(1), true).code(), 508);
    relay.exhausted = false;
    let answer = even(&mut relay, &mut alice(1), true);
    assert_eq!(relayed(&answer).port(), 50000);
}

#[test]
fn a_pair_whose_first_port_another_process_holds_is_passed_over_whole() {
    let mut relay = Relay::on_ports(settings(), 50000..=50003);
    relay.busy = [50000].into();
    let (mut relay, first, token) = reserved(relay);
    assert_eq!(first.port(), 50002);
    assert_eq!(relayed(&redeem(&mut relay, &mut alice(2), token)).port(), 50003);
    // The pair that could not be had is free: its odd port can be opened.
    let mut odd = || bob(1).try_allocate(&mut relay).code();
    assert!((0..50).any(|_| odd() == 0));
}
