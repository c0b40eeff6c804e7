//! A relay without sockets: the core, a clock in the test's hand, and the driver's part of the work.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    dead_code,
    unused_imports,
    missing_docs,
    unreachable_pub,
    reason = "a test fails by panicking, and each benchmark uses its own part of the harness"
)]

mod client;
mod fleet;
mod relay;
mod store;

pub use client::{Answer, REALM, Scheme, TestClient, channel_data, data_indication, write};
pub use fleet::{alternate, chosen, node};
pub use relay::{Relay, SECRET, START, Seen, credentials, relay_addresses, settings, with_room};
pub use store::Store;

use std::net::SocketAddr;

/// An address from its text.
pub fn at(address: &str) -> SocketAddr {
    address.parse().unwrap()
}

/// A peer that may be reached.
pub fn peer() -> SocketAddr {
    at("192.0.2.10:7000")
}

/// A relay with an allocation of Alice's, and the relayed address.
pub fn allocated() -> (Relay, TestClient, SocketAddr) {
    allocated_with(settings())
}

/// The same, and Alice's peer has a permission.
pub fn permitted() -> (Relay, TestClient, SocketAddr) {
    let (mut relay, mut alice, relayed) = allocated();
    assert_eq!(alice.permit(&mut relay, peer()).code(), 0);
    (relay, alice, relayed)
}

/// [`allocated`] under other settings.
pub fn allocated_with(settings: turn::Settings) -> (Relay, TestClient, SocketAddr) {
    let mut relay = Relay::with(settings);
    let mut alice = TestClient::new("198.51.100.7:4000");
    let relayed = alice.allocate(&mut relay);
    (relay, alice, relayed)
}
