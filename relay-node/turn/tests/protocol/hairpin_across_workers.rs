//! Relay to relay between workers of one node: handed from one to the other past the kernel, or through it
//! where that cannot be. Both ways end alike.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::support::{Relay, Seen, TestClient, channel_data, data_indication, relay_addresses, settings};
use turn::{DropReason, Ledger, RelayAddress, RelayAddresses, Shortcut, Traffic};

/// Two workers with a client each, who have permission for each other.
struct Pair {
    relays: [Relay; 2],
    clients: [TestClient; 2],
    relayed: [SocketAddr; 2],
}

impl Pair {
    fn new() -> Self {
        Self::on(relay_addresses())
    }

    fn on(addresses: RelayAddresses) -> Self {
        let ledger = Arc::new(Ledger::new(addresses, 50_000..=59_999));
        let mut relays = [1, 2].map(|worker| Relay::beside(settings(), Arc::clone(&ledger), worker));
        let mut clients = ["198.51.100.7:1", "198.51.100.8:1"].map(TestClient::new);
        let relayed = [0, 1].map(|side| clients[side].allocate(&mut relays[side]));
        for (side, other) in [(0, 1), (1, 0)] {
            assert_eq!(clients[side].permit(&mut relays[side], relayed[other]).code(), 0);
        }
        Self { relays, clients, relayed }
    }

    /// What the first one's worker makes of what it sends to the second one.
    fn send(&mut self, payload: &[u8]) -> Seen {
        let [seen] = self.clients[0].send(&mut self.relays[0], self.relayed[1], payload).try_into().unwrap();
        seen
    }

    fn shortcut(&mut self) -> Shortcut {
        self.send(b"hello").by_shortcut()
    }
}

#[test]
fn arrives_alike_by_the_shortcut_and_through_the_kernel() {
    let mut pair = Pair::new();
    let [from, to] = pair.relayed;
    let seen = pair.send(b"hello");
    assert_eq!(seen.at_peer(), (from, to, b"hello".as_slice()));
    let second = &mut pair.relays[1];
    for arrived in [second.shortcut(seen.by_shortcut(), b"hello"), second.peer_sends(from, to, b"hello")] {
        let (client, packet) = arrived.unwrap();
        assert_eq!(client, pair.clients[1].address());
        assert_eq!(data_indication(&packet), (from, b"hello".as_slice()));
    }
}

#[test]
fn arrives_on_the_channel_that_is_bound_to_the_other_one() {
    let mut pair = Pair::new();
    let shortcut = pair.shortcut();
    pair.clients[1].bind(&mut pair.relays[1], 0x4000, pair.relayed[0]);
    let (_, packet) = pair.relays[1].shortcut(shortcut, b"hello").unwrap();
    assert_eq!(packet, channel_data(0x4000, b"hello"));
}

#[test]
fn behind_a_nat_it_comes_from_the_outside_address() {
    let v4 = RelayAddress { bind: "10.0.0.5".parse().unwrap(), advertised: "203.0.113.1".parse().unwrap() };
    let mut pair = Pair::on(RelayAddresses { v4: Some(v4), v6: None });
    let seen = pair.send(b"hello");
    assert_eq!(seen.at_peer().1.ip(), v4.bind, "for the kernel");
    let (_, packet) = pair.relays[1].shortcut(seen.by_shortcut(), b"hello").unwrap();
    assert_eq!(data_indication(&packet).0, pair.relayed[0]);
}

#[test]
fn each_worker_counts_its_own_part() {
    let mut pair = Pair::new();
    let shortcut = pair.shortcut();
    pair.relays[1].shortcut(shortcut, b"hello").unwrap();
    let counted = pair.relays.map(|relay| (relay.turn.stats().to_peers, relay.turn.stats().to_clients));
    let (none, once) = (Traffic::default(), Traffic { packets: 1, bytes: 5 });
    assert_eq!(counted, [(once, none), (none, once)]);
}

#[test]
fn needs_the_other_ones_permission() {
    let mut pair = Pair::new();
    let shortcut = pair.shortcut();
    pair.relays[1].wait(std::time::Duration::from_secs(301));
    assert_eq!(pair.relays[1].shortcut(shortcut, b"hello"), None);
    assert_eq!(pair.relays[1].dropped(DropReason::NoPermission), 1);
}

#[test]
fn keeps_to_the_other_ones_bandwidth() {
    let mut pair = Pair::new();
    let shortcut = pair.shortcut();
    let mut slow = settings();
    slow.limits.user.bits_per_second = Some(8 * (5 + 28));
    pair.relays[1].apply(slow);
    assert!(pair.relays[1].shortcut(shortcut, b"hello").is_some());
    assert_eq!(pair.relays[1].shortcut(shortcut, b"hello"), None);
    assert_eq!(pair.relays[1].dropped(DropReason::Bandwidth), 1);
}

#[test]
fn never_reaches_who_has_the_place_of_one_that_ended() {
    let mut pair = Pair::new();
    let (shortcut, former) = (pair.shortcut(), pair.relayed[1]);
    pair.clients[1].refresh(&mut pair.relays[1], 0);
    assert_eq!(pair.relays[1].shortcut(shortcut, b"hello"), None);
    let heir = pair.clients[1].allocate(&mut pair.relays[1]);
    assert_ne!(heir, former);
    pair.clients[1].permit(&mut pair.relays[1], pair.relayed[0]);
    assert_eq!(pair.relays[1].shortcut(shortcut, b"hello"), None);
    assert_eq!(pair.relays[1].dropped(DropReason::NoAllocation), 2);
    assert_eq!(pair.clients[0].send(&mut pair.relays[0], former, b"hello"), [], "nobody has it any more");
}
