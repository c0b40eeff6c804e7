//! What follows MESSAGE-INTEGRITY is covered by nothing, and counts for nothing
//! (RFC 8489 sections 14.5 and 14.6).

use crate::support::{Answer, REALM, Relay, TestClient, allocated, at, peer};
use stun::attribute::{ChannelNumber, Lifetime, Nonce, Realm, RequestedTransport, Username, XorPeerAddress};
use stun::{AttributeType, BufferFull, MessageWriter, Method};

type Attributes = fn(&mut MessageWriter<'_>) -> Result<(), BufferFull>;

/// Sends `before`, credentials, MESSAGE-INTEGRITY, and then `after`.
fn ask(
    relay: &mut Relay,
    alice: &mut TestClient,
    method: Method,
    before: Attributes,
    after: Attributes,
) -> Answer {
    if alice.nonce.is_empty() {
        alice.learn_nonce(relay);
    }
    let request = alice.request(method, |alice, writer| {
        before(writer)?;
        writer.attribute(&Username(&alice.username))?.attribute(&Realm(REALM.as_bytes()))?;
        writer.attribute(&Nonce(&alice.nonce))?.integrity_sha1(&alice.key())?;
        after(writer)
    });
    alice.exchange(relay, &request)
}

fn udp(writer: &mut MessageWriter<'_>) -> Result<(), BufferFull> {
    writer.attribute(&RequestedTransport::UDP).map(drop)
}

fn new() -> (Relay, TestClient) {
    (Relay::new(), TestClient::new("198.51.100.7:4000"))
}

#[test]
fn a_lifetime_there_asks_for_nothing() {
    let (mut relay, mut alice) = new();
    let answer = ask(&mut relay, &mut alice, Method::ALLOCATE, udp, |writer| {
        writer.attribute(&Lifetime(3600)).map(drop)
    });
    assert_eq!(answer.get(), Some(Lifetime(600)));
}

#[test]
fn a_lifetime_of_zero_there_deletes_nothing() {
    let (mut relay, mut alice, _) = allocated();
    let answer = ask(
        &mut relay,
        &mut alice,
        Method::REFRESH,
        |_| Ok(()),
        |writer| writer.attribute(&Lifetime(0)).map(drop),
    );
    assert_eq!((answer.get(), relay.turn.allocations()), (Some(Lifetime(600)), 1));
}

#[test]
fn a_required_attribute_there_is_missing() {
    let (mut relay, mut alice) = new();
    assert_eq!(ask(&mut relay, &mut alice, Method::ALLOCATE, |_| Ok(()), udp).code(), 400);
}

#[test]
fn credentials_there_are_missing() {
    let (mut relay, mut alice) = new();
    alice.learn_nonce(&mut relay);
    let request = alice.request(Method::ALLOCATE, |alice, writer| {
        writer.attribute(&RequestedTransport::UDP)?.integrity_sha1(&alice.key())?;
        writer.attribute(&Username(&alice.username))?.attribute(&Realm(REALM.as_bytes()))?;
        writer.attribute(&Nonce(&alice.nonce)).map(drop)
    });
    assert_eq!(alice.exchange(&mut relay, &request).code(), 400);
}

#[test]
fn an_unknown_attribute_there_is_nothing_to_complain_about() {
    let (mut relay, mut alice) = new();
    let answer = ask(&mut relay, &mut alice, Method::ALLOCATE, udp, |writer| {
        writer.raw(AttributeType(0x7001), b"?").map(drop)
    });
    assert_eq!(answer.code(), 0);
}

#[test]
fn a_peer_there_is_not_permitted() {
    let (mut relay, mut alice, relayed) = allocated();
    let answer = ask(
        &mut relay,
        &mut alice,
        Method::CREATE_PERMISSION,
        |writer| writer.attribute(&XorPeerAddress(at("192.0.2.99:1"))).map(drop),
        |writer| writer.attribute(&XorPeerAddress(peer())).map(drop),
    );
    assert_eq!(answer.code(), 0);
    assert_eq!(relay.peer_sends(peer(), relayed, b"hello"), None);
    assert!(relay.peer_sends(at("192.0.2.99:1"), relayed, b"hello").is_some());
}

#[test]
fn a_channel_there_is_not_bound() {
    let (mut relay, mut alice, _) = allocated();
    let answer = ask(
        &mut relay,
        &mut alice,
        Method::CHANNEL_BIND,
        |writer| writer.attribute(&XorPeerAddress(peer())).map(drop),
        |writer| writer.attribute(&ChannelNumber::FIRST).map(drop),
    );
    assert_eq!(answer.code(), 400);
}

#[test]
fn a_fingerprint_there_counts() {
    let (mut relay, mut alice) = new();
    let answer = ask(&mut relay, &mut alice, Method::ALLOCATE, udp, |writer| writer.fingerprint().map(drop));
    assert_eq!((answer.code(), answer.message().fingerprint()), (0, stun::Fingerprint::Valid));
}

#[test]
fn after_message_integrity_sha256_nothing_counts_either() {
    let (mut relay, mut alice) = new();
    alice.learn_nonce(&mut relay);
    let request = alice.request(Method::ALLOCATE, |alice, writer| {
        writer.attribute(&RequestedTransport::UDP)?.attribute(&Username(&alice.username))?;
        writer.attribute(&Realm(REALM.as_bytes()))?.attribute(&Nonce(&alice.nonce))?;
        writer.integrity_sha256(&alice.key())?;
        writer.attribute(&Lifetime(3600))?.raw(AttributeType(0x7001), b"?").map(drop)
    });
    assert_eq!(alice.exchange(&mut relay, &request).get(), Some(Lifetime(600)));
}
