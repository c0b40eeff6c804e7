//! The codec beside `stun-types` and `turn-types`, which others wrote.
//!
//! Both write the same bytes for the same attributes and read the same from them. On bytes that were
//! tampered with they agree on what is a message, but for these differences, all on purpose:
//!
//! * They want the magic cookie; we take RFC 3489 messages too and say so.
//! * They refuse a message with a wrong FINGERPRINT; we take it and say so, so that the server decides.
//! * We want the header's length to be that of the packet and a multiple of four; they do not.
//! * They stop looking at the lengths of attributes behind MESSAGE-INTEGRITY and FINGERPRINT; we look at all.
//! * They take text only as UTF-8, and a USERNAME of up to 513 bytes; for us names are bytes, and a USERNAME
//!   has up to 508 as RFC 8489 says.
//! * They give the ICMP type 8 bits and the code 8; we give them 7 and 9 as RFC 8656 section 18.13 does.
//! * They take channel numbers up to 0xFFFE; we up to 0x4FFF as RFC 8656 does.
//! * They refuse address families that do not exist; we hand them on, for a server to answer 440.

mod part;

use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use stun::attribute::*;
use stun::{AttributeType, Class, Fingerprint, Key, Message, MessageWriter, Method, TransactionId};
use stun_types::attribute::{self as theirs, Attribute as _};
use stun_types::message as their;
use stun_types::prelude::{MessageWrite, MessageWriteExt};
use turn_types::attribute as turn;

use part::{Part, part};

type Theirs<'a> = their::Message<'a>;

/// What closes a message.
#[derive(Clone, Copy, Debug)]
struct Closing {
    sha1: bool,
    sha256: bool,
    fingerprint: bool,
}

fn closing() -> impl Strategy<Value = Closing> {
    any::<[bool; 3]>().prop_map(|[sha1, sha256, fingerprint]| Closing { sha1, sha256, fingerprint })
}

const CLASSES: [(Class, their::MessageClass); 4] = [
    (Class::Request, their::MessageClass::Request),
    (Class::Indication, their::MessageClass::Indication),
    (Class::Success, their::MessageClass::Success),
    (Class::Error, their::MessageClass::Error),
];

fn credentials() -> their::MessageIntegrityCredentials {
    their::ShortTermCredentials::new("password".to_owned()).into()
}

fn write_ours(class: usize, method: u16, id: [u8; 12], parts: &[Part], closing: Closing) -> Vec<u8> {
    let key = Key::short_term(b"password");
    let mut buffer = vec![0xEE; 8192];
    let method = Method::new(method).unwrap();
    let mut writer =
        MessageWriter::new(&mut buffer, CLASSES[class].0, method, TransactionId::new(id)).unwrap();
    for part in parts {
        part.write(&mut writer);
    }
    if closing.sha1 {
        writer.integrity_sha1(&key).unwrap();
    }
    if closing.sha256 {
        writer.integrity_sha256(&key).unwrap();
    }
    if closing.fingerprint {
        writer.fingerprint().unwrap();
    }
    let length = writer.finish();
    buffer.truncate(length);
    buffer
}

fn write_theirs(class: usize, method: u16, id: [u8; 12], parts: &[Part], closing: Closing) -> Vec<u8> {
    let [a, b, c, d, e, f, g, h, i, j, k, l] = id;
    let id = u128::from_be_bytes([0, 0, 0, 0, a, b, c, d, e, f, g, h, i, j, k, l]).into();
    let kind = their::MessageType::from_class_method(CLASSES[class].1, their::Method::new(method));
    let mut writer = Theirs::builder(kind, id, their::MessageWriteVec::new());
    for part in parts {
        part.write_theirs(&mut writer, id);
    }
    if closing.sha1 {
        writer.add_message_integrity(&credentials(), their::IntegrityAlgorithm::Sha1).unwrap();
    }
    if closing.sha256 {
        writer.add_message_integrity(&credentials(), their::IntegrityAlgorithm::Sha256).unwrap();
    }
    if closing.fingerprint {
        writer.add_fingerprint().unwrap();
    }
    writer.finish()
}

/// Whether both see the same attributes, in the same order.
fn assert_same_attributes(ours: &Message<'_>, theirs: &Theirs<'_>) {
    let ours: Vec<(u16, &[u8])> =
        ours.attributes().map(|attribute| (attribute.kind.0, attribute.value)).collect();
    let theirs: Vec<_> = theirs.iter_attributes().map(|(_, attribute)| attribute).collect();
    let theirs: Vec<(u16, &[u8])> =
        theirs.iter().map(|attribute| (attribute.get_type().value(), &*attribute.value)).collect();
    assert_eq!(ours, theirs);
}

/// Whether a typed attribute is read by both or by neither.
fn assert_same_reading(ours: &Message<'_>, theirs: &Theirs<'_>) {
    macro_rules! same {
        ($($ours:ty = $theirs:ty, $get:expr, $their_get:expr;)*) => {
            $(
                let from_us = ours.get::<$ours>().ok().flatten().map($get);
                let from_them = theirs.attribute::<$theirs>().ok().map($their_get);
                assert_eq!(from_us, from_them, stringify!($ours));
            )*
        };
    }
    let id = theirs.transaction_id();
    same! {
        XorMappedAddress = theirs::XorMappedAddress, |ours| ours.0, |theirs| theirs.addr(id);
        AlternateServer = theirs::AlternateServer, |ours| ours.0, |theirs| theirs.server();
        XorPeerAddress = turn::XorPeerAddress, |ours| ours.0, |theirs| theirs.addr(id);
        XorRelayedAddress = turn::XorRelayedAddress, |ours| ours.0, |theirs| theirs.addr(id);
        Userhash = theirs::Userhash, |ours| ours.0, |theirs| *theirs.hash();
        ErrorCode<'_> = theirs::ErrorCode,
            |ours| (ours.code, ours.reason.to_owned()),
            |theirs| (theirs.code(), theirs.reason().to_owned());
        Lifetime = turn::Lifetime, |ours| ours.0, |theirs| theirs.seconds();
        Data<'_> = turn::Data<'_>, |ours| ours.0.to_vec(), |theirs| theirs.data().to_vec();
        EvenPort = turn::EvenPort, |ours| ours.reserve_next, |theirs| theirs.requested();
        RequestedTransport = turn::RequestedTransport, |ours| ours.0, |theirs| theirs.protocol();
        DontFragment = turn::DontFragment, drop, drop;
        ReservationToken = turn::ReservationToken, |ours| u64::from_be_bytes(ours.0), |theirs| theirs.token();
    }
}

/// Whether an attribute lies behind one that closes a message, where they stop looking.
fn goes_on_behind_its_close(bytes: &[u8]) -> bool {
    let mut rest = bytes.get(20..).unwrap_or_default();
    let mut closed = 0;
    while let [a, b, c, d, after @ ..] = rest {
        let kind = AttributeType(u16::from_be_bytes([*a, *b]));
        let closes = [
            AttributeType::MESSAGE_INTEGRITY,
            AttributeType::MESSAGE_INTEGRITY_SHA256,
            AttributeType::FINGERPRINT,
        ];
        match closes.iter().position(|close| *close == kind) {
            Some(position) if position >= closed => closed = position + 1,
            _ if closed > 0 => return true,
            _ => {}
        }
        let length = usize::from(u16::from_be_bytes([*c, *d])).next_multiple_of(4);
        rest = after.get(length..).unwrap_or_default();
    }
    false
}

fn assert_agreement(bytes: &[u8]) {
    let ours = Message::parse(bytes);
    let theirs = Theirs::from_bytes(bytes);
    if goes_on_behind_its_close(bytes) {
        return;
    }
    match (ours, theirs) {
        (Ok(ours), Ok(theirs)) => {
            assert!(!ours.is_classic());
            assert_ne!(ours.fingerprint(), Fingerprint::Invalid);
            assert_eq!(ours.method().code(), theirs.method().value());
            assert_same_attributes(&ours, &theirs);
            assert_same_reading(&ours, &theirs);
        }
        (Ok(ours), Err(error)) => {
            let refused = ours.is_classic() || ours.fingerprint() == Fingerprint::Invalid;
            assert!(refused, "{error} in {bytes:02x?}");
        }
        (Err(_), Ok(_)) => {
            let stated = usize::from(u16::from_be_bytes([bytes[2], bytes[3]]));
            assert!(stated + 20 != bytes.len() || stated % 4 != 0, "only we refuse {bytes:02x?}");
        }
        (Err(_), Err(_)) => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, rng_seed: RngSeed::Fixed(1), ..ProptestConfig::default() })]

    /// Byte for byte, integrity and FINGERPRINT included.
    #[test]
    fn both_write_the_same_messages_and_read_each_others(
        class in 0_usize..4,
        method in 0_u16..0x1000,
        id in any::<[u8; 12]>(),
        parts in prop::collection::vec(part(), 0..8),
        closing in closing(),
    ) {
        let bytes = write_ours(class, method, id, &parts, closing);
        prop_assert_eq!(&bytes, &write_theirs(class, method, id, &parts, closing));

        let ours = Message::parse(&bytes).unwrap();
        let theirs = Theirs::from_bytes(&bytes).unwrap();
        prop_assert_eq!(ours.class(), CLASSES[class].0);
        prop_assert!(theirs.has_class(CLASSES[class].1));
        assert_same_attributes(&ours, &theirs);
        assert_same_reading(&ours, &theirs);
        let key = Key::short_term(b"password");
        prop_assert_eq!(ours.verify_sha1(&key).is_ok(), closing.sha1);
        prop_assert_eq!(ours.verify_sha256(&key).is_ok(), closing.sha256);
        prop_assert_eq!(theirs.validate_integrity(&credentials()).is_ok(), closing.sha1 || closing.sha256);
        prop_assert_eq!(ours.fingerprint() == Fingerprint::Valid, closing.fingerprint);
    }

    #[test]
    fn both_agree_on_tampered_messages(
        parts in prop::collection::vec(part(), 0..6),
        closing in closing(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut bytes = write_ours(0, 1, [5; 12], &parts, closing);
        for (index, value) in &changes {
            let index = index.index(bytes.len());
            bytes[index] = *value;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        assert_agreement(&bytes);
    }

    #[test]
    fn both_agree_on_any_attributes(
        id in any::<[u8; 12]>(),
        mut body in prop::collection::vec(prop_oneof![2 => Just(0_u8), 1 => 0_u8..40, 1 => any::<u8>()], 0..80),
    ) {
        body.truncate(body.len() / 4 * 4);
        let mut bytes = write_ours(0, 1, id, &[], Closing { sha1: false, sha256: false, fingerprint: false });
        bytes[3] = body.len() as u8;
        bytes.extend_from_slice(&body);
        assert_agreement(&bytes);
    }

    #[test]
    fn both_agree_on_channel_data(bytes in prop::collection::vec(any::<u8>(), 0..40), head in 0x3F_u8..0x52, length in 0_u8..40) {
        let mut bytes = bytes;
        if let [first, _, high, low, ..] = bytes.as_mut_slice() {
            (*first, *high, *low) = (head, 0, length);
        }
        let ours = stun::ChannelData::parse(&bytes).ok();
        let theirs = turn_types::channel::ChannelData::parse(&bytes).ok().filter(|theirs| theirs.id() <= 0x4FFF);
        prop_assert_eq!(
            ours.map(|ours| (ours.channel.get(), ours.payload)),
            theirs.as_ref().map(|theirs| (theirs.id(), theirs.data()))
        );
    }
}

/// The two long-term keys and USERHASH, through what they sign and say.
#[test]
fn both_derive_the_same_keys() {
    let long_term = their::LongTermKeyCredentials::new(
        "1700000000:älice".to_owned(),
        "päss:word".to_owned(),
        "example.org".to_owned(),
    );
    let (user, realm, password) =
        ("1700000000:älice".as_bytes(), &b"example.org"[..], "päss:word".as_bytes());
    for (algorithm, key) in [
        (their::IntegrityAlgorithm::Sha1, Key::long_term_md5(user, realm, password)),
        (their::IntegrityAlgorithm::Sha256, Key::long_term_sha256(user, realm, password)),
    ] {
        let mut writer = Theirs::builder_request(their::BINDING, their::MessageWriteVec::new());
        writer.add_message_integrity(&long_term.clone().into(), algorithm).unwrap();
        let bytes = writer.finish();
        let message = Message::parse(&bytes).unwrap();
        let verified = match algorithm {
            their::IntegrityAlgorithm::Sha1 => message.verify_sha1(&key),
            their::IntegrityAlgorithm::Sha256 => message.verify_sha256(&key),
        };
        assert_eq!(verified, Ok(()));
    }
    let hash = theirs::Userhash::compute("1700000000:älice", "example.org");
    assert_eq!(stun::userhash(user, realm), hash);
}
