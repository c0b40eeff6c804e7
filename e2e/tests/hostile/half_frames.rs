//! Connections that begin a message and leave it at that, or say nothing more at all: served up to then,
//! closed after, and nothing kept.

use std::time::Duration;

use edgerelay_e2e::connection::Connection;
use edgerelay_e2e::relay::Relay;
use edgerelay_e2e::steady::{Steady, good_client_works};
use edgerelay_e2e::{Network, request};
use testbed::eventually_true;

const BOUND: u64 = 2 << 20;
const CONNECTIONS: usize = 50;
const DEADLINE: Duration = Duration::from_secs(20);

#[test]
fn are_cut_off_at_the_deadline_for_the_rest() {
    // Far from the other deadlines, so that it is this one.
    let settings = [("limits.streams.frame_deadline", "\"1s\""), ("limits.streams.idle_deadline", "\"10m\"")];
    let halves: [&[u8]; 4] = [
        // Half a header, a header alone, half of channel data.
        &request::binding()[..10],
        &request::bare_allocate()[..20],
        &[0x40, 0, 0, 100, 1, 2, 3],
        &[0x40],
    ];
    cut_off(&settings, &halves);
}

#[test]
fn idle_ones_are_cut_off_too() {
    let settings = [("limits.streams.idle_deadline", "\"1s\""), ("limits.streams.frame_deadline", "\"10m\"")];
    cut_off(&settings, &[&[]]);
}

fn cut_off(settings: &[(&str, &str)], rests: &[&[u8]]) {
    let network = Network::new();
    let relay = Relay::with(&network, settings);
    let steady = Steady::before(&network, &relay);
    let binding = request::binding();
    let mut connections = Vec::new();
    for number in 0..CONNECTIONS {
        let mut connection = Connection::open(&network.bob, relay.plain()).expect("within the limits");
        connection.send(&binding);
        connection.send(rests[number % rests.len()]);
        connections.push(connection);
    }
    eventually_true(DEADLINE, "every whole request to be answered", || {
        connections.iter_mut().all(|connection| connection.received().get(4..20) == binding.get(4..20))
    });
    good_client_works(&network, &relay);
    steady.memory_holds(BOUND);
    eventually_true(DEADLINE, "the relay to close them", || {
        connections.iter_mut().all(|connection| !connection.is_open())
    });
    steady.holds(BOUND);
}
