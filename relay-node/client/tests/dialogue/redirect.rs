//! A 300 (Try Alternate): where a client goes, and where it does not (RFC 8489 section 10).

use std::net::SocketAddr;
use std::time::Instant;

use stun::attribute::{AlternateDomain, AlternateServer, ErrorCode, Nonce, Realm, Software, Username};
use stun::{Class, Key, Message};
use turn_client::{Client, Event, Failure, Path, RedirectError, Success};

use crate::server::{ALLOCATE, alice, allocated, answer, challenge, md5, outcome};

const BALANCER: &str = "203.0.113.1:3478";
const NODE: &str = "203.0.113.11:3478";

fn at(address: &str) -> SocketAddr {
    address.parse().unwrap()
}

/// A client that follows, logged in at the balancer, and the request that it sent there.
fn logged_in(path: Path, now: Instant) -> (Client, Vec<u8>) {
    let mut client = alice(path).following(at(BALANCER)).named("edgerelay-test");
    client.request(now, ALLOCATE).unwrap();
    let first = client.poll_packet().unwrap();
    assert!(client.receive(now, &challenge(&first, 401, b"nonce", false)).is_none());
    let second = client.poll_packet().unwrap();
    (client, second)
}

/// A 300 to `server`, signed by `key` if there is one.
fn sent_to(request: &[u8], server: &str, key: Option<&Key>) -> Vec<u8> {
    answer(request, Class::Error, |writer| {
        writer.attribute(&ErrorCode { code: 300, reason: "" })?.attribute(&AlternateServer(at(server)))?;
        writer.attribute(&AlternateDomain(b"relay.example.org"))?;
        writer.attribute(&Realm(b"example.org"))?.attribute(&Nonce(b"another"))?;
        key.map_or(Ok(()), |key| writer.integrity_sha1(key).map(drop))
    })
}

#[track_caller]
fn refused(client: &mut Client, now: Instant, packet: &[u8]) -> RedirectError {
    match outcome(client, now, packet) {
        Some(Err(Failure::Redirect(error))) => error,
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn the_request_goes_to_the_other_server_with_the_realm_and_nonce_of_the_300() {
    for path in [Path::Datagrams, Path::Stream] {
        let now = Instant::now();
        let (mut client, request) = logged_in(path, now);
        match client.receive(now, &sent_to(&request, NODE, Some(&md5()))) {
            Some(Event::Redirected { server, domain }) => {
                assert_eq!((server, domain.as_deref()), (at(NODE), Some("relay.example.org")));
            }
            other => panic!("not sent on: {other:?}"),
        }
        let bytes = client.poll_packet().unwrap();
        let again = Message::parse(&bytes).unwrap();
        assert_ne!(again.transaction_id(), Message::parse(&request).unwrap().transaction_id());
        assert_eq!(again.get(), Ok(Some(Username(b"alice"))));
        assert_eq!(again.get(), Ok(Some(Nonce(b"another"))));
        assert_eq!(again.get(), Ok(Some(Software(b"edgerelay-test"))));
        assert!(again.verify_sha1(&md5()).is_ok());
        let outcome = outcome(&mut client, now, &allocated(&bytes, &md5()));
        assert!(matches!(outcome, Some(Ok(Success::Allocated(_)))), "{outcome:?}");
    }
}

#[test]
fn a_300_that_nobody_proved_leads_nowhere() {
    let now = Instant::now();
    let (mut client, request) = logged_in(Path::Datagrams, now);
    assert_eq!(refused(&mut client, now, &sent_to(&request, NODE, None)), RedirectError::Unproven);
    assert!(client.poll_packet().is_none());
    // Also before there is a login.
    let mut client = alice(Path::Datagrams).following(at(BALANCER));
    client.request(now, ALLOCATE).unwrap();
    let first = client.poll_packet().unwrap();
    assert_eq!(refused(&mut client, now, &sent_to(&first, NODE, Some(&md5()))), RedirectError::Unproven);
}

#[test]
fn nor_does_one_to_another_address_family() {
    let now = Instant::now();
    let (mut client, request) = logged_in(Path::Datagrams, now);
    let other = "[2001:db8::1]:3478";
    let sent = sent_to(&request, other, Some(&md5()));
    assert_eq!(refused(&mut client, now, &sent), RedirectError::OtherFamily(at(other)));
}

#[test]
fn nor_does_one_without_an_address() {
    let now = Instant::now();
    let (mut client, request) = logged_in(Path::Datagrams, now);
    let sent = answer(&request, Class::Error, |writer| {
        writer.attribute(&ErrorCode { code: 300, reason: "" })?.integrity_sha1(&md5()).map(drop)
    });
    assert_eq!(refused(&mut client, now, &sent), RedirectError::Nowhere);
}

/// Sent on to each of these, the last of which is refused.
#[track_caller]
fn journey(servers: &[&str]) -> RedirectError {
    let now = Instant::now();
    let (mut client, mut request) = logged_in(Path::Datagrams, now);
    let (last, before) = servers.split_last().unwrap();
    for server in before {
        let sent = sent_to(&request, server, Some(&md5()));
        assert!(matches!(client.receive(now, &sent), Some(Event::Redirected { .. })));
        request = client.poll_packet().unwrap();
    }
    refused(&mut client, now, &sent_to(&request, last, Some(&md5())))
}

#[test]
fn nobody_goes_where_it_was() {
    assert_eq!(journey(&[BALANCER]), RedirectError::Loop(at(BALANCER)));
    assert_eq!(journey(&[NODE, NODE]), RedirectError::Loop(at(NODE)));
    assert_eq!(journey(&[NODE, BALANCER]), RedirectError::Loop(at(BALANCER)));
}

#[test]
fn nobody_goes_on_for_ever() {
    let servers = ["203.0.113.11:1", "203.0.113.11:2", "203.0.113.11:3", "203.0.113.11:4"];
    assert_eq!(journey(&servers), RedirectError::TooMany(at("203.0.113.11:4")));
}

#[test]
fn who_does_not_follow_is_told_where_it_could_have_gone() {
    let now = Instant::now();
    let (mut client, request) = crate::server::logged_in(Path::Datagrams, now);
    let outcome = outcome(&mut client, now, &sent_to(&request, NODE, Some(&md5())));
    let alternate = Some(at(NODE));
    assert!(
        matches!(&outcome, Some(Err(Failure::Refused { code: 300, alternate: named, .. })) if *named == alternate),
        "{outcome:?}"
    );
}
