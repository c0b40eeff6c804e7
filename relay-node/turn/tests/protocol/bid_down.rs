//! Protection against being talked into a weaker algorithm (RFC 8489 sections 9.2.1 and 9.2.4).

use crate::support::{Answer, REALM, Relay, TestClient};
use stun::attribute::{Nonce, PasswordAlgorithms, Realm, RequestedTransport, Username};
use stun::{AttributeType, Key, Method};

const OFFERED: &[u8] = &[0, 2, 0, 0, 0, 1, 0, 0];
const MD5: &[u8] = &[0, 1, 0, 0];
const SHA256: &[u8] = &[0, 2, 0, 0];

/// PASSWORD-ALGORITHMS and PASSWORD-ALGORITHM of a request.
type Choice = (Option<&'static [u8]>, Option<&'static [u8]>);

/// Allocates with this PASSWORD-ALGORITHMS and PASSWORD-ALGORITHM, and the key that goes with the latter.
fn allocate(
    relay: &mut Relay,
    alice: &mut TestClient,
    algorithms: Option<&[u8]>,
    algorithm: Option<&[u8]>,
) -> Answer {
    let request = alice.request(Method::ALLOCATE, |alice, writer| {
        writer.attribute(&RequestedTransport::UDP)?.attribute(&Username(&alice.username))?;
        writer.attribute(&Realm(REALM.as_bytes()))?.attribute(&Nonce(&alice.nonce))?;
        if let Some(algorithms) = algorithms {
            writer.raw(AttributeType::PASSWORD_ALGORITHMS, algorithms)?;
        }
        if let Some(algorithm) = algorithm {
            writer.raw(AttributeType::PASSWORD_ALGORITHM, algorithm)?;
        }
        let derive = if algorithm == Some(SHA256) { Key::long_term_sha256 } else { Key::long_term_md5 };
        writer.integrity_sha256(&derive(&alice.username, REALM.as_bytes(), &alice.password)).map(drop)
    });
    alice.exchange(relay, &request)
}

fn challenged() -> (Relay, TestClient) {
    let mut relay = Relay::new();
    let mut alice = TestClient::new("198.51.100.7:4000");
    alice.learn_nonce(&mut relay);
    (relay, alice)
}

#[test]
fn the_offer_is_sha256_before_md5_and_the_nonce_says_that_there_is_one() {
    let (mut relay, mut alice) = challenged();
    let request = alice.bare(Method::ALLOCATE, |_| Ok(()));
    let challenge = alice.exchange(&mut relay, &request);
    assert_eq!(challenge.get::<PasswordAlgorithms<'_>>().unwrap().as_bytes(), OFFERED);
    // Bit 0 of the 24 feature bits (RFC 8489 sections 9.2 and 18.1).
    assert!(matches!(&alice.nonce[..13], b"obMatJos2AAAB" | b"obMatJos2AAAD"));
}

#[test]
fn what_was_offered_and_chosen_is_taken() {
    for (algorithms, algorithm) in [(Some(OFFERED), Some(SHA256)), (Some(OFFERED), Some(MD5)), (None, None)] {
        let (mut relay, mut alice) = challenged();
        assert_eq!(allocate(&mut relay, &mut alice, algorithms, algorithm).code(), 0);
    }
}

#[test]
fn anything_else_is_a_bad_request() {
    let refused: [Choice; 12] = [
        (Some(OFFERED), None),
        (None, Some(MD5)),
        (None, Some(SHA256)),
        // Not what was offered: shortened, turned round, lengthened, emptied.
        (Some(MD5), Some(MD5)),
        (Some(SHA256), Some(SHA256)),
        (Some(&[0, 1, 0, 0, 0, 2, 0, 0]), Some(MD5)),
        (Some(&[0, 2, 0, 0, 0, 1, 0, 0, 0, 3, 0, 0]), Some(SHA256)),
        (Some(&[]), Some(MD5)),
        // Not one of the offered.
        (Some(OFFERED), Some(&[0, 3, 0, 0])),
        // Malformed.
        (Some(&[0, 2, 0]), Some(SHA256)),
        (Some(OFFERED), Some(&[0, 2])),
        (Some(OFFERED), Some(&[0, 2, 0, 4, 1, 2, 3, 4])),
    ];
    for (algorithms, algorithm) in refused {
        let (mut relay, mut alice) = challenged();
        let answer = allocate(&mut relay, &mut alice, algorithms, algorithm);
        assert_eq!(answer.code(), 400, "{algorithms:?} {algorithm:?}");
        assert_eq!(answer.message().integrity(), None);
        assert_eq!(relay.turn.allocations(), 0);
    }
}

#[test]
fn a_key_of_another_algorithm_than_the_chosen_one_proves_nothing() {
    let (mut relay, mut alice) = challenged();
    let request = alice.request(Method::ALLOCATE, |alice, writer| {
        writer.attribute(&RequestedTransport::UDP)?.attribute(&Username(&alice.username))?;
        writer.attribute(&Realm(REALM.as_bytes()))?.attribute(&Nonce(&alice.nonce))?;
        writer.raw(AttributeType::PASSWORD_ALGORITHMS, OFFERED)?;
        writer.raw(AttributeType::PASSWORD_ALGORITHM, SHA256)?;
        writer.integrity_sha256(&alice.key()).map(drop)
    });
    assert_eq!(alice.exchange(&mut relay, &request).code(), 401);
}

#[test]
fn taking_the_offer_out_of_the_nonce_makes_the_nonce_invalid() {
    let (mut relay, alice) = challenged();
    let genuine = alice.nonce;
    let without_bits = [b"obMatJos2AAAA", &genuine[13..]].concat();
    let without_cookie = genuine[9..].to_vec();
    for nonce in [without_bits, without_cookie] {
        let mut alice = TestClient::new("198.51.100.7:4000");
        alice.nonce = nonce;
        assert_eq!(allocate(&mut relay, &mut alice, None, None).code(), 438);
        assert_eq!(relay.turn.allocations(), 0);
    }
}
