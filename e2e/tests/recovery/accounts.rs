//! What the relay has given out: exactly what the clients that are there have, and nothing once they have left.

use std::net::SocketAddr;

use edgerelay_e2e::Network;
use edgerelay_e2e::calls::{Calls, user_of};
use edgerelay_e2e::client::Client;
use edgerelay_e2e::network::Family;
use edgerelay_e2e::relay::Relay;
use testbed::{eventually, within};

use crate::scene::{OF_EACH_USER, PORTS, SOON};

const QUOTA_REACHED: u16 = 486;
const INSUFFICIENT_CAPACITY: u16 = 508;

/// Asserts that the relay has what belongs to the calls, and no port, quota or ghost beside; ends the calls, and
/// asserts that it has nothing any more and gives out everything anew.
pub(crate) fn are_exactly_those_of(calls: Calls, network: &Network, relay: &Relay<'_>) {
    let callers = calls.callers();
    let channels = callers.iter().filter(|caller| caller.kind().channel).count();
    let v4 = callers.iter().filter(|caller| caller.kind().family == Family::V4).count();
    has(relay, [callers.len(), callers.len(), channels, callers.len()]);
    // All users of calls have what they may have, and the ports that nobody has are free.
    for number in (0..callers.len()).step_by(OF_EACH_USER) {
        assert_eq!(allocate(network, relay, &user_of(number, OF_EACH_USER)).err(), Some(QUOTA_REACHED));
    }
    gives_out_ports(network, relay, PORTS - v4);
    has(relay, [callers.len(), callers.len(), channels, callers.len()]);

    let ended = calls.leave();
    has(relay, [0; 4]);
    // Lines are written a moment after the ends of which they tell.
    let lines = eventually(SOON, "all ends to be logged", || {
        let log = relay.log();
        ended.iter().map(|caller| last_line_of(&log, caller.local())).collect::<Option<Vec<_>>>()
    });
    for (caller, line) in ended.iter().zip(&lines) {
        for (name, flow) in [("to_peers_packets=", &caller.up), ("to_client_packets=", &caller.down)] {
            let (count, least, most) = (number_behind(line, name), flow.received(), flow.sent());
            assert!((least..=most).contains(&count), "{least} to {most} packets passed, not as in {line}");
        }
    }
    gives_out_ports(network, relay, PORTS);
    has(relay, [0; 4]);
}

/// Waits until the relay has so many allocations, permissions, channels and relay sockets.
fn has(relay: &Relay<'_>, wanted: [usize; 4]) {
    let names = ["turn_allocations", "turn_permissions", "turn_channels", "edgerelay_relay_sockets"];
    let counts = || names.map(|name| relay.metric(name, &[]) as usize);
    let mut last = [0; 4];
    let there = within(SOON, || {
        last = counts();
        (last == wanted).then_some(())
    });
    assert!(there.is_some(), "{names:?} are {last:?} in place of {wanted:?}");
}

/// Takes all free IPv4 ports, of which there are to be `count`, and gives them back.
fn gives_out_ports(network: &Network, relay: &Relay<'_>, count: usize) {
    let user = |number: usize| format!("taker {}", number / OF_EACH_USER);
    let mut takers: Vec<Client> = (0..count)
        .map(|number| {
            allocate(network, relay, &user(number))
                .unwrap_or_else(|code| panic!("port {number} of {count} was refused with {code}"))
        })
        .collect();
    if count == OF_EACH_USER {
        assert_eq!(allocate(network, relay, &user(0)).err(), Some(QUOTA_REACHED));
    }
    assert_eq!(allocate(network, relay, "late taker").err(), Some(INSUFFICIENT_CAPACITY));
    takers.iter_mut().for_each(|taker| taker.refresh(0).expect("a client may end its allocation"));
}

fn allocate(network: &Network, relay: &Relay<'_>, user: &str) -> Result<Client, u16> {
    let mut client = Client::udp(&network.bob, relay.plain(), relay.credential(user));
    client.allocate().map(|_| client)
}

/// The last line about the end of this client's allocation.
fn last_line_of(log: &str, client: SocketAddr) -> Option<String> {
    let client = format!(" client={client} ");
    log.lines()
        .rev()
        .find(|line| line.contains("allocation closed") && line.contains(&client))
        .map(str::to_owned)
}

fn number_behind(line: &str, name: &str) -> usize {
    let rest = line.split_once(name).unwrap_or_else(|| panic!("no {name} in {line}")).1;
    let digits = rest.split(|letter: char| !letter.is_ascii_digit()).next();
    digits
        .and_then(|digits| digits.parse().ok())
        .unwrap_or_else(|| panic!("no number behind {name} in {line}"))
}
