//! Requests as bytes: right ones, which a test may then spoil.

use std::sync::atomic::{AtomicU64, Ordering};

use stun::attribute::{Nonce, Realm, RequestedTransport, Username};
use stun::{AttributeType, Class, Key, MessageWriter, Method, TransactionId};

use crate::credential::Credential;

const LARGEST: usize = 65_556;

/// What a 401 told the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// REALM
    pub realm: Vec<u8>,
    /// NONCE
    pub nonce: Vec<u8>,
}

/// A transaction id that this process has not used before.
pub fn next_id() -> TransactionId {
    static SERIAL: AtomicU64 = AtomicU64::new(0);
    let serial = SERIAL.fetch_add(1, Ordering::Relaxed).to_be_bytes();
    let process = std::process::id().to_be_bytes();
    let mut id = [0; 12];
    id[..4].copy_from_slice(&process);
    id[4..].copy_from_slice(&serial);
    TransactionId::new(id)
}

/// A message with the attributes that `fill` writes.
pub fn message(class: Class, method: Method, fill: impl FnOnce(&mut MessageWriter<'_>)) -> Vec<u8> {
    let mut buffer = vec![0; LARGEST];
    let mut writer = MessageWriter::new(&mut buffer, class, method, next_id()).expect("there is room");
    fill(&mut writer);
    let length = writer.finish();
    buffer.truncate(length);
    buffer
}

/// A Binding request.
pub fn binding() -> Vec<u8> {
    message(Class::Request, Method::BINDING, |_| {})
}

/// An Allocate request without credentials.
pub fn bare_allocate() -> Vec<u8> {
    message(Class::Request, Method::ALLOCATE, |writer| {
        writer.attribute(&RequestedTransport::UDP).expect("there is room");
    })
}

/// A request with the attributes that `fill` writes, then USERNAME, REALM, NONCE, MESSAGE-INTEGRITY,
/// then what `after` writes.
pub fn signed(
    method: Method,
    challenge: &Challenge,
    credential: &Credential,
    fill: impl FnOnce(&mut MessageWriter<'_>),
    after: impl FnOnce(&mut MessageWriter<'_>),
) -> Vec<u8> {
    let username = credential.username.as_bytes();
    let key = Key::long_term_md5(username, &challenge.realm, credential.password.as_bytes());
    message(Class::Request, method, |writer| {
        fill(writer);
        writer.attribute(&Username(username)).expect("there is room");
        writer.attribute(&Realm(&challenge.realm)).expect("there is room");
        writer.attribute(&Nonce(&challenge.nonce)).expect("there is room");
        writer.integrity_sha1(&key).expect("there is room");
        after(writer);
    })
}

/// Appends an attribute of any type.
pub fn raw(writer: &mut MessageWriter<'_>, kind: u16, value: &[u8]) {
    writer.raw(AttributeType(kind), value).expect("there is room");
}
