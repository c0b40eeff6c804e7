//! Frames that claim to be longer than anything that a relay is sent, and bytes that are no frames: the
//! connection ends, and no buffer grows with the claim.

use std::time::Duration;

use edgerelay_e2e::Network;
use edgerelay_e2e::connection::Connection;
use edgerelay_e2e::relay::Relay;
use edgerelay_e2e::steady::Steady;
use testbed::{eventually_true, within};

/// Less than a tenth of what the frames say they are.
const BOUND: u64 = 2 << 20;
const CONNECTIONS: usize = 400;
const DEADLINE: Duration = Duration::from_secs(30);
const SETTINGS: [(&str, &str); 3] = [
    ("limits.streams.handshake_deadline", "\"2s\""),
    ("limits.streams.frame_deadline", "\"2s\""),
    ("limits.streams.idle_deadline", "\"2s\""),
];

/// A Binding request of 65,552 bytes, by its header.
const LONG_REQUEST: [u8; 20] =
    [0, 1, 0xFF, 0xFC, 0x21, 0x12, 0xA4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];
/// Channel data of 65,535 bytes, by its header.
const LONG_CHANNEL_DATA: [u8; 4] = [0x40, 0, 0xFF, 0xFF];

#[test]
fn claims_alone_cost_nothing() {
    let network = Network::new();
    let relay = Relay::with(&network, &SETTINGS);
    let steady = Steady::before(&network, &relay);
    let mut connections = Vec::new();
    for number in 0..CONNECTIONS {
        let mut connection = Connection::open(&network.bob, relay.plain()).expect("within the limits");
        let header: &[u8] = if number % 2 == 0 { &LONG_REQUEST } else { &LONG_CHANNEL_DATA };
        connection.send(header);
        connections.push(connection);
    }
    eventually_true(DEADLINE, "the relay to have accepted them", || {
        relay.metric("edgerelay_accepted_connections_total", &[]) as usize >= CONNECTIONS
    });
    steady.memory_holds(BOUND);
    eventually_true(DEADLINE, "the relay to close them", || {
        connections.iter_mut().all(|connection| !connection.is_open())
    });
    steady.holds(BOUND);
}

/// Only who has an allocation may send frames this long.
#[test]
fn floods_of_them_end_the_connection() {
    let network = Network::new();
    let relay = Relay::with(&network, &SETTINGS);
    let steady = Steady::before(&network, &relay);
    for header in [&LONG_REQUEST[..], &LONG_CHANNEL_DATA] {
        let frame = [header, &[0xA5; 65_532]].concat();
        let mut connection = Connection::open(&network.bob, relay.plain()).expect("within the limits");
        let mut sent = 0;
        eventually_true(DEADLINE, "the relay to close the connection", || {
            sent += connection.send(&frame[sent % frame.len()..]);
            !connection.is_open()
        });
        assert_eq!(connection.received(), b"", "no answers to that");
    }
    ended_for_what_came(&relay, 2);
    steady.holds(BOUND);
}

#[test]
fn what_is_no_frame_ends_the_connection() {
    let network = Network::new();
    let relay = Relay::start(&network);
    let steady = Steady::before(&network, &relay);
    for byte in [0x80, 0xA0, 0xC0, 0xFF] {
        let mut connection = Connection::open(&network.bob, relay.plain()).expect("within the limits");
        connection.send(&[byte; 100]);
        eventually_true(DEADLINE, "the relay to close the connection", || !connection.is_open());
        assert_eq!(connection.received(), b"", "{byte:#x}");
    }
    ended_for_what_came(&relay, 4);
    steady.holds(BOUND);
}

/// One source cannot take all connections.
#[test]
fn too_many_connections_of_one_source_are_refused() {
    const LIMIT: usize = 20;
    let network = Network::new();
    let relay = Relay::with(&network, &[("limits.streams.connections_per_source", &LIMIT.to_string())]);
    let steady = Steady::before(&network, &relay);
    let mut connections: Vec<Connection> =
        (0..3 * LIMIT).filter_map(|_| Connection::open(&network.bob, relay.plain())).collect();
    let mut open = usize::MAX;
    within(DEADLINE, || {
        open = connections.iter_mut().map(Connection::is_open).filter(|open| *open).count();
        (open <= LIMIT).then_some(())
    });
    assert_eq!(open, LIMIT, "connections of one source");
    // Another source still gets one.
    let mut other = Connection::open(&network.alice, relay.plain()).expect("within the limits");
    let binding = edgerelay_e2e::request::binding();
    other.send(&binding);
    eventually_true(DEADLINE, "an answer to another source", || {
        other.received().get(4..20) == binding.get(4..20)
    });
    drop((connections, other));
    steady.holds(BOUND);
}

/// Waits until so many connections are counted as ended for what came on them, not by a deadline.
fn ended_for_what_came(relay: &Relay<'_>, count: u64) {
    eventually_true(DEADLINE, "the connections to be counted as invalid", || {
        relay.metric("edgerelay_rejected_connections_total", &["reason=\"invalid\""]) as u64 == count
    });
}
