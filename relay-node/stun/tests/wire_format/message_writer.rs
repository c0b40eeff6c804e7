//! Writing into a buffer that may be too small, and for clients that may be old.

use crate::wire::{ID, request};
use stun::attribute::{
    AlternateServer, ChangedAddress, Data, ErrorCode, Lifetime, MappedAddress, SourceAddress, Username,
};
use stun::{
    AttributeType, BufferFull, Class, HEADER_LEN, Key, MAGIC_COOKIE, Message, MessageWriter, Method,
    TransactionId,
};

fn fill(writer: &mut MessageWriter<'_>) -> Result<(), BufferFull> {
    writer.attribute(&Username(b"alice"))?.attribute(&AlternateServer("[::1]:3478".parse().unwrap()))?;
    writer.integrity_sha1(&Key::short_term(b"secret"))?.integrity_sha256(&Key::short_term(b"secret"))?;
    writer.fingerprint().map(drop)
}

#[test]
fn a_buffer_of_any_length_is_enough_or_full_but_never_overrun() {
    let whole = request(fill);
    for length in 0..whole.len() + 8 {
        let mut buffer = vec![0xEE; length];
        let full = length < whole.len();
        let Ok(mut writer) = MessageWriter::new(&mut buffer, Class::Request, Method::BINDING, ID) else {
            assert!(length < HEADER_LEN);
            continue;
        };
        assert_eq!(fill(&mut writer), if full { Err(BufferFull) } else { Ok(()) }, "{length} bytes");
        let written = writer.finish();
        Message::parse(&buffer[..written]).unwrap();
        if !full {
            assert_eq!(buffer[..written], whole);
            assert!(buffer[written..].iter().all(|byte| *byte == 0xEE), "behind the message");
        }
    }
}

#[test]
fn a_step_that_fails_leaves_the_message_as_it_was() {
    let mut buffer = [0; 40];
    let mut writer = MessageWriter::new(&mut buffer, Class::Request, Method::REFRESH, ID).unwrap();
    writer.attribute(&Lifetime(600)).unwrap();
    assert_eq!(writer.attribute(&Data(&[1; 100])).err(), Some(BufferFull));
    assert_eq!(writer.integrity_sha1(&Key::short_term(b"secret")).err(), Some(BufferFull));
    assert_eq!(writer.raw(AttributeType(0x8888), &[2; 9]).err(), Some(BufferFull));
    let length = writer.finish();
    let message = Message::parse(&buffer[..length]).unwrap();
    assert_eq!(message.attributes().count(), 1);
    assert_eq!(message.get(), Ok(Some(Lifetime(600))));
}

/// The header's length field has 16 bits.
#[test]
fn a_message_ends_at_65532_bytes_of_attributes() {
    let mut buffer = vec![0; 80_000];
    let mut writer = MessageWriter::new(&mut buffer, Class::Request, Method::BINDING, ID).unwrap();
    assert_eq!(writer.attribute(&Data(&vec![1; 65_529])).err(), Some(BufferFull));
    assert_eq!(writer.attribute(&Data(&vec![1; 70_000])).err(), Some(BufferFull));
    writer.attribute(&Data(&vec![1; 65_528])).unwrap();
    assert_eq!(writer.raw(AttributeType(0x8888), b"").err(), Some(BufferFull));
    let length = writer.finish();
    Message::parse(&buffer[..length]).unwrap();
}

/// RFC 8489 section 14: padding is zeros, whatever the buffer held.
#[test]
fn padding_is_zeros() {
    let bytes = request(|writer| writer.attribute(&Username(b"12345")).map(drop));
    assert_eq!(bytes[20..], *b"\x00\x06\x00\x0512345\0\0\0");
}

/// RFC 3489: no magic cookie but 128 bits of transaction, and values that need no padding.
#[test]
fn a_classic_answer_repeats_the_whole_transaction() {
    let mut bytes = request(|writer| writer.raw(AttributeType(0x7001), &[0; 4]).map(drop));
    bytes[4..8].copy_from_slice(b"old!");
    let classic = Message::parse(&bytes).unwrap();
    assert!(classic.is_classic());
    let unknown = classic.unknown_required(&[]);

    let mut buffer = [0; 256];
    let (cookie, id) = (classic.classic_cookie(), classic.transaction_id());
    let mut writer = MessageWriter::classic(&mut buffer, Class::Error, Method::BINDING, cookie, id).unwrap();
    writer.attribute(&ErrorCode { code: 420, reason: "Unknown attribute" }).unwrap();
    writer.attribute(&unknown).unwrap();
    let length = writer.finish();
    assert_eq!(buffer[..4], [0x01, 0x11, 0x00, length as u8 - 20]);
    assert_eq!(buffer[4..20], bytes[4..20]);
    assert_eq!(buffer[20..48], *b"\x00\x09\x00\x18\x00\x00\x04\x14Unknown attribute   ");
    assert_eq!(buffer[48..length], *b"\x00\x0A\x00\x04\x70\x01\x70\x01");
}

#[test]
fn a_classic_success_has_plain_addresses() {
    let mut buffer = [0; 64];
    let mut writer =
        MessageWriter::classic(&mut buffer, Class::Success, Method::BINDING, *b"abcd", ID).unwrap();
    writer.attribute(&MappedAddress("192.0.2.1:4660".parse().unwrap())).unwrap();
    writer.attribute(&SourceAddress("192.0.2.2:3478".parse().unwrap())).unwrap();
    writer.attribute(&ChangedAddress("192.0.2.2:3478".parse().unwrap())).unwrap();
    let length = writer.finish();
    assert_eq!(length, 56);
    assert_eq!(buffer[20..32], [0, 1, 0, 8, 0, 1, 0x12, 0x34, 192, 0, 2, 1]);
    let message = Message::parse(&buffer[..length]).unwrap();
    assert!(message.is_classic());
    assert_eq!(message.classic_cookie(), *b"abcd");
}

#[test]
fn a_message_with_the_magic_cookie_is_not_classic() {
    let bytes = request(|_| Ok(()));
    let message = Message::parse(&bytes).unwrap();
    assert!(!message.is_classic());
    assert_eq!(message.classic_cookie(), MAGIC_COOKIE.to_be_bytes());
    assert_eq!(message.transaction_id(), ID);
    assert_ne!(message.transaction_id(), TransactionId::new([0; 12]));
    assert_eq!(format!("{ID:?}"), "TransactionId(0102030405060708090a0b0c)");
}
