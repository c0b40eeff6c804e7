//! `kill -9` of keeper and relay, and `serve` again on the same directory, as after the restart of a container.

use std::net::UdpSocket;
use std::thread;
use std::time::{Duration, Instant};

use edgerelay_e2e::Network;
use edgerelay_e2e::binary;
use edgerelay_e2e::calls::{Calls, INTERVAL};
use edgerelay_e2e::client::Client;
use edgerelay_e2e::peer::Peer;
use edgerelay_e2e::relay::Relay;
use stun::Method;
use testbed::eventually_true;

use crate::accounts;
use crate::multitude::{COUNT, LIMITS, Multitude};
use crate::place::Place;
use crate::scene::{
    CALLS, OF_EACH_USER, SETTINGS, SOON, await_ready, during, nobody_acted, silence_is_below,
};

/// What is aimed at is a second; a busy machine has less time for the relay.
const SILENCE: Duration = Duration::from_secs(3);
/// How long calls go on before they are disturbed, and after.
const UNDISTURBED: Duration = Duration::from_secs(2);
const ALLOCATION_MISMATCH: u16 = 437;

#[test]
fn calls_go_on_at_connected_and_unconnected_sockets() {
    let network = Network::new();
    // Else the kernel would tell a few clients only that nobody listens.
    network.relay.namespace.sysctl("ipv4/icmp_ratelimit", "0").expect("root may");
    network.relay.namespace.sysctl("ipv6/icmp/ratelimit", "0").expect("root may");
    let place = Place::new();
    let settings = place.settings(&SETTINGS);
    let mut relay = Relay::undisturbed(&network, &settings);
    let calls = Calls::begin(&network, &relay, CALLS, OF_EACH_USER);
    let course = during(&network, &relay, calls, || {
        thread::sleep(UNDISTURBED);
        let killed = Instant::now();
        relay.kill_all();
        let mut next = relay.another(binary::relay(), &settings);
        await_ready(&mut next);
        thread::sleep(UNDISTURBED);
        (next, killed)
    });
    let (next, killed) = course.outcome;
    relay.becomes(next);
    let report = &course.report;
    let impact = report.impacts(&[killed])[0];
    println!("both killed at {impact}; aim: less than a second");
    nobody_acted(report);
    assert!(
        report.unreachable(true) > 0,
        "no connected client was told that nobody listened: the test shows nothing"
    );
    assert_eq!(report.unreachable(false), 0);
    // While nobody listens, packets are lost, with those that were on their way; no others are.
    let lost = report.lost_outside(killed - INTERVAL, killed + impact.gap);
    assert_eq!(lost, 0, "packets were lost before or after the silence");
    accounts::are_exactly_those_of(course.calls, &network, &relay);
    silence_is_below(SILENCE, &course.report);
}

#[test]
fn ten_thousand_allocations_are_restored() {
    let network = Network::new();
    let place = Place::new();
    let settings = place.settings(&LIMITS);
    let mut relay = Relay::undisturbed(&network, &settings);
    let mut multitude = Multitude::begin(&network, &relay);

    relay.kill_all();
    // Who starts it again waits until all its sockets are closed.
    relay.process().wait(SOON);
    let started = Instant::now();
    let next = relay.another(binary::relay(), &settings);
    relay.becomes(next);
    let (last, _) = multitude.clients.last_mut().expect("there are many");
    let refresh = last.signed(Method::REFRESH, |_| {});
    eventually_true(SOON, "an answer", || {
        last.send(&refresh);
        last.receive(Duration::from_millis(5)).is_some()
    });
    println!("{COUNT} allocations restored: an answer {:?} after the start", started.elapsed());
    relay.await_ready();
    println!("the relay says: {}", lines_with(&relay.log(), " go on"));
    multitude.assert_on(&relay);
}

#[test]
fn a_port_that_somebody_took_ends_its_allocation_only() {
    let network = Network::new();
    let place = Place::new();
    let settings = place.settings(&SETTINGS);
    let mut relay = Relay::undisturbed(&network, &settings);
    let peer = Peer::new(&network.peer.namespace, network.peer.v4.into());
    let mut clients = ["alice", "bob", "carol"].map(|user| {
        let mut client = Client::udp(&network.alice, relay.plain(), relay.credential(user));
        let relayed = client.allocate().expect("within the limits");
        client.permit(peer.address()).expect("the peer's address is public");
        (client, relayed)
    });

    relay.kill_all();
    relay.process().wait(SOON);
    let taken = clients[1].1;
    let _somebody = network.relay.namespace.enter(|| UdpSocket::bind(taken)).expect("nobody has it");
    let next = relay.another(binary::relay(), &settings);
    relay.becomes(next);
    relay.await_ready();
    eventually_true(SOON, "two allocations to be there", || relay.allocations() == 2);
    assert_eq!(clients[1].0.refresh(600), Err(ALLOCATION_MISMATCH));
    for (client, relayed) in clients.iter_mut().filter(|(_, relayed)| *relayed != taken) {
        peer.send(*relayed, b"still there?");
        assert_eq!(client.data(), Some((peer.address(), b"still there?".to_vec())));
        client.refresh(0).expect("it is still there");
    }
}

fn lines_with(log: &str, word: &str) -> String {
    log.lines().filter(|line| line.contains(word)).collect::<Vec<_>>().join("\n")
}
