use std::time::Instant;

use stun::attribute::{
    ErrorCode, Lifetime, Nonce, PasswordAlgorithms, Realm, XorMappedAddress, XorRelayedAddress,
};
use stun::{AttributeType, BufferFull, Class, Key, Message, MessageWriter};
use turn_client::{Allocate, Client, Credential, Event, Failure, Path, Request, Success, message};

pub const ALLOCATE: Request = Request::Allocate(Allocate {
    family: None,
    additional: None,
    lifetime: None,
    even_port: None,
    reservation: None,
    dont_fragment: false,
});

pub fn alice(path: Path) -> Client {
    Client::new(path, Credential::new("alice", "wonderland"), [7; 32])
}

/// The keys that Alice may use.
pub fn md5() -> Key {
    Key::long_term_md5(b"alice", b"example.org", b"wonderland")
}

pub fn sha256() -> Key {
    Key::long_term_sha256(b"alice", b"example.org", b"wonderland")
}

/// An answer of whatever `attributes` writes.
pub fn answer(
    request: &[u8],
    class: Class,
    attributes: impl FnOnce(&mut MessageWriter<'_>) -> Result<(), BufferFull>,
) -> Vec<u8> {
    let request = Message::parse(request).unwrap();
    message(class, request.method(), request.transaction_id(), attributes).unwrap()
}

/// A 401 or 438, with or without password algorithms.
pub fn challenge(request: &[u8], code: u16, nonce: &[u8], algorithms: bool) -> Vec<u8> {
    answer(request, Class::Error, |writer| {
        writer.attribute(&ErrorCode { code, reason: "" })?;
        writer.attribute(&Realm(b"example.org"))?.attribute(&Nonce(nonce))?;
        if algorithms {
            writer.attribute(&PasswordAlgorithms::SHA256_MD5)?;
        }
        Ok(())
    })
}

/// The success response to an Allocate, under `key`.
pub fn allocated(request: &[u8], key: &Key) -> Vec<u8> {
    let sha256 = Message::parse(request).unwrap().has(AttributeType::MESSAGE_INTEGRITY_SHA256);
    answer(request, Class::Success, |writer| {
        writer.attribute(&XorRelayedAddress("203.0.113.1:50000".parse().unwrap()))?;
        writer.attribute(&XorMappedAddress("198.51.100.7:4000".parse().unwrap()))?;
        writer.attribute(&Lifetime(600))?;
        if sha256 { writer.integrity_sha256(key) } else { writer.integrity_sha1(key) }.map(drop)
    })
}

/// A client that has answered a challenge, and the Allocate that it sent.
pub fn logged_in(path: Path, now: Instant) -> (Client, Vec<u8>) {
    let mut client = alice(path);
    client.request(now, ALLOCATE).unwrap();
    let first = client.poll_packet().unwrap();
    assert!(client.receive(now, &challenge(&first, 401, b"nonce", false)).is_none());
    let second = client.poll_packet().unwrap();
    (client, second)
}

/// What `bytes` bring the client: nothing, a success, or a failure.
pub fn outcome(client: &mut Client, now: Instant, bytes: &[u8]) -> Option<Result<Success, Failure>> {
    match client.receive(now, bytes)? {
        Event::Succeeded(success) => Some(Ok(success)),
        Event::Failed { failure, .. } => Some(Err(failure)),
        other => panic!("no outcome of a request: {other:?}"),
    }
}

/// Why a request was given up when its time had come.
#[track_caller]
pub fn failure(event: Option<Event<'_>>) -> Failure {
    match event {
        Some(Event::Failed { failure, .. }) => failure,
        other => panic!("no failure: {other:?}"),
    }
}
