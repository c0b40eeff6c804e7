//! Writes the seeds in corpus/: valid messages for the fuzzer to start from.
//!
//! `cargo run --example seeds` in relay-node/fuzz

use std::error::Error;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use stun::attribute::*;
use stun::{BufferFull, Class, Key, MessageWriter, Method, TransactionId};

const ID: TransactionId = TransactionId::new(*b"transaction!");

fn main() -> Result<(), Box<dyn Error>> {
    let messages = messages()?;
    for (name, bytes) in &messages {
        write("stun_message", name, bytes)?;
    }
    let channel_data = channel_data(b"twelve bytes");
    write("channel_data", "padded", &channel_data)?;
    write("channel_data", "unpadded", &channel_data[..15])?;
    write("channel_data", "empty", &[0x4F, 0xFF, 0, 0])?;

    let all: Vec<u8> = messages.iter().flat_map(|(_, bytes)| bytes.clone()).collect();
    // The first byte of this target's input is the length of the pieces.
    write("stream", "messages", &[&[7], &all[..]].concat())?;
    write("stream", "mixed", &[&[100], &channel_data[..], &messages[0].1, &channel_data].concat())?;
    Ok(())
}

fn write(target: &str, name: &str, bytes: &[u8]) -> std::io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    fs::create_dir_all(&folder)?;
    fs::write(folder.join(name), bytes)
}

fn channel_data(payload: &[u8]) -> Vec<u8> {
    [&[0x40, 0x01, 0, payload.len() as u8], payload].concat()
}

fn message(
    class: Class,
    method: Method,
    fill: impl FnOnce(&mut MessageWriter<'_>) -> Result<(), BufferFull>,
) -> Result<Vec<u8>, BufferFull> {
    let mut buffer = vec![0; 1024];
    let mut writer = MessageWriter::new(&mut buffer, class, method, ID)?;
    fill(&mut writer)?;
    let length = writer.finish();
    buffer.truncate(length);
    Ok(buffer)
}

fn messages() -> Result<Vec<(&'static str, Vec<u8>)>, BufferFull> {
    let v4 = SocketAddr::from(([192, 0, 2, 1], 49_152));
    let v6 = SocketAddr::from(([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1], 49_153));
    let md5 = Key::long_term_md5(b"alice", b"example.org", b"secret");
    let sha256 = Key::long_term_sha256(b"alice", b"example.org", b"secret");

    let binding = message(Class::Request, Method::BINDING, |writer| {
        writer.attribute(&Software(b"seed"))?.fingerprint().map(drop)
    })?;
    let mut classic = message(Class::Request, Method::BINDING, |writer| {
        writer.raw(AttributeType::CHANGE_REQUEST, &[0; 4]).map(drop)
    })?;
    classic[4..8].copy_from_slice(b"old ");
    let allocate = message(Class::Request, Method::ALLOCATE, |writer| {
        writer.attribute(&RequestedTransport::UDP)?.attribute(&Lifetime(600))?;
        writer.attribute(&EvenPort { reserve_next: true })?.attribute(&DontFragment)?;
        writer.attribute(&AdditionalAddressFamily(AddressFamily::V6))?;
        writer.attribute(&Username(b"alice"))?.attribute(&Realm(b"example.org"))?;
        writer.attribute(&Nonce(b"obMatJos2AAAC0123456789"))?;
        writer.integrity_sha1(&md5).map(drop)
    })?;
    let refresh = message(Class::Request, Method::REFRESH, |writer| {
        writer.attribute(&RequestedAddressFamily(AddressFamily::V4))?;
        writer.attribute(&Userhash(stun::userhash(b"alice", b"example.org")))?;
        writer.attribute(&PasswordAlgorithms::SHA256_MD5)?.attribute(&PasswordAlgorithm::Sha256)?;
        writer.integrity_sha256(&sha256)?.fingerprint().map(drop)
    })?;
    let success = message(Class::Success, Method::ALLOCATE, |writer| {
        writer.attribute(&XorRelayedAddress(v4))?.attribute(&XorRelayedAddress(v6))?;
        writer.attribute(&XorMappedAddress(v4))?.attribute(&ReservationToken(*b"8 bytes."))?;
        writer.integrity_sha1(&md5)?.integrity_sha256(&sha256).map(drop)
    })?;
    let error = message(Class::Error, Method::ALLOCATE, |writer| {
        let mut unknown = UnknownAttributes::default();
        unknown.insert(AttributeType(0x7001));
        writer.attribute(&ErrorCode { code: 420, reason: "Unknown Attribute" })?.attribute(&unknown)?;
        let family = AddressFamily::V6;
        writer.attribute(&AddressErrorCode { family, code: 440, reason: "Unsupported" })?;
        writer.attribute(&AlternateServer(v6))?.attribute(&AlternateDomain(b"example.net"))?;
        writer.attribute(&MappedAddress(v4)).map(drop)
    })?;
    let send = message(Class::Indication, Method::SEND, |writer| {
        writer.attribute(&XorPeerAddress(v4))?.attribute(&Data(b"payload")).map(drop)
    })?;
    let icmp = message(Class::Indication, Method::DATA, |writer| {
        let icmp = Icmp { kind: 3, code: 4, data: [0, 0, 5, 0] };
        writer.attribute(&XorPeerAddress(v6))?.attribute(&icmp).map(drop)
    })?;
    let bind = message(Class::Request, Method::CHANNEL_BIND, |writer| {
        writer.attribute(&ChannelNumber::FIRST)?.attribute(&XorPeerAddress(v4)).map(drop)
    })?;
    Ok(vec![
        ("binding", binding),
        ("classic", classic),
        ("allocate", allocate),
        ("refresh", refresh),
        ("success", success),
        ("error", error),
        ("send", send),
        ("icmp", icmp),
        ("bind", bind),
    ])
}
