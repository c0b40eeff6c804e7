//! A relay without sockets: the core, a clock in the test's hand, and the driver's part of the work.
#![allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    reason = "each test file uses its own part of the harness"
)]

mod client;
mod relay;

pub use client::{Answer, Scheme, TestClient, write};
pub use relay::{FromPeer, Relay, SECRET, START, Seen, settings};

use std::net::SocketAddr;

/// An address from its text.
pub fn at(address: &str) -> SocketAddr {
    address.parse().unwrap()
}
