//! MESSAGE-INTEGRITY, MESSAGE-INTEGRITY-SHA256 and FINGERPRINT where the vectors do not reach.

use crate::wire::request;
use stun::attribute::{Lifetime, Realm, Software, Username};
use stun::{AttributeType, Fingerprint, IntegrityError, IntegrityKind, Key, Message};

fn key() -> Key {
    Key::long_term_md5(b"alice", b"example.org", b"secret")
}

#[test]
fn a_message_without_integrity_is_told_so() {
    let bytes = request(|writer| writer.attribute(&Lifetime(600)).map(drop));
    let message = Message::parse(&bytes).unwrap();
    assert_eq!(message.integrity(), None);
    assert_eq!(message.verify_sha1(&key()), Err(IntegrityError::Missing));
    assert_eq!(message.verify_sha256(&key()), Err(IntegrityError::Missing));
    assert_eq!(message.fingerprint(), Fingerprint::Absent);
}

#[test]
fn another_key_does_not_verify() {
    let bytes = request(|writer| writer.integrity_sha1(&key())?.integrity_sha256(&key()).map(drop));
    let message = Message::parse(&bytes).unwrap();
    assert_eq!(message.integrity(), Some(IntegrityKind::Both));
    assert_eq!((message.verify_sha1(&key()), message.verify_sha256(&key())), (Ok(()), Ok(())));
    for other in [
        Key::long_term_md5(b"alice", b"example.org", b"other"),
        Key::long_term_md5(b"bob", b"example.org", b"secret"),
        Key::long_term_md5(b"alice", b"example.com", b"secret"),
        Key::long_term_sha256(b"alice", b"example.org", b"secret"),
        Key::short_term(b"secret"),
        Key::short_term(b""),
    ] {
        assert_eq!(message.verify_sha1(&other), Err(IntegrityError::Mismatch));
        assert_eq!(message.verify_sha256(&other), Err(IntegrityError::Mismatch));
    }
}

/// RFC 8489 section 14.6: 16 to 32 bytes, a multiple of four; the header's length counts the truncated
/// attribute.
#[test]
fn a_truncated_sha256_code_verifies_from_16_bytes_on() {
    use hmac::{KeyInit, Mac};

    for length in 0_u16..=36 {
        let mut covered = request(|writer| writer.attribute(&Username(b"alice")).map(drop));
        let padded = length.next_multiple_of(4);
        let stated = covered.len() as u16 - 20 + 4 + padded;
        covered[2..4].copy_from_slice(&stated.to_be_bytes());
        let mut mac = hmac::Hmac::<sha2::Sha256>::new_from_slice(b"short-term password").unwrap();
        mac.update(&covered);
        let mut code = mac.finalize().into_bytes().to_vec();
        code.resize(usize::from(length), 0);

        let bytes = request(|writer| {
            writer.attribute(&Username(b"alice"))?;
            writer.raw(AttributeType::MESSAGE_INTEGRITY_SHA256, &code).map(drop)
        });
        let message = Message::parse(&bytes).unwrap();
        let allowed = (16..=32).contains(&length) && length % 4 == 0;
        let expected = if allowed { Ok(()) } else { Err(IntegrityError::BadLength) };
        let key = Key::short_term(b"short-term password");
        assert_eq!(message.verify_sha256(&key), expected, "{length} bytes");
        if allowed {
            let other = Key::short_term(b"another password");
            assert_eq!(message.verify_sha256(&other), Err(IntegrityError::Mismatch));
        }
    }
}

#[test]
fn a_sha1_code_of_another_length_is_refused() {
    for length in [0, 4, 16, 19, 21, 24] {
        let bytes =
            request(|writer| writer.raw(AttributeType::MESSAGE_INTEGRITY, &vec![0; length]).map(drop));
        let message = Message::parse(&bytes).unwrap();
        assert_eq!(message.verify_sha1(&key()), Err(IntegrityError::BadLength));
    }
}

/// RFC 2104: a key longer than a block stands for its digest, which differs between the two hashes.
#[test]
fn short_term_passwords_of_any_length_are_keys() {
    use hmac::{KeyInit, Mac};

    for length in [0, 1, 63, 64, 65, 200, 763] {
        let password: Vec<u8> = (0..length).map(|index| index as u8).collect();
        let key = Key::short_term(&password);
        let bytes = request(|writer| writer.integrity_sha1(&key)?.integrity_sha256(&key).map(drop));
        let message = Message::parse(&bytes).unwrap();

        let mut mac = hmac::Hmac::<sha1::Sha1>::new_from_slice(&password).unwrap();
        mac.update(&[&bytes[..2], &[0, 24], &bytes[4..20]].concat());
        let expected = mac.finalize().into_bytes();
        assert_eq!(message.raw(AttributeType::MESSAGE_INTEGRITY), Some(&expected[..]));
        let mut mac = hmac::Hmac::<sha2::Sha256>::new_from_slice(&password).unwrap();
        mac.update(&bytes[..44]);
        let expected = mac.finalize().into_bytes();
        assert_eq!(message.raw(AttributeType::MESSAGE_INTEGRITY_SHA256), Some(&expected[..]));
        assert_eq!((message.verify_sha1(&key), message.verify_sha256(&key)), (Ok(()), Ok(())));
    }
}

/// RFC 8489 section 14.5.
#[test]
fn only_sha256_and_fingerprint_count_behind_message_integrity() {
    let bytes = request(|writer| {
        writer.attribute(&Username(b"alice"))?.integrity_sha1(&key())?;
        writer.attribute(&Username(b"mallory"))?.attribute(&Lifetime(1))?;
        writer.raw(AttributeType(0x7777), b"required")?;
        writer.raw(AttributeType::MESSAGE_INTEGRITY, &[0; 20])?;
        writer.integrity_sha256(&key())?.attribute(&Realm(b"evil"))?;
        writer.fingerprint().map(drop)
    });
    let message = Message::parse(&bytes).unwrap();
    let kinds: Vec<AttributeType> = message.attributes().map(|attribute| attribute.kind).collect();
    let counted = [
        AttributeType::USERNAME,
        AttributeType::MESSAGE_INTEGRITY,
        AttributeType::MESSAGE_INTEGRITY_SHA256,
        AttributeType::FINGERPRINT,
    ];
    assert_eq!(kinds, counted);
    assert_eq!(message.all::<Username<'_>>().collect::<Vec<_>>(), [Ok(Username(b"alice"))]);
    assert_eq!(message.get::<Lifetime>(), Ok(None));
    assert!(!message.has(AttributeType::REALM));
    assert!(message.unknown_required(&[AttributeType::USERNAME]).is_empty());
    assert_eq!((message.verify_sha1(&key()), message.verify_sha256(&key())), (Ok(()), Ok(())));
    assert_eq!(message.fingerprint(), Fingerprint::Valid);
}

/// RFC 8489 section 14.6: a MESSAGE-INTEGRITY behind does not count either.
#[test]
fn only_fingerprint_counts_behind_message_integrity_sha256() {
    let bytes = request(|writer| {
        writer.integrity_sha256(&key())?.integrity_sha1(&key())?;
        writer.attribute(&Software(b"late"))?.fingerprint().map(drop)
    });
    let message = Message::parse(&bytes).unwrap();
    assert_eq!(message.integrity(), Some(IntegrityKind::Sha256));
    assert_eq!(message.verify_sha1(&key()), Err(IntegrityError::Missing));
    assert_eq!(message.verify_sha256(&key()), Ok(()));
    assert!(!message.has(AttributeType::SOFTWARE));
    assert_eq!(message.fingerprint(), Fingerprint::Valid);
}

/// The integrity code covers what is in front of it, so that a FINGERPRINT can be added later.
#[test]
fn a_fingerprint_does_not_disturb_the_integrity_in_front_of_it() {
    let bytes = request(|writer| {
        writer.attribute(&Username(b"alice"))?.integrity_sha1(&key())?.fingerprint().map(drop)
    });
    let message = Message::parse(&bytes).unwrap();
    assert_eq!(message.verify_sha1(&key()), Ok(()));
    assert_eq!(message.fingerprint(), Fingerprint::Valid);
}

#[test]
fn a_fingerprint_is_invalid_when_wrong_misshapen_or_not_last() {
    let right = request(|writer| writer.attribute(&Lifetime(600))?.fingerprint().map(drop));
    assert_eq!(Message::parse(&right).unwrap().fingerprint(), Fingerprint::Valid);
    for index in [0, 1, 9, 27, 32, 35] {
        let mut wrong = right.clone();
        wrong[index] ^= 0x01;
        assert_eq!(Message::parse(&wrong).unwrap().fingerprint(), Fingerprint::Invalid, "byte {index}");
    }
    for misshapen in [&[][..], &[0; 3], &[0; 8]] {
        let bytes = request(|writer| writer.raw(AttributeType::FINGERPRINT, misshapen).map(drop));
        assert_eq!(Message::parse(&bytes).unwrap().fingerprint(), Fingerprint::Invalid);
    }
    let not_last = request(|writer| writer.fingerprint()?.attribute(&Lifetime(600)).map(drop));
    assert_eq!(Message::parse(&not_last).unwrap().fingerprint(), Fingerprint::Invalid);
    let twice = request(|writer| writer.fingerprint()?.fingerprint().map(drop));
    assert_eq!(Message::parse(&twice).unwrap().fingerprint(), Fingerprint::Invalid);
}

#[test]
fn keys_are_compared_but_never_shown() {
    assert_eq!(key(), key().clone());
    assert_ne!(key(), Key::long_term_md5(b"alice", b"example.org", b"Secret"));
    assert_ne!(Key::short_term(&[7; 65]), Key::short_term(&[7; 66]));
    assert_eq!(format!("{:?}", key()), "Key(..)");
    assert_eq!(format!("{:?}", Key::short_term(&[b'x'; 100])), "Key(..)");
}

#[test]
fn a_key_that_was_kept_as_bytes_is_the_same_key() {
    for derive in [Key::long_term_md5, Key::long_term_sha256] {
        let key = derive(b"alice", b"example.org", b"secret");
        assert_eq!(Key::from_exposed(key.expose().unwrap()), key);
    }
    for longer in [33, 64, 65] {
        assert_eq!(Key::short_term(&vec![7; longer]).expose(), None);
    }
}
