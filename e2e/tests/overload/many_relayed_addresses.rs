//! Peers with permission flood 200 relayed addresses at once, with more than a worker forwards.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use edgerelay_e2e::Network;
use edgerelay_e2e::client::Client;
use edgerelay_e2e::pace::at_rate;
use edgerelay_e2e::peer::Peer;
use edgerelay_e2e::relay::{Relay, share_the_relays_core};
use edgerelay_e2e::steady::Steady;
use edgerelay_e2e::transport::Transport;

const USERS: usize = 4;
const ALLOCATIONS: usize = 200;
const RATE: u32 = 120_000;
/// Threads that want the relay's core too.
const OTHERS: usize = 6;
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
    let mut clients: Vec<Client> = (0..ALLOCATIONS)
        .map(|number| {
            let credential = relay.credential(&format!("user {}", number % USERS));
            Client::udp(&network.bob, relay.plain(), credential)
        })
        .collect();
    let relayed: Vec<_> = clients
        .iter_mut()
        .map(|client| {
            let relayed = client.allocate().expect("within the limits of its user");
            client.permit(peer.address()).expect("the peer's address is public");
            relayed
        })
        .collect();

    let before = relay.metric("turn_relayed_packets_total", &[]);
    let over = AtomicBool::new(false);
    let impact = steady.during(&[Transport::Udp, Transport::Tcp], || {
        thread::scope(|scope| {
            // One sender sends no more than a whole core forwards.
            for _ in 0..OTHERS {
                scope.spawn(|| share_the_relays_core(&over));
            }
            let sent = at_rate(RATE, DURATION, |turn| {
                peer.send(relayed[turn as usize % ALLOCATIONS], &[0; PAYLOAD])
            });
            over.store(true, Ordering::Relaxed);
            let forwarded = relay.metric("turn_relayed_packets_total", &[]) - before;
            println!("{sent} packets to {ALLOCATIONS} relayed addresses, {forwarded} packets forwarded");
        });
    });
    impact.is_none(BOUND);
    for client in &mut clients {
        client.refresh(0).expect("a client may end its allocation");
    }
    steady.holds(BOUND);
}
