//! FINGERPRINT: checked where it is, given where it was (RFC 8489 sections 6.3 and 14.7).

use crate::support::{REALM, Relay, TestClient, allocated, peer, write};
use stun::attribute::{Data, Nonce, Realm, RequestedTransport, Software, Username, XorPeerAddress};
use stun::{AttributeType, Class, Fingerprint, Method};
use turn::DropReason;

#[test]
fn an_answer_has_one_if_the_request_had() {
    let mut relay = Relay::new();
    let mut alice = TestClient::new("198.51.100.7:4000");
    for method in [Method::BINDING, Method::ALLOCATE] {
        let with = alice.bare(method, |writer| writer.fingerprint().map(drop));
        assert_eq!(alice.exchange(&mut relay, &with).message().fingerprint(), Fingerprint::Valid);
        let without = alice.bare(method, |_| Ok(()));
        assert_eq!(alice.exchange(&mut relay, &without).message().fingerprint(), Fingerprint::Absent);
    }
}

#[test]
fn a_signed_answer_has_it_behind_its_integrity() {
    let mut relay = Relay::new();
    let mut alice = TestClient::new("198.51.100.7:4000");
    alice.learn_nonce(&mut relay);
    let request = alice.request(Method::ALLOCATE, |alice, writer| {
        writer.attribute(&RequestedTransport::UDP)?.attribute(&Username(&alice.username))?;
        writer.attribute(&Realm(REALM.as_bytes()))?.attribute(&Nonce(&alice.nonce))?;
        writer.integrity_sha1(&alice.key())?.fingerprint().map(drop)
    });
    let answer = alice.exchange(&mut relay, &request);
    assert_eq!((answer.code(), answer.message().fingerprint()), (0, Fingerprint::Valid));
    assert_eq!(answer.message().verify_sha1(&alice.key()), Ok(()));
    let last_two: Vec<_> = answer.message().attributes().map(|attribute| attribute.kind).collect();
    let expected = [AttributeType::MESSAGE_INTEGRITY, AttributeType::FINGERPRINT];
    assert_eq!(last_two[last_two.len() - 2..], expected);
}

#[test]
fn a_wrong_one_makes_the_packet_no_stun_message() {
    let mut relay = Relay::new();
    let mut alice = TestClient::new("198.51.100.7:4000");
    let right = alice.bare(Method::BINDING, |writer| writer.fingerprint().map(drop));
    let mut wrong = right.clone();
    *wrong.last_mut().unwrap() ^= 1;
    let not_last =
        alice.bare(Method::BINDING, |writer| writer.fingerprint()?.attribute(&Software(b"x")).map(drop));
    for packet in [wrong, not_last] {
        assert_eq!(relay.packet(&alice.path, &packet), []);
    }
    assert_eq!(relay.dropped(DropReason::Malformed), 2);
    assert_eq!(alice.exchange(&mut relay, &right).code(), 0);
}

#[test]
fn a_wrong_one_stops_a_send_indication() {
    let (mut relay, mut alice, _) = allocated();
    alice.permit(&mut relay, peer());
    let mut packet = write(Class::Indication, Method::SEND, alice.transaction(), |writer| {
        writer.attribute(&XorPeerAddress(peer()))?.attribute(&Data(b"hello"))?.fingerprint().map(drop)
    });
    assert_eq!(relay.packet(&alice.path, &packet).len(), 1);
    *packet.last_mut().unwrap() ^= 1;
    assert_eq!(relay.packet(&alice.path, &packet), []);
}
