//! The test vectors of RFC 5769, and that of RFC 8489 appendix B.1 as its erratum puts it right.

use std::net::SocketAddr;

use stun::attribute::{Nonce, PasswordAlgorithm, Realm, Software, Userhash, Username, XorMappedAddress};
use stun::{
    AttributeType, Class, Fingerprint, IntegrityError, IntegrityKind, Key, Message, MessageWriter, Method,
    TransactionId, userhash,
};

const PASSWORD: &[u8] = b"VOkJxbRl1RmTxUk/WvJxBt";
const SHORT_TERM_ID: TransactionId =
    TransactionId::new([0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae]);
const LONG_TERM_ID: TransactionId =
    TransactionId::new([0x78, 0xad, 0x34, 0x33, 0xc6, 0xad, 0x72, 0xc0, 0x29, 0xda, 0x41, 0x2e]);
const MATRIX: &[u8] = "\u{30DE}\u{30C8}\u{30EA}\u{30C3}\u{30AF}\u{30B9}".as_bytes();

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u32> = hex.chars().filter_map(|digit| digit.to_digit(16)).collect();
    digits.chunks_exact(2).map(|pair| (pair[0] << 4 | pair[1]) as u8).collect()
}

/// Every single changed bit in front of the integrity attribute is noticed.
fn assert_covered(vector: &[u8], end: usize, verify: impl Fn(&Message<'_>) -> Result<(), IntegrityError>) {
    for bit in 0..end * 8 {
        let mut changed = vector.to_vec();
        changed[bit / 8] ^= 1 << (bit % 8);
        if let Ok(message) = Message::parse(&changed) {
            assert!(verify(&message).is_err(), "bit {bit} changed unnoticed");
        }
    }
}

/// RFC 5769 section 2.1. Its padding is spaces.
#[test]
fn sample_request() {
    let vector = bytes(
        "00010058 2112a442 b7e7a701bc34d686fa87dfae
         80220010 5354554e207465737420636c69656e74
         00240004 6e0001ff
         80290008 932ff9b151263b36
         00060009 6576746a3a68367659 202020
         00080014 9aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a2
         80280004 e57a3bcf",
    );
    let message = Message::parse(&vector).unwrap();
    let key = Key::short_term(PASSWORD);

    assert_eq!((message.class(), message.method()), (Class::Request, Method::BINDING));
    assert_eq!(message.transaction_id(), SHORT_TERM_ID);
    assert!(!message.is_classic());
    assert_eq!(message.get(), Ok(Some(Software(b"STUN test client"))));
    assert_eq!(message.get(), Ok(Some(Username(b"evtj:h6vY"))));
    assert_eq!(message.raw(AttributeType(0x0024)), Some(&[0x6e, 0x00, 0x01, 0xff][..]));
    assert_eq!(message.raw(AttributeType(0x8029)), Some(&bytes("932ff9b151263b36")[..]));
    assert_eq!(message.attributes().count(), 6);
    assert_eq!(message.integrity(), Some(IntegrityKind::Sha1));
    assert_eq!(message.verify_sha1(&key), Ok(()));
    assert_eq!(message.fingerprint(), Fingerprint::Valid);
    assert_covered(&vector, 76, |message| message.verify_sha1(&key));
}

/// RFC 5769 section 2.2.
#[test]
fn sample_ipv4_response() {
    let vector = bytes(
        "0101003c 2112a442 b7e7a701bc34d686fa87dfae
         8022000b 7465737420766563746f72 20
         00200008 0001a147e112a643
         00080014 2b91f599fd9e90c38c7489f92af9ba53f06be7d7
         80280004 c07d4c96",
    );
    let message = Message::parse(&vector).unwrap();
    let key = Key::short_term(PASSWORD);

    assert_eq!((message.class(), message.method()), (Class::Success, Method::BINDING));
    assert_eq!(message.transaction_id(), SHORT_TERM_ID);
    assert_eq!(message.get(), Ok(Some(Software(b"test vector"))));
    let mapped: SocketAddr = "192.0.2.1:32853".parse().unwrap();
    assert_eq!(message.get(), Ok(Some(XorMappedAddress(mapped))));
    assert_eq!(message.verify_sha1(&key), Ok(()));
    assert_eq!(message.fingerprint(), Fingerprint::Valid);
    assert_covered(&vector, 48, |message| message.verify_sha1(&key));
}

/// RFC 5769 section 2.3.
#[test]
fn sample_ipv6_response() {
    let vector = bytes(
        "01010048 2112a442 b7e7a701bc34d686fa87dfae
         8022000b 7465737420766563746f72 20
         00200014 0002a147 0113a9faa5d3f179bc25f4b5bed2b9d9
         00080014 a382954e4be67bf11784c97c8292c275bfe3ed41
         80280004 c8fb0b4c",
    );
    let message = Message::parse(&vector).unwrap();
    let key = Key::short_term(PASSWORD);

    let mapped: SocketAddr = "[2001:db8:1234:5678:11:2233:4455:6677]:32853".parse().unwrap();
    assert_eq!(message.get(), Ok(Some(XorMappedAddress(mapped))));
    assert_eq!(message.verify_sha1(&key), Ok(()));
    assert_eq!(message.fingerprint(), Fingerprint::Valid);
    assert_covered(&vector, 60, |message| message.verify_sha1(&key));
}

/// RFC 5769 section 2.4: padded with zeros, so written again byte for byte.
#[test]
fn sample_request_with_long_term_authentication() {
    let vector = bytes(
        "00010060 2112a442 78ad3433c6ad72c029da412e
         00060012 e3839ee38388e383aae38383e382afe382b9 0000
         0015001c 662f2f3439396b39353464364f4c33346f4c39465354767936347341
         0014000b 6578616d706c652e6f7267 00
         00080014 f67024656dd64a3e02b8e0712e85c9a28ca89666",
    );
    let message = Message::parse(&vector).unwrap();
    let key = Key::long_term_md5(MATRIX, b"example.org", b"TheMatrIX");
    let nonce = Nonce(b"f//499k954d6OL34oL9FSTvy64sA");

    assert_eq!(message.transaction_id(), LONG_TERM_ID);
    assert_eq!(message.get(), Ok(Some(Username(MATRIX))));
    assert_eq!(message.get(), Ok(Some(nonce)));
    assert_eq!(message.get(), Ok(Some(Realm(b"example.org"))));
    assert_eq!(message.verify_sha1(&key), Ok(()));
    assert_eq!(message.fingerprint(), Fingerprint::Absent);
    assert_covered(&vector, 92, |message| message.verify_sha1(&key));

    let mut buffer = [0xEE; 128];
    let mut writer = MessageWriter::new(&mut buffer, Class::Request, Method::BINDING, LONG_TERM_ID).unwrap();
    writer.attribute(&Username(MATRIX)).unwrap();
    writer.attribute(&nonce).unwrap();
    writer.attribute(&Realm(b"example.org")).unwrap();
    writer.integrity_sha1(&key).unwrap();
    let length = writer.finish();
    assert_eq!(buffer[..length], vector);
}

/// RFC 8489 appendix B.1. The RFC's own listing lacks PASSWORD-ALGORITHM and its code does not fit
/// it; the erratum has both.
#[test]
fn sample_request_with_sha256_and_userhash() {
    let vector = bytes(
        "00010090 2112a442 78ad3433c6ad72c029da412e
         001e0020 4a3cf38fef6992bda952c6780417da0f24819415569e60b205c46e41407f1704
         00150029 6f624d61744a6f733241414143662f2f3439396b39353464364f4c33346f4c39465354767936347341
         000000
         0014000b 6578616d706c652e6f7267 00
         001d0004 00020000
         001c0020 b5c7bf005b6c52a21c51c5e892f81924136296cb927c43149309278cc6518e65",
    );
    let message = Message::parse(&vector).unwrap();
    let key = Key::long_term_sha256(MATRIX, b"example.org", b"TheMatrIX");
    let hash = Userhash(userhash(MATRIX, b"example.org"));
    let nonce = Nonce(b"obMatJos2AAACf//499k954d6OL34oL9FSTvy64sA");

    assert_eq!(message.get(), Ok(Some(hash)));
    assert_eq!(message.get(), Ok(Some(nonce)));
    assert_eq!(message.get(), Ok(Some(PasswordAlgorithm::Sha256)));
    assert_eq!(message.integrity(), Some(IntegrityKind::Sha256));
    assert_eq!(message.verify_sha256(&key), Ok(()));
    assert_covered(&vector, 128, |message| message.verify_sha256(&key));

    let mut buffer = [0xEE; 192];
    let mut writer = MessageWriter::new(&mut buffer, Class::Request, Method::BINDING, LONG_TERM_ID).unwrap();
    writer.attribute(&hash).unwrap();
    writer.attribute(&nonce).unwrap();
    writer.attribute(&Realm(b"example.org")).unwrap();
    writer.attribute(&PasswordAlgorithm::Sha256).unwrap();
    writer.integrity_sha256(&key).unwrap();
    let length = writer.finish();
    assert_eq!(buffer[..length], vector);
}
