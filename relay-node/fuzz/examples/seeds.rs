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

    let call = call();
    write("turn_server", "call", &call)?;
    write("turn_server", "two calls", &[&call[..], &[8, 3], &call, &[10, 2]].concat())?;
    write("turn_server", "two families", &two_families())?;
    write("turn_server", "reserved port", &reserved_port())?;
    write("turn_server", "sent on", &[&SENT_ON[..], &call].concat())?;
    write("turn_server", "asked about", &[&ASKED_ABOUT[..], &call[..], &[12, 0, 0, 1, 1], &call].concat())?;
    for name in [
        "1900000000:alice",
        "1900000000+300:tenant:alice",
        "1900000000:tenant:alice",
        "1700000000:alice",
        "18446744073709551616:x",
    ] {
        write("rest_username", &name.replace(':', " "), name.as_bytes())?;
    }
    write("nonce", "unchanged", &[0x6B, 0x49, 0xD2, 0x00, 2])?;
    write("nonce", "made up", b"\x6B\x49\xD2\x00\x02obMatJos2AAAD0123456789abcdefghijklmn")?;
    let prefix = b"\x05\r\n\r\n\0\r\nQUIT\n";
    write("proxy_header", "local", &[&prefix[..], &[0x20, 0, 0, 0]].concat())?;
    let ends = [203, 0, 113, 9, 192, 0, 2, 1, 4, 210, 13, 150];
    write("proxy_header", "proxied", &[&prefix[..], &[0x21, 0x11, 0, 12], &ends, b"behind"].concat())?;
    for (name, bytes) in records() {
        write("records", name, &bytes)?;
        // And where a relay would write it: the table, cell 1, sequence number 3, the length.
        let length = (bytes.len() as u16).to_be_bytes();
        write("records", &format!("written {name}"), &[&[bytes[2] - 1, 1, 3], &length[..], &bytes].concat())?;
    }
    Ok(())
}

fn write(target: &str, name: &str, bytes: &[u8]) -> std::io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    fs::create_dir_all(&folder)?;
    fs::write(folder.join(name), bytes)
}

/// Steps of the target turn_server: there are other nodes, and the first client comes through their balancer.
const SENT_ON: [u8; 10] = [12, 0, 0, 3, 12, 0, 0, 5, 1, 0];
/// Steps of the target turn_server: the fleet is asked about quotas.
const ASKED_ABOUT: [u8; 6] = [12, 0, 0, 0, 1, 0];

/// Steps of the target turn_server: an allocation, a permission, a channel, and packets both ways.
fn call() -> Vec<u8> {
    let allocate = [1, 0, 0, 1, 1, 1, 0];
    let open_its_socket = [9, 0];
    let permit = [1, 0, 2, 1, 1, 1, 4, 0];
    let bind = [1, 0, 3, 1, 1, 2, 7, 0, 4, 0];
    let send = [5, 0, 0, 0, 100];
    let channel_data = [6, 0, 0, 5, 5];
    let peer_packet = [7, 1, 0, 0, 0, 100];
    let refresh = [1, 0, 1, 1, 1, 1, 0, 2];
    [&allocate[..], &open_its_socket, &permit, &bind, &send, &channel_data, &peer_packet, &refresh].concat()
}

/// Steps of the target turn_server: IPv4 and IPv6, a permission in each, then IPv6 is given up.
fn two_families() -> Vec<u8> {
    let allocate = [1, 0, 0, 1, 1, 1, 1, 2, 1];
    let open_its_sockets = [9, 0, 0];
    let permit = [1, 0, 2, 1, 1, 2, 4, 2, 4, 0];
    let give_up = [1, 0, 1, 1, 1, 2, 0, 0, 3, 1];
    [&allocate[..], &open_its_sockets, &permit, &give_up].concat()
}

/// Steps of the target turn_server: an even port, and then the one above it.
fn reserved_port() -> Vec<u8> {
    let allocate = [1, 0, 0, 1, 1, 1, 1, 1, 1];
    let redeem = [1, 2, 0, 1, 1, 1, 1, 10];
    let open_its_socket = [9, 0];
    [&allocate[..], &open_its_socket, &redeem, &open_its_socket].concat()
}

/// Records of version 1, one of each kind and a long one.
fn records() -> Vec<(&'static str, Vec<u8>)> {
    const ID: [u8; 8] = [0, 0, 0, 1, 0, 0, 0, 7];
    const LATER: [u8; 8] = [0, 0, 0, 1, 0, 0, 0, 0];
    const CLIENT: [u8; 7] = [4, 192, 0, 2, 1, 0xC3, 0x50];
    const SERVER: [u8; 7] = [4, 192, 0, 2, 2, 13, 150];
    const ADDRESS: [u8; 10] = [4, 192, 0, 2, 3, 4, 203, 0, 113, 3];
    let five_tuple = [&CLIENT[..], &SERVER, &[1]].concat();
    let allocation = |name: &[u8]| {
        let name = [&(name.len() as u16).to_be_bytes()[..], name].concat();
        let relayed = [&[1][..], &ADDRESS, &[0xC3, 0x50], &LATER, &[0]].concat();
        let owner = [&[1][..], &name, &[1], &name, &[7; 32], &[1, 0, 11], b"example.org"].concat();
        let origin = [&[9; 12][..], &[0, 0, 2, 88], &[1], b"a token.", &[1, 6, 1, 252]].concat();
        [&[0, 1, 1][..], &ID, &five_tuple, &relayed, &LATER, &owner, &origin].concat()
    };
    let peer = [4, 198, 51, 100, 1];
    vec![
        ("allocation", allocation(b"alice")),
        ("long allocation", allocation(&[b'a'; 120])),
        ("permission", [&[0, 1, 2][..], &ID, &peer, &LATER].concat()),
        ("channel", [&[0, 1, 3][..], &ID, &[0x40, 0], &peer, &[0, 9], &LATER].concat()),
        ("reservation", [&[0, 1, 4][..], &ADDRESS, &[0, 1, 1, 0, 5], b"alice", b"a token.", &LATER].concat()),
        ("deletion", [&[0, 1, 5][..], &five_tuple, &[9; 12], &LATER].concat()),
    ]
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
