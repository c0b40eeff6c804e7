//! A relay on loopback with real sockets, and clients and peers to meet there.
#![allow(
    dead_code,
    missing_docs,
    unused_imports,
    unreachable_pub,
    reason = "each test file uses its own part of the harness"
)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]
#![allow(clippy::module_inception, reason = "to others it is the daemon's support")]

mod client;
mod daemon;
mod dynasty;
mod identity;
mod node;
mod site;
mod stream;

pub use client::{Client, Packet, Wire, binding};
pub use daemon::{ALICE, Daemon, UDP, edgerelay, get, run, text};
pub use dynasty::Dynasty;
pub use identity::Identity;
pub use node::{Node, NodePlan, settings, stream_limits};
pub use site::{BOTH, Call, Site, assert_joined, both_on_a_fixed_port, join};
pub use stream::{StreamWire, TlsClient, connect, is_closed, tls_session};

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

/// How long anything may take before a test fails.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// A peer's socket. On 127.0.0.2, since a relay never reaches other services of its own address.
pub fn peer() -> UdpSocket {
    datagram_socket("127.0.0.2:0")
}

/// A socket whose reads fail after [`PATIENCE`].
pub fn datagram_socket(address: &str) -> UdpSocket {
    let socket = UdpSocket::bind(address).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

/// What arrives next, and from where.
pub fn receive(socket: &UdpSocket) -> (Vec<u8>, SocketAddr) {
    let mut buffer = vec![0; 65_536];
    let (length, from) = socket.recv_from(&mut buffer).unwrap();
    buffer.truncate(length);
    (buffer, from)
}

/// Waits until `condition` holds.
pub fn wait_until(what: &str, condition: impl FnMut() -> bool) {
    testbed::eventually_true(PATIENCE, what, condition);
}
