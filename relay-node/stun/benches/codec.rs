//! What the packet path asks of the codec, with `stun-types` and `turn-types` beside it.
//!
//! `cargo bench -p edgerelay-stun`

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a benchmark fails by panicking")]

use std::hint::black_box;
use std::net::SocketAddr;

use criterion::{Criterion, criterion_group, criterion_main};
use stun::attribute::{
    ChannelNumber, Data, Nonce, Realm, RequestedTransport, Username, XorMappedAddress, XorPeerAddress,
};
use stun::{
    ChannelData, Class, Key, Message, MessageWriter, Method, TransactionId, write_channel_header,
    write_data_indication,
};
use stun_types::attribute as theirs;
use stun_types::message as their;
use stun_types::prelude::{MessageWrite, MessageWriteExt};
use turn_types::attribute as turn;

const ID: TransactionId = TransactionId::new([3; 12]);
const PAYLOAD: [u8; 160] = [7; 160];

fn peer() -> SocketAddr {
    SocketAddr::from(([203, 0, 113, 7], 49_152))
}

fn message(class: Class, method: Method, fill: impl FnOnce(&mut MessageWriter<'_>)) -> Vec<u8> {
    let mut buffer = vec![0; 1024];
    let mut writer = MessageWriter::new(&mut buffer, class, method, ID).unwrap();
    fill(&mut writer);
    let length = writer.finish();
    buffer.truncate(length);
    buffer
}

fn channel_data(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("channel_data");
    let mut packet = [&[0; 4][..], &PAYLOAD].concat();
    write_channel_header(packet.first_chunk_mut().unwrap(), ChannelNumber::FIRST, 160);
    group.bench_function("parse/ours", |bencher| {
        bencher.iter(|| ChannelData::parse(black_box(&packet)).unwrap().payload.len());
    });
    group.bench_function("parse/turn-types", |bencher| {
        bencher.iter(|| turn_types::channel::ChannelData::parse(black_box(&packet)).unwrap().data().len());
    });
    group.bench_function("write header in place/ours", |bencher| {
        bencher.iter(|| {
            let header = black_box(&mut packet).first_chunk_mut().unwrap();
            write_channel_header(header, ChannelNumber::FIRST, black_box(160));
        });
    });
}

fn indications(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("indication");
    let send = message(Class::Indication, Method::SEND, |writer| {
        writer.attribute(&XorPeerAddress(peer())).unwrap().attribute(&Data(&PAYLOAD)).unwrap();
    });
    group.bench_function("parse Send/ours", |bencher| {
        bencher.iter(|| {
            let message = Message::parse(black_box(&send)).unwrap();
            let peer = message.get::<XorPeerAddress>().unwrap().unwrap();
            let data = message.get::<Data<'_>>().unwrap().unwrap();
            (peer, data.0.len())
        });
    });
    group.bench_function("parse Send/stun-types", |bencher| {
        bencher.iter(|| {
            let message = their::Message::from_bytes(black_box(&send)).unwrap();
            let peer = message.attribute::<turn::XorPeerAddress>().unwrap().addr(message.transaction_id());
            let data = message.attribute::<turn::Data<'_>>().unwrap();
            (peer, data.data().len())
        });
    });
    let mut buffer = [0; 256];
    group.bench_function("write Data in place/ours", |bencher| {
        bencher.iter(|| write_data_indication(black_box(&mut buffer), 64..224, peer(), ID));
    });
    group.bench_function("write Data/stun-types", |bencher| {
        bencher.iter(|| {
            let kind = their::MessageType::from_class_method(
                their::MessageClass::Indication,
                their::Method::new(Method::DATA.code()),
            );
            let id = 3.into();
            let slice = their::MessageWriteMutSlice::new(black_box(&mut buffer));
            let mut writer = their::Message::builder(kind, id, slice);
            writer.add_attribute(&turn::XorPeerAddress::new(peer(), id)).unwrap();
            writer.add_attribute(&turn::Data::new(&PAYLOAD)).unwrap();
            writer.finish()
        });
    });
}

fn requests(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("request");
    let key = Key::long_term_md5(b"1700000000:alice", b"example.org", b"secret");
    let allocate = message(Class::Request, Method::ALLOCATE, |writer| {
        writer.attribute(&RequestedTransport::UDP).unwrap();
        writer.attribute(&Username(b"1700000000:alice")).unwrap();
        writer.attribute(&Realm(b"example.org")).unwrap();
        writer.attribute(&Nonce(b"obMatJos2AAACf//499k954d6OL34oL9FSTvy64sA")).unwrap();
        writer.integrity_sha1(&key).unwrap();
    });
    let credentials: their::MessageIntegrityCredentials = their::LongTermKeyCredentials::new(
        "1700000000:alice".to_owned(),
        "secret".to_owned(),
        "example.org".to_owned(),
    )
    .into();
    let their_key = credentials.make_key(their::IntegrityAlgorithm::Sha1);
    group.bench_function("parse Allocate/ours", |bencher| {
        bencher.iter(|| Message::parse(black_box(&allocate)).unwrap().method());
    });
    group.bench_function("parse Allocate/stun-types", |bencher| {
        bencher.iter(|| their::Message::from_bytes(black_box(&allocate)).unwrap().method());
    });
    group.bench_function("parse and verify Allocate/ours", |bencher| {
        bencher.iter(|| Message::parse(black_box(&allocate)).unwrap().verify_sha1(&key).unwrap());
    });
    group.bench_function("parse and verify Allocate/stun-types", |bencher| {
        bencher.iter(|| {
            let message = their::Message::from_bytes(black_box(&allocate)).unwrap();
            message.validate_integrity_with_key(&their_key).unwrap()
        });
    });
    let mut buffer = [0; 256];
    group.bench_function("write Binding success/ours", |bencher| {
        bencher.iter(|| {
            let buffer = black_box(&mut buffer);
            let mut writer = MessageWriter::new(buffer, Class::Success, Method::BINDING, ID).unwrap();
            writer.attribute(&XorMappedAddress(peer())).unwrap().fingerprint().unwrap();
            writer.finish()
        });
    });
    group.bench_function("write Binding success/stun-types", |bencher| {
        bencher.iter(|| {
            let kind = their::MessageType::from_class_method(their::MessageClass::Success, their::BINDING);
            let id = 3.into();
            let slice = their::MessageWriteMutSlice::new(black_box(&mut buffer));
            let mut writer = their::Message::builder(kind, id, slice);
            writer.add_attribute(&theirs::XorMappedAddress::new(peer(), id)).unwrap();
            writer.add_fingerprint().unwrap();
            writer.finish()
        });
    });
}

criterion_group!(codec, channel_data, indications, requests);
criterion_main!(codec);
