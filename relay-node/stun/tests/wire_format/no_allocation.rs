//! Reading, verifying and writing allocate nothing, counted by an allocator that stands in for the
//! system's.

use std::hint::black_box;
use std::net::SocketAddr;

use allocation_counter::measure;
use stun::attribute::{
    ChannelNumber, Data, ErrorCode, Lifetime, Nonce, PasswordAlgorithms, Realm, RequestedTransport, Software,
    Username, XorMappedAddress, XorPeerAddress, XorRelayedAddress,
};
use stun::{
    AttributeType, ChannelData, Class, Fingerprint, Key, Message, MessageWriter, Method, TransactionId,
    stream, userhash, write_channel_header, write_data_indication,
};

const ID: TransactionId = TransactionId::new([3; 12]);

fn allocate_request(buffer: &mut [u8], key: &Key) -> usize {
    let mut writer = MessageWriter::new(buffer, Class::Request, Method::ALLOCATE, ID).unwrap();
    writer.attribute(&RequestedTransport::UDP).unwrap();
    writer.attribute(&Username(b"1700000000:alice")).unwrap();
    writer.attribute(&Realm(b"example.org")).unwrap();
    writer.attribute(&Nonce(b"obMatJos2AAACf//499k954d6OL34oL9FSTvy64sA")).unwrap();
    writer.attribute(&PasswordAlgorithms::SHA256_MD5).unwrap();
    writer.raw(AttributeType(0x7001), b"unknown").unwrap();
    writer.integrity_sha1(key).unwrap().integrity_sha256(key).unwrap().fingerprint().unwrap();
    writer.finish()
}

/// What a relay does with requests, responses, indications and ChannelData.
fn round() {
    let peer: SocketAddr = "[2001:db8::1]:9".parse().unwrap();
    let key = Key::long_term_md5(b"1700000000:alice", b"example.org", b"secret");
    let mut buffer = [0; 600];

    let length = allocate_request(&mut buffer, &key);
    let bytes = &buffer[..length];
    assert_eq!(stream::next_frame(bytes), stream::Frame::Complete { len: length, message: length });
    let message = Message::parse(bytes).unwrap();
    assert_eq!(message.get(), Ok(Some(Username(b"1700000000:alice"))));
    assert_eq!(message.get::<PasswordAlgorithms<'_>>().unwrap().unwrap().iter().count(), 2);
    let known = [AttributeType::USERNAME, AttributeType::REALM, AttributeType::NONCE];
    let unknown = message.unknown_required(&known);
    assert_eq!(unknown.as_slice().len(), 2);
    assert_eq!(message.verify_sha1(&key), Ok(()));
    assert_eq!(message.verify_sha256(&key), Ok(()));
    assert_eq!(message.verify_sha1(&Key::short_term(&[7; 100])), Err(stun::IntegrityError::Mismatch));
    assert_eq!(message.fingerprint(), Fingerprint::Valid);
    black_box(userhash(b"alice", b"example.org"));
    black_box(Key::long_term_sha256(b"alice", b"example.org", b"secret"));

    let mut writer = MessageWriter::new(&mut buffer, Class::Error, Method::ALLOCATE, ID).unwrap();
    writer.attribute(&ErrorCode { code: 420, reason: "Unknown Attribute" }).unwrap();
    writer.attribute(&unknown).unwrap().attribute(&Software(b"edgerelay")).unwrap();
    writer.integrity_sha1(&key).unwrap().fingerprint().unwrap();
    black_box(writer.finish());
    let mut writer = MessageWriter::new(&mut buffer, Class::Success, Method::ALLOCATE, ID).unwrap();
    writer.attribute(&XorRelayedAddress(peer)).unwrap().attribute(&XorMappedAddress(peer)).unwrap();
    writer.attribute(&Lifetime(600)).unwrap().integrity_sha256(&key).unwrap();
    black_box(writer.finish());

    let packet = write_data_indication(&mut buffer, 60..260, peer, ID).unwrap();
    let message = Message::parse(&buffer[packet]).unwrap();
    assert_eq!(message.get(), Ok(Some(XorPeerAddress(peer))));
    assert_eq!(message.get::<Data<'_>>().unwrap().unwrap().0.len(), 200);
    write_channel_header(buffer.first_chunk_mut().unwrap(), ChannelNumber::FIRST, 200);
    assert_eq!(ChannelData::parse(&buffer).unwrap().payload.len(), 200);
    assert!(Message::parse(&buffer).is_err());
}

#[test]
fn the_codec_never_allocates() {
    assert!(measure(|| drop(black_box(Box::new(1)))).count_total > 0, "allocations are counted");
    let counted = measure(|| {
        for _ in 0..100 {
            round();
        }
    });
    assert_eq!(counted.count_total, 0);
}
