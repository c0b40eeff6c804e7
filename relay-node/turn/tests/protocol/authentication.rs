//! The long-term credential mechanism, in the order of RFC 8489 section 9.2.4.

use std::time::Duration;

use crate::support::{Answer, REALM, Relay, Scheme, TestClient, settings};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use stun::attribute::{Nonce, PasswordAlgorithm, PasswordAlgorithms, Realm, RequestedTransport, Username};
use stun::{AttributeType, IntegrityKind, Key, Method};

const ALICE: &str = "198.51.100.7:4000";

/// Alice with a nonce.
fn challenged(relay: &mut Relay) -> TestClient {
    let mut alice = TestClient::new(ALICE);
    alice.learn_nonce(relay);
    alice
}

/// Sends an Allocate of these raw attributes, then MESSAGE-INTEGRITY with Alice's key.
fn allocate_with(relay: &mut Relay, alice: &mut TestClient, raw: &[(AttributeType, &[u8])]) -> Answer {
    let request = alice.request(Method::ALLOCATE, |alice, writer| {
        writer.attribute(&RequestedTransport::UDP)?;
        for (kind, value) in raw {
            writer.raw(*kind, value)?;
        }
        writer.integrity_sha1(&alice.key()).map(drop)
    });
    alice.exchange(relay, &request)
}

#[test]
fn a_request_without_integrity_is_challenged() {
    let mut relay = Relay::new();
    let mut alice = TestClient::new(ALICE);
    let request = alice.bare(Method::ALLOCATE, |writer| writer.attribute(&RequestedTransport::UDP).map(drop));
    let challenge = alice.exchange(&mut relay, &request);
    assert_eq!(challenge.code(), 401);
    assert_eq!(challenge.get(), Some(Realm(REALM.as_bytes())));
    assert!(challenge.get::<Nonce<'_>>().unwrap().0.starts_with(b"obMatJos2"));
    assert_eq!(challenge.get(), Some(PasswordAlgorithms::SHA256_MD5));
    assert!(!challenge.message().has(AttributeType::USERNAME));
}

#[test]
fn every_turn_request_is_challenged() {
    for method in [Method::ALLOCATE, Method::REFRESH, Method::CREATE_PERMISSION, Method::CHANNEL_BIND] {
        let mut alice = TestClient::new(ALICE);
        let request = alice.bare(method, |_| Ok(()));
        let answer = alice.exchange(&mut Relay::new(), &request);
        assert_eq!((answer.code(), answer.message().method()), (401, method));
    }
}

#[test]
fn with_integrity_but_without_username_realm_or_nonce_it_is_a_bad_request() {
    let (username, realm, nonce) = (AttributeType::USERNAME, AttributeType::REALM, AttributeType::NONCE);
    for missing in [username, realm, nonce] {
        let mut relay = Relay::new();
        let mut alice = challenged(&mut relay);
        let given = alice.nonce.clone();
        let all: [(AttributeType, &[u8]); 3] =
            [(username, b"alice"), (realm, REALM.as_bytes()), (nonce, &given)];
        let rest: Vec<_> = all.into_iter().filter(|(kind, _)| *kind != missing).collect();
        let answer = allocate_with(&mut relay, &mut alice, &rest);
        assert_eq!(answer.code(), 400, "without {missing}");
        for kind in [username, AttributeType::USERHASH, realm, nonce] {
            assert!(!answer.message().has(kind), "the answer has no {kind}");
        }
    }
}

#[test]
fn an_unknown_user_and_a_wrong_password_are_challenged_alike() {
    for (username, password) in
        [("mallory", "wonderland"), ("alice", "builder"), ("", ""), ("alice\0", "wonderland")]
    {
        for scheme in [Scheme::Classic, Scheme::Sha256] {
            let mut relay = Relay::new();
            let mut client = TestClient::new(ALICE).named(username, password).signing(scheme);
            let answer = client.try_allocate(&mut relay);
            assert_eq!(answer.code(), 401, "{username:?}");
            assert_eq!(answer.get(), Some(Realm(REALM.as_bytes())));
            assert_eq!(answer.0.len(), {
                let request = client.bare(Method::ALLOCATE, |_| Ok(()));
                client.exchange(&mut relay, &request).0.len()
            });
            assert_eq!(relay.turn.allocations(), 0);
        }
    }
}

#[test]
fn another_realm_is_challenged() {
    for realm in ["example.com", "", "example.org\0"] {
        let mut relay = Relay::new();
        let mut alice = challenged(&mut relay);
        let request = alice.request(Method::ALLOCATE, |alice, writer| {
            writer.attribute(&RequestedTransport::UDP)?.attribute(&Username(&alice.username))?;
            writer.attribute(&Realm(realm.as_bytes()))?.attribute(&Nonce(&alice.nonce))?;
            let key = Key::long_term_md5(&alice.username, realm.as_bytes(), &alice.password);
            writer.integrity_sha1(&key).map(drop)
        });
        assert_eq!(alice.exchange(&mut relay, &request).code(), 401, "realm {realm:?}");
    }
}

#[test]
fn a_changed_message_is_challenged() {
    let mut relay = Relay::new();
    let mut alice = challenged(&mut relay);
    let request = alice.signed_allocate();
    let credentials_end = request.len() - 24;
    for place in (8..20).chain([24, 27, credentials_end - 1]) {
        let mut changed = request.clone();
        changed[place] ^= 1;
        assert_ne!(alice.exchange(&mut relay, &changed).code(), 0, "byte {place}");
    }
    assert_eq!(relay.turn.allocations(), 0);
    assert_eq!(alice.exchange(&mut relay, &request).code(), 0);
}

#[test]
fn a_stale_nonce_gets_a_fresh_one_that_works() {
    let mut relay = Relay::new();
    let mut alice = challenged(&mut relay);
    relay.wait(Duration::from_secs(601));
    let answer = alice.try_allocate(&mut relay);
    assert_eq!(answer.code(), 438);
    assert_eq!(answer.get(), Some(Realm(REALM.as_bytes())));
    assert_eq!(answer.get(), Some(PasswordAlgorithms::SHA256_MD5));
    alice.nonce = answer.get::<Nonce<'_>>().unwrap().0.to_vec();
    alice.allocate(&mut relay);
}

#[test]
fn a_nonce_lasts_its_lifetime_and_serves_many_requests() {
    let mut relay = Relay::new();
    let mut alice = challenged(&mut relay);
    alice.allocate(&mut relay);
    relay.wait(Duration::from_secs(599));
    assert_eq!(alice.refresh(&mut relay, 600).code(), 0);
    relay.wait(Duration::from_secs(1));
    assert_eq!(alice.refresh(&mut relay, 600).code(), 0);
    relay.wait(Duration::from_secs(1));
    assert_eq!(alice.refresh(&mut relay, 600).code(), 438);
}

#[test]
fn a_forged_nonce_is_stale() {
    let mut relay = Relay::new();
    let genuine = challenged(&mut relay).nonce;
    let mut foreign = settings();
    foreign.nonces = turn::Nonces::new(vec![[8; 32]], 600, true);
    let forgeries = [
        challenged(&mut Relay::with(foreign)).nonce,
        genuine[..genuine.len() - 4].to_vec(),
        [&genuine[..], b"AAAA"].concat(),
        b"anything".to_vec(),
        vec![],
    ];
    for forged in forgeries {
        let mut alice = TestClient::new(ALICE);
        alice.nonce = if forged.is_empty() { b" ".to_vec() } else { forged };
        let answer = alice.try_allocate(&mut relay);
        assert_eq!(answer.code(), 438, "{}", alice.nonce.escape_ascii());
        alice.nonce = answer.get::<Nonce<'_>>().unwrap().0.to_vec();
        assert_eq!(alice.refresh(&mut relay, 600).code(), 437, "the fresh nonce is good");
    }
}

#[test]
fn a_nonce_serves_the_address_that_it_was_given_to() {
    let mut relay = Relay::new();
    let given = challenged(&mut relay).nonce;
    let mut elsewhere = TestClient::new("198.51.100.8:4000");
    elsewhere.nonce.clone_from(&given);
    assert_eq!(elsewhere.try_allocate(&mut relay).code(), 438);
    let mut from_another_port = TestClient::new("198.51.100.7:4001");
    from_another_port.nonce = given;
    assert_eq!(from_another_port.try_allocate(&mut relay).code(), 0);
}

#[test]
fn a_bad_password_is_told_before_an_old_nonce_of_ours() {
    let mut relay = Relay::new();
    let mut mallory = challenged(&mut relay).named("alice", "guessed");
    relay.wait(Duration::from_secs(601));
    assert_eq!(mallory.try_allocate(&mut relay).code(), 401);
}

#[test]
fn a_nonce_that_we_never_gave_is_told_before_anything_is_derived() {
    let mut relay = Relay::new();
    for (username, password) in [("alice", "guessed"), ("mallory", "x"), ("1900000000:mallory", "x")] {
        let mut mallory = TestClient::new(ALICE).named(username, password);
        mallory.nonce = b"obMatJos2AAADforged".to_vec();
        assert_eq!(mallory.try_allocate(&mut relay).code(), 438, "{username}");
    }
}

#[test]
fn an_answer_is_signed_as_its_request_was() {
    for (scheme, kind) in [(Scheme::Classic, IntegrityKind::Sha1), (Scheme::Sha256, IntegrityKind::Sha256)] {
        let mut relay = Relay::new();
        let mut alice = TestClient::new(ALICE).signing(scheme);
        for (answer, code) in [
            (alice.try_allocate(&mut relay), 0),
            (alice.try_allocate(&mut relay), 437),
            (alice.refresh(&mut relay, 600), 0),
            (alice.permit(&mut relay, crate::support::at("10.0.0.1:1")), 403),
        ] {
            assert_eq!((answer.code(), answer.message().integrity()), (code, Some(kind)));
            let verified = match scheme {
                Scheme::Classic => answer.message().verify_sha1(&alice.key()),
                Scheme::Sha256 => answer.message().verify_sha256(&alice.key()),
            };
            assert_eq!(verified, Ok(()));
        }
    }
}

#[test]
fn an_answer_to_who_proved_nothing_is_not_signed() {
    let mut relay = Relay::new();
    let mut alice = challenged(&mut relay);
    let bare = alice.bare(Method::ALLOCATE, |_| Ok(()));
    let mut mallory = TestClient::new(ALICE).named("alice", "guessed");
    let mut forger = TestClient::new(ALICE);
    forger.nonce = b"forged".to_vec();
    for (answer, code) in [
        (alice.exchange(&mut relay, &bare), 401),
        (allocate_with(&mut relay, &mut alice, &[]), 400),
        (mallory.try_allocate(&mut relay), 401),
        (forger.try_allocate(&mut relay), 438),
    ] {
        assert_eq!((answer.code(), answer.message().integrity()), (code, None));
    }
}

/// An Allocate whose MESSAGE-INTEGRITY-SHA256 has `length` bytes, by arithmetic of this test's own.
fn truncated_to(alice: &mut TestClient, length: usize) -> Vec<u8> {
    let mut request = alice.request(Method::ALLOCATE, |alice, writer| {
        writer.attribute(&RequestedTransport::UDP)?.attribute(&Username(&alice.username))?;
        writer.attribute(&Realm(REALM.as_bytes()))?.attribute(&Nonce(&alice.nonce))?;
        writer.attribute(&PasswordAlgorithms::SHA256_MD5)?;
        writer.attribute(&PasswordAlgorithm::Sha256).map(drop)
    });
    let stated = (request.len() - 20 + 4 + length.next_multiple_of(4)) as u16;
    request[2..4].copy_from_slice(&stated.to_be_bytes());
    let key = Sha256::digest(b"alice:example.org:wonderland");
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(&key).unwrap();
    mac.update(&request);
    let code = mac.finalize().into_bytes();
    request.extend_from_slice(&AttributeType::MESSAGE_INTEGRITY_SHA256.0.to_be_bytes());
    request.extend_from_slice(&(length as u16).to_be_bytes());
    request.extend_from_slice(&code[..length]);
    request.resize(20 + usize::from(stated), 0);
    request
}

#[test]
fn message_integrity_sha256_may_be_truncated_to_16_bytes_and_no_further() {
    for (length, code) in
        [(32, 0), (28, 0), (24, 0), (20, 0), (16, 0), (12, 401), (4, 401), (0, 401), (18, 401)]
    {
        let mut relay = Relay::new();
        let mut alice = challenged(&mut relay);
        let request = truncated_to(&mut alice, length);
        assert_eq!(alice.exchange(&mut relay, &request).code(), code, "{length} bytes");
    }
}

#[test]
fn of_both_integrities_the_stronger_one_decides_and_signs() {
    let wrong = Key::short_term(b"another key");
    let right = TestClient::new(ALICE).key();
    for (sha1, sha256, code) in [(&right, &right, 0), (&right, &wrong, 401), (&wrong, &right, 0)] {
        let mut relay = Relay::new();
        let mut alice = challenged(&mut relay);
        let request = alice.request(Method::ALLOCATE, |alice, writer| {
            writer.attribute(&RequestedTransport::UDP)?.attribute(&Username(&alice.username))?;
            writer.attribute(&Realm(REALM.as_bytes()))?.attribute(&Nonce(&alice.nonce))?;
            writer.integrity_sha1(sha1)?.integrity_sha256(sha256).map(drop)
        });
        let answer = alice.exchange(&mut relay, &request);
        assert_eq!(answer.code(), code);
        if code == 0 {
            assert_eq!(answer.message().integrity(), Some(IntegrityKind::Sha256));
            assert_eq!(answer.message().verify_sha256(&right), Ok(()));
        }
    }
}
