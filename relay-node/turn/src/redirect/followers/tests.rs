use stun::attribute::{
    EvenPort, Nonce, PasswordAlgorithm, PasswordAlgorithms, Realm, RequestedAddressFamily,
    RequestedTransport, Software, Userhash, Username,
};
use stun::{BufferFull, Class, Key, MessageWriter, Method, TransactionId};

use turn_client::{Allocate, Challenge, Credential, Login, Request};

use super::*;

/// Writes one attribute.
type Write = fn(&mut MessageWriter<'_>) -> Result<(), BufferFull>;

const R: Write = |writer| writer.attribute(&RequestedTransport::UDP).map(drop);
const U: Write = |writer| writer.attribute(&Username(b"1700000000:alice")).map(drop);
const USERHASH: Write = |writer| writer.attribute(&Userhash([7; 32])).map(drop);
const REALM: Write = |writer| writer.attribute(&Realm(b"example.org")).map(drop);
const NONCE: Write = |writer| writer.attribute(&Nonce(b"obMatJos2AAAB")).map(drop);
const M: Write = |writer| writer.integrity_sha1(&key()).map(drop);
const M256: Write = |writer| writer.integrity_sha256(&key()).map(drop);
const ALGORITHMS: Write = |writer| writer.attribute(&PasswordAlgorithms::SHA256_MD5).map(drop);
const SHA256: Write = |writer| writer.attribute(&PasswordAlgorithm::Sha256).map(drop);
const F: Write = |writer| writer.fingerprint().map(drop);
const FAMILY: Write =
    |writer| writer.attribute(&RequestedAddressFamily(stun::attribute::AddressFamily::V4)).map(drop);
const EVEN: Write = |writer| writer.attribute(&EvenPort { reserve_next: true }).map(drop);
const L600: Write = |writer| writer.attribute(&Lifetime(600)).map(drop);
const L777: Write = |writer| writer.attribute(&Lifetime(777)).map(drop);
const L3600: Write = |writer| writer.attribute(&Lifetime(3600)).map(drop);
const LIBNICE: Write = |writer| writer.attribute(&Software(b"libnice")).map(drop);
const LIBJUICE: Write = |writer| writer.attribute(&Software(b"libjuice")).map(drop);

const CHROMIUM: &[Write] = &[R, U, REALM, NONCE, M];
const FIREFOX: &[Write] = &[R, L3600, U, REALM, NONCE, M, F];
const NICE: &[Write] = &[LIBNICE, R, REALM, NONCE, U, M];
const JUICE: &[Write] = &[L600, R, LIBJUICE, U, REALM, NONCE, M, F];
const JUICE_WITH_HASH: &[Write] = &[L600, R, LIBJUICE, USERHASH, REALM, NONCE, M256, F];
const JUICE_WITH_ALGORITHMS: &[Write] =
    &[L600, R, LIBJUICE, USERHASH, REALM, NONCE, ALGORITHMS, SHA256, M, M256, F];
const UCLIENT: &[Write] = &[R, L777, FAMILY, U, NONCE, REALM, M, F];
const UCLIENT_WITH_RTCP: &[Write] = &[R, L777, EVEN, FAMILY, U, NONCE, REALM, M, F];
const PION: &[Write] = &[R, U, REALM, NONCE, M, F];
const AIOICE: &[Write] = &[L600, R, U, NONCE, REALM, M, F];
const WERIFT: &[Write] = &[L600, R, U, REALM, NONCE, M, F];

const ALL: [Transport; 3] = [Udp, Tcp, Tls];

fn key() -> Key {
    Key::long_term_md5(b"alice", b"example.org", b"wonderland")
}

/// The transports over which a client is sent on that sends these attributes, under this name.
fn sent_on(redirect: Redirect, attributes: &[Write], name: &str) -> Vec<Transport> {
    let mut bytes = [0; 1024];
    let id = TransactionId::new([7; 12]);
    let mut writer = MessageWriter::new(&mut bytes, Class::Request, Method::ALLOCATE, id).unwrap();
    attributes.iter().for_each(|write| write(&mut writer).unwrap());
    let length = writer.finish();
    let message = Message::parse(&bytes[..length]).unwrap();
    let name = Name::Username(name.as_bytes());
    ALL.into_iter().filter(|transport| redirect.follows(&message, *transport, name)).collect()
}

fn known(attributes: &[Write]) -> Vec<Transport> {
    sent_on(Redirect::Known, attributes, "1700000000:alice")
}

#[test]
fn those_who_follow_are_known_by_their_allocate() {
    assert_eq!(known(CHROMIUM), ALL);
    assert_eq!(known(FIREFOX), [Udp, Tcp]);
    assert_eq!(known(NICE), [Udp, Tcp]);
    for juice in [JUICE, JUICE_WITH_HASH, JUICE_WITH_ALGORITHMS] {
        assert_eq!(known(juice), [Udp]);
    }
    for uclient in [UCLIENT, UCLIENT_WITH_RTCP] {
        assert_eq!(known(uclient), ALL);
    }
}

#[test]
fn edgerelay_try_is_known() {
    for scheme in [None, Some(PasswordAlgorithms::SHA256_MD5.as_bytes().to_vec())] {
        let challenge = Challenge {
            realm: b"example.org".to_vec(),
            nonce: b"obMatJos2AAAB".to_vec(),
            algorithms: scheme,
            anonymous: false,
        };
        let login = Login::new(Credential::new("1700000000:try", "secret"), challenge).unwrap();
        for family in [None, Some(stun::attribute::AddressFamily::V6)] {
            let request = Request::Allocate(Allocate { family, ..Allocate::default() });
            let mut bytes = [0; 1024];
            let id = TransactionId::new([7; 12]);
            let length = request.write(&mut bytes, id, Some("edgerelay-try"), Some(&login)).unwrap();
            let message = Message::parse(&bytes[..length]).unwrap();
            assert!(ALL.iter().all(|it| Redirect::Known.follows(&message, *it, Name::Username(b""))));
        }
    }
}

#[test]
fn those_who_do_not_are_not() {
    for client in [PION, AIOICE, WERIFT] {
        assert_eq!(known(client), []);
    }
}

#[test]
fn what_differs_in_anything_is_not_known() {
    let other_order: &[Write] = &[U, R, REALM, NONCE, M];
    let less: &[Write] = &[R, U, REALM, M];
    let more: &[Write] = &[R, L600, U, REALM, NONCE, M];
    let twice: &[Write] = &[R, U, U, REALM, NONCE, M];
    let even_twice: &[Write] = &[R, L777, EVEN, EVEN, FAMILY, U, NONCE, REALM, M, F];
    let other_lifetime: &[Write] = &[R, L600, U, REALM, NONCE, M, F];
    let other_software: &[Write] = &[LIBJUICE, R, REALM, NONCE, U, M];
    for changed in [other_order, less, more, twice, even_twice, other_lifetime, other_software, &[]] {
        assert_eq!(known(changed), []);
    }
}

#[test]
fn a_marked_name_follows_unless_its_client_is_known_not_to() {
    let marked = |client| sent_on(Redirect::Known, client, "1700000000+300:alice");
    for client in [PION, AIOICE, WERIFT] {
        assert_eq!(marked(client), ALL);
    }
    assert_eq!(marked(FIREFOX), [Udp, Tcp]);
    let of_the_configuration = |name| sent_on(Redirect::Known, PION, name);
    assert_eq!(of_the_configuration("alice+300"), []);
}

#[test]
fn all_are_all_but_those_who_are_known_not_to_follow() {
    let all = |client| sent_on(Redirect::All, client, "alice");
    assert_eq!(all(PION), ALL);
    assert_eq!(all(FIREFOX), [Udp, Tcp]);
}

#[test]
fn never_is_never() {
    for client in [CHROMIUM, PION] {
        assert_eq!(sent_on(Redirect::Never, client, "1700000000+300:alice"), []);
    }
}
