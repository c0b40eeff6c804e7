//! Requests as bytes: right ones, which a test may then spoil.

use std::sync::atomic::{AtomicU64, Ordering};

use stun::attribute::RequestedTransport;
use stun::{AttributeType, Class, MessageWriter, Method, TransactionId};
pub use turn_client::Challenge;
use turn_client::Login;

use crate::credential::Credential;

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
    let message = turn_client::message(class, method, next_id(), |writer| {
        fill(writer);
        Ok(())
    });
    message.expect("there is room")
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
    let credential = turn_client::Credential::new(&credential.username, &credential.password);
    let login = Login::new(credential, challenge.clone()).expect("it asks for MD5");
    message(Class::Request, method, |writer| {
        fill(writer);
        login.sign(writer).expect("there is room");
        after(writer);
    })
}

/// Appends an attribute of any type.
pub fn raw(writer: &mut MessageWriter<'_>, kind: u16, value: &[u8]) {
    writer.raw(AttributeType(kind), value).expect("there is room");
}
