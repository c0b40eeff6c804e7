//! Connections that send a byte now and then, so as to be never done: each is closed at the deadline for a
//! first message and counted as late, over TCP and over TLS, while others are served. Without that deadline they
//! would stay: each goes on sending, so that no deadline for silence is met.

use std::time::{Duration, Instant};

use edgerelay_e2e::Network;
use edgerelay_e2e::connection::Connection;
use edgerelay_e2e::network::Family;
use edgerelay_e2e::relay::Relay;
use edgerelay_e2e::request::{self, raw};
use edgerelay_e2e::steady::{Steady, good_client_works};
use edgerelay_e2e::transport::Transport;
use stun::{Class, Method};
use testbed::eventually_true;

const BOUND: u64 = 2 << 20;
const CONNECTIONS: usize = 50;
const DEADLINE: Duration = Duration::from_secs(20);
/// The other deadlines are far away, so that it is this one.
const SETTINGS: [(&str, &str); 3] = [
    ("limits.streams.handshake_deadline", "\"2s\""),
    ("limits.streams.frame_deadline", "\"10m\""),
    ("limits.streams.idle_deadline", "\"10m\""),
];

#[test]
fn over_tcp() {
    // A request that would take minutes to arrive at this pace.
    let filler = [0; 60_000];
    let request = request::message(Class::Request, Method::BINDING, |writer| raw(writer, 0x8022, &filler));
    trickle(Transport::Tcp, &request);
}

#[test]
fn over_tls() {
    // A handshake record of the greatest length, with a ClientHello that does not end.
    let hello = [&[22, 3, 1, 0x40, 0, 1, 0, 0x3F, 0xFC, 3, 3][..], &[0; 0x3FF6]].concat();
    trickle(Transport::Tls, &hello);
}

fn trickle(transport: Transport, bytes: &[u8]) {
    let network = Network::new();
    let relay = Relay::with(&network, &SETTINGS);
    let steady = Steady::before(&network, &relay);
    let address = relay.address(transport, Family::V4);
    let started = Instant::now();
    let mut connections: Vec<Connection> = (0..CONNECTIONS)
        .map(|_| Connection::open(&network.bob, address).expect("within the limits"))
        .collect();
    good_client_works(&network, &relay);
    steady.memory_holds(BOUND);

    let mut bytes = bytes.iter();
    eventually_true(DEADLINE, "the relay to close slow connections", || {
        let byte = [*bytes.next().expect("there is more to send than time")];
        for connection in &mut connections {
            connection.send(&byte);
        }
        connections.iter_mut().all(|connection| !connection.is_open())
    });
    assert!(started.elapsed() >= Duration::from_secs(2), "slow is not yet hostile");
    eventually_true(DEADLINE, "all of them to be counted as late", || {
        relay.metric("edgerelay_rejected_connections_total", &["reason=\"late\""]) as usize == CONNECTIONS
    });
    steady.holds(BOUND);
}
