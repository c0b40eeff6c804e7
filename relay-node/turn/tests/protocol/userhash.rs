//! USERHASH: a client that does not say its name in the clear (RFC 8489 section 14.4).

use crate::support::{REALM, Relay, Scheme, TestClient, allocated, settings};
use stun::attribute::{Nonce, Realm, RequestedTransport};
use stun::{AttributeType, Method};

fn anonymous(scheme: Scheme) -> TestClient {
    let mut alice = TestClient::new("198.51.100.7:4000").signing(scheme);
    alice.anonymous = true;
    alice
}

#[test]
fn stands_for_the_name() {
    for scheme in [Scheme::Classic, Scheme::Sha256] {
        let mut relay = Relay::new();
        let mut alice = anonymous(scheme);
        alice.allocate(&mut relay);
        assert_eq!(alice.refresh(&mut relay, 600).code(), 0);
    }
}

#[test]
fn of_nobody_is_challenged() {
    let mut relay = Relay::new();
    let mut nobody = anonymous(Scheme::Sha256).named("nobody", "wonderland");
    assert_eq!(nobody.try_allocate(&mut relay).code(), 401);
}

#[test]
fn of_the_wrong_length_is_a_bad_request() {
    for length in [0, 20, 31, 33] {
        let mut relay = Relay::new();
        let mut alice = anonymous(Scheme::Classic);
        alice.learn_nonce(&mut relay);
        let request = alice.request(Method::ALLOCATE, |alice, writer| {
            writer.attribute(&RequestedTransport::UDP)?.raw(AttributeType::USERHASH, &[7; 64][..length])?;
            writer.attribute(&Realm(REALM.as_bytes()))?.attribute(&Nonce(&alice.nonce))?;
            writer.integrity_sha1(&alice.key()).map(drop)
        });
        assert_eq!(alice.exchange(&mut relay, &request).code(), 400, "{length} bytes");
    }
}

#[test]
fn name_and_hash_of_one_user_own_the_same_allocation() {
    let (mut relay, mut alice, _) = allocated();
    alice.anonymous = true;
    assert_eq!(alice.refresh(&mut relay, 600).code(), 0);
    let mut bob = alice.named("bob", "builder");
    assert_eq!(bob.refresh(&mut relay, 600).code(), 441);
}

#[test]
fn is_invited_only_where_every_user_can_be_told_from_it() {
    for (anonymity, features) in [(true, b"AAAD"), (false, b"AAAB")] {
        let mut settings = settings();
        settings.nonces = turn::Nonces::new(vec![[7; 32]], 600, anonymity);
        let mut alice = TestClient::new("198.51.100.7:4000");
        alice.learn_nonce(&mut Relay::with(settings));
        assert_eq!(&alice.nonce[9..13], features);
    }
    assert!(crate::support::credentials(&[]).knows_all_names());
    assert!(!crate::support::credentials(&[crate::support::SECRET]).knows_all_names());
}
