//! Relay to relay between two relays of one node, while one takes over from the other: they share no ledger, but
//! each sees which ports the other has open. With and without a 1:1 NAT in front of them.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use crate::support::{Relay, TestClient, at, data_indication, peer, relay_addresses, settings};
use turn::ledger::{Neighbour, OpenPorts};
use turn::{DropReason, Ledger, PeerPolicy, RelayAddress, RelayAddresses, RelayPort};

/// One relay, and what others see of it.
struct Visible {
    relay: Relay,
    neighbour: Neighbour,
}

fn visible(addresses: RelayAddresses, ports: std::ops::RangeInclusive<u16>) -> Visible {
    let open: &'static OpenPorts = Box::leak(Box::default());
    let ledger = Arc::new(Ledger::publishing(addresses, ports, open));
    let own = addresses.present().flat_map(|(_, it)| [it.bind, it.advertised]).collect();
    let mut settings = settings();
    settings.policy = PeerPolicy::new(vec![], vec![], own);
    Visible { relay: Relay::beside(settings, ledger, 1), neighbour: Neighbour { relay: addresses, open } }
}

/// Two relays of one node that see each other.
fn beside(addresses: RelayAddresses, ports: std::ops::RangeInclusive<u16>) -> [Relay; 2] {
    let [old, new] = [(); 2].map(|()| visible(addresses, ports.clone()));
    old.relay.ledger.set_neighbours(&[new.neighbour]);
    new.relay.ledger.set_neighbours(&[old.neighbour]);
    [old.relay, new.relay]
}

fn client(port: u16) -> TestClient {
    TestClient::new(&format!("198.51.100.7:{port}"))
}

/// Alice at the old relay and Bob at the new one, with permission for each other.
fn call(addresses: RelayAddresses) -> ([Relay; 2], [TestClient; 2], [SocketAddr; 2]) {
    let mut relays = beside(addresses, 50_000..=59_999);
    let mut clients = [1, 2].map(client);
    let relayed = [0, 1].map(|side| clients[side].allocate(&mut relays[side]));
    for (side, other) in [(0, 1), (1, 0)] {
        assert_eq!(clients[side].permit(&mut relays[side], relayed[other]).code(), 0);
    }
    (relays, clients, relayed)
}

const INSIDE: &str = "10.0.0.5";

fn behind_nat() -> RelayAddresses {
    let v4 = RelayAddress { bind: INSIDE.parse().unwrap(), advertised: "203.0.113.1".parse().unwrap() };
    RelayAddresses { v4: Some(v4), v6: None }
}

#[test]
fn clients_of_the_two_reach_each_other_through_the_kernel() {
    let (mut relays, mut clients, relayed) = call(relay_addresses());
    for (side, other) in [(0, 1), (1, 0)] {
        let [seen] = clients[side].send(&mut relays[side], relayed[other], b"hello").try_into().unwrap();
        assert_eq!(seen.at_peer(), (relayed[side], relayed[other], b"hello".as_slice()));
        let (to, packet) = relays[other].peer_sends(relayed[side], relayed[other], b"hello").unwrap();
        assert_eq!(to, clients[other].address());
        assert_eq!(data_indication(&packet), (relayed[side], b"hello".as_slice()));
    }
}

#[test]
fn behind_a_nat_they_see_the_outside_addresses() {
    let (mut relays, mut clients, [alices, bobs]) = call(behind_nat());
    let inside = |relayed: SocketAddr| SocketAddr::new(INSIDE.parse::<IpAddr>().unwrap(), relayed.port());
    let [seen] = clients[0].send(&mut relays[0], bobs, b"hello").try_into().unwrap();
    assert_eq!(seen.at_peer().1, inside(bobs), "for the kernel");
    let (_, packet) = relays[1].peer_sends(inside(alices), inside(bobs), b"hello").unwrap();
    assert_eq!(data_indication(&packet).0, alices);
}

#[test]
fn a_port_that_the_other_one_has_is_not_taken() {
    let [mut old, mut new] = beside(relay_addresses(), 50_000..=50_009);
    let mut ports: Vec<_> = (0..10)
        .map(|index| client(index).allocate(if index % 2 == 0 { &mut old } else { &mut new }).port())
        .collect();
    ports.sort_unstable();
    assert_eq!(ports, (50_000..=50_009).collect::<Vec<_>>());
    for relay in [&mut old, &mut new] {
        assert_eq!(client(99).try_allocate(relay).code(), 508);
    }
}

#[test]
fn a_port_that_the_other_one_gives_back_is_free_and_no_longer_reached() {
    let [mut old, mut new] = beside(relay_addresses(), 50_000..=50_001);
    let (mut alice, mut bob) = (client(1), client(2));
    let (alices, bobs) = (alice.allocate(&mut old), bob.allocate(&mut new));
    bob.permit(&mut new, alices);
    assert_eq!(bob.send(&mut new, alices, b"hello").len(), 1);
    alice.refresh(&mut old, 0);
    assert_eq!(bob.send(&mut new, alices, b"hello"), []);
    assert_eq!(new.dropped(DropReason::Policy), 1);
    assert_eq!(client(3).allocate(&mut new), alices);
    assert_ne!(alices, bobs);
}

#[test]
fn one_that_has_left_is_forgotten() {
    let ([_, mut new], [_, mut bob], [alices, _]) = call(relay_addresses());
    new.ledger.set_neighbours(&[]);
    assert_eq!(bob.send(&mut new, alices, b"hello"), []);
}

#[test]
fn nothing_else_that_listens_on_the_node_is_reached() {
    let ([_, mut new], [_, mut bob], [alices, bobs]) = call(relay_addresses());
    let ports = [22, 3478, 6379, 49_999, 60_000, 0].into_iter().chain(50_000..=59_999);
    let others = ports.filter(|port| ![alices.port(), bobs.port()].contains(port));
    for port in others {
        let own = SocketAddr::new(bobs.ip(), port);
        assert_eq!(bob.send(&mut new, own, b"hello"), [], "port {port}");
    }
}

/// A relay that has `ports`, and Alice at a neighbour that has port 50000 on another address.
fn beside_another_address(ports: std::ops::RangeInclusive<u16>) -> (Relay, SocketAddr) {
    let mut old = visible(behind_nat(), 50_000..=50_000);
    let alices = client(1).allocate(&mut old.relay);
    let new = visible(relay_addresses(), ports).relay;
    new.ledger.set_neighbours(&[old.neighbour]);
    (new, alices)
}

#[test]
fn a_neighbour_on_another_address_opens_no_port_of_this_one() {
    let (mut new, alices) = beside_another_address(50_001..=50_001);
    let mut bob = client(2);
    bob.allocate(&mut new);
    bob.permit(&mut new, alices);
    assert_eq!(bob.send(&mut new, alices, b"hello"), [], "here it is anybody's");
}

#[test]
fn a_neighbour_on_another_address_takes_no_port_of_this_one() {
    let (mut new, _) = beside_another_address(50_000..=50_000);
    assert_eq!(client(2).allocate(&mut new).port(), 50_000);
}

#[test]
fn what_is_taken_over_may_still_be_open_where_it_was() {
    let [mut old, new] = beside(relay_addresses(), 50_000..=50_000);
    let relayed = client(1).allocate(&mut old);
    let address = relay_addresses().v4.unwrap();
    let port = new.ledger.claim_port(address, RelayPort::new(relayed.port())).unwrap();
    assert_eq!(port.local(), relayed);
}

#[test]
fn what_comes_from_a_port_that_nobody_relays_on_is_a_strangers() {
    let ([_, mut new], [_, mut bob], [_, bobs]) = call(behind_nat());
    bob.permit(&mut new, peer());
    let inside = SocketAddr::new(INSIDE.parse().unwrap(), bobs.port());
    assert_eq!(new.peer_sends(at("10.0.0.5:53"), inside, b"hello"), None);
}
