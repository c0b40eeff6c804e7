//! A peer with permission floods 200 relayed addresses at once, with more than a worker forwards.

use std::time::Duration;

use edgerelay_e2e::Network;
use edgerelay_e2e::client::Client;
use edgerelay_e2e::cores;
use edgerelay_e2e::crowd::Crowd;
use edgerelay_e2e::pace::at_rate;
use edgerelay_e2e::peer::Peer;
use edgerelay_e2e::relay::Relay;
use edgerelay_e2e::steady::Steady;
use edgerelay_e2e::transport::Transport;

const ALLOCATIONS: usize = 200;
/// As fast as they can be sent.
const RATE: u32 = 1_000_000;
/// Of a voice packet.
const PAYLOAD: usize = 160;
const DURATION: Duration = Duration::from_secs(6);
const BOUND: u64 = 4 << 20;

#[test]
fn are_flooded() {
    let network = Network::new();
    let relay = Relay::as_shipped(&network, &[]);
    let steady = Steady::before(&network, &relay);
    let peer = Peer::new(&network.peer.namespace, network.peer.v4.into());
    let crowd = Crowd::new(ALLOCATIONS, &relay, peer, |credential| {
        Client::udp(&network.bob, relay.plain(), credential)
    });

    let forwarded = || relay.metric("turn_relayed_packets_total", &["direction=\"to_clients\""]);
    let before = forwarded();
    let mut part = 1.0;
    let impact = steady.during(&[Transport::Udp, Transport::Tcp], || {
        // A packet costs who sends it more than the relay.
        cores::crowd_the_relays();
        let sent = at_rate(RATE, DURATION, |turn| crowd.send(turn, &[0; PAYLOAD]));
        let forwarded = forwarded() - before;
        println!("{sent} packets to {ALLOCATIONS} relayed addresses, {forwarded} packets forwarded");
        part = forwarded / f64::from(sent);
    });
    impact.is_none(BOUND);
    assert!(part < 0.5, "the flood is no more than the relay forwards");
    crowd.leave();
    steady.holds(BOUND);
}
