//! Relay to relay on one node, and what of the node itself may not be reached; with and without a
//! 1:1 NAT in front of it.

use std::net::{IpAddr, SocketAddr};

use crate::support::{Relay, TestClient, at, channel_data, data_indication, settings};
use stun::Method;
use stun::attribute::RequestedTransport;
use turn::{DropReason, Output, PeerPolicy, RelayAddress, RelayAddresses};

const PRIVATE: &str = "10.0.0.5";

/// A node that is 10.0.0.5 to itself and 203.0.113.1 to the world.
fn behind_nat() -> Relay {
    let mut settings = settings();
    let bind: IpAddr = PRIVATE.parse().unwrap();
    let v4 = Some(RelayAddress { bind, advertised: "203.0.113.1".parse().unwrap() });
    settings.policy = PeerPolicy::new(vec![], vec![], vec!["203.0.113.1".parse().unwrap(), bind]);
    Relay::on_addresses(settings, RelayAddresses { v4, v6: None })
}

/// How the node itself knows a relayed address.
fn inside(relayed: SocketAddr) -> SocketAddr {
    SocketAddr::new(PRIVATE.parse().unwrap(), relayed.port())
}

/// Alice and Bob with allocations on one node, and permission for each other.
fn pair(mut relay: Relay) -> (Relay, [TestClient; 2], [SocketAddr; 2]) {
    let mut alice = TestClient::new("198.51.100.7:4000");
    let mut bob = TestClient::new("198.51.100.8:4000").named("bob", "builder");
    let relayed = [alice.allocate(&mut relay), bob.allocate(&mut relay)];
    assert_eq!(alice.permit(&mut relay, relayed[1]).code(), 0);
    assert_eq!(bob.permit(&mut relay, relayed[0]).code(), 0);
    (relay, [alice, bob], relayed)
}

#[test]
fn two_clients_of_one_node_reach_each_other() {
    let (mut relay, [mut alice, bob], [alices, bobs]) = pair(Relay::new());
    let seen = alice.send(&mut relay, bobs, b"hello");
    assert_eq!(seen[0].at_peer(), (alices, bobs, b"hello".as_slice()));
    let (client, packet) = relay.peer_sends(alices, bobs, b"hello").unwrap();
    assert_eq!(client, bob.address());
    assert_eq!(data_indication(&packet), (alices, b"hello".as_slice()));
}

#[test]
fn over_channels_too() {
    let (mut relay, [mut alice, mut bob], [alices, bobs]) = pair(Relay::new());
    assert_eq!(alice.bind(&mut relay, 0x4000, bobs).code(), 0);
    assert_eq!(bob.bind(&mut relay, 0x4001, alices).code(), 0);
    assert_eq!(alice.channel_data(&mut relay, 0x4000, b"hello")[0].at_peer().1, bobs);
    assert_eq!(relay.peer_sends(alices, bobs, b"hello").unwrap().1, channel_data(0x4001, b"hello"));
}

#[test]
fn one_client_reaches_itself() {
    let (mut relay, [mut alice, _], [alices, _]) = pair(Relay::new());
    alice.permit(&mut relay, alices);
    assert_eq!(alice.send(&mut relay, alices, b"hello")[0].at_peer().1, alices);
    assert!(relay.peer_sends(alices, alices, b"hello").is_some());
}

#[test]
fn behind_a_nat_packets_go_straight_to_the_inside_address() {
    let (mut relay, [mut alice, bob], [alices, bobs]) = pair(behind_nat());
    assert_eq!(bobs.ip(), at("203.0.113.1:0").ip(), "clients are told the outside address");
    let seen = alice.send(&mut relay, bobs, b"hello");
    assert_eq!(seen[0].at_peer(), (inside(alices), inside(bobs), b"hello".as_slice()));
    // What arrives comes from the inside address; Bob permitted, and is told, the outside one.
    let (client, packet) = relay.peer_sends(inside(alices), inside(bobs), b"hello").unwrap();
    assert_eq!(client, bob.address());
    assert_eq!(data_indication(&packet), (alices, b"hello".as_slice()));
}

#[test]
fn behind_a_nat_that_turns_packets_round_it_works_as_well() {
    let (mut relay, _, [alices, bobs]) = pair(behind_nat());
    let (_, packet) = relay.peer_sends(alices, inside(bobs), b"hello").unwrap();
    assert_eq!(data_indication(&packet).0, alices);
}

#[test]
fn behind_a_nat_channels_are_bound_to_the_outside_address() {
    let (mut relay, [mut alice, mut bob], [alices, bobs]) = pair(behind_nat());
    assert_eq!(alice.bind(&mut relay, 0x4000, bobs).code(), 0);
    assert_eq!(bob.bind(&mut relay, 0x4001, alices).code(), 0);
    assert_eq!(alice.channel_data(&mut relay, 0x4000, b"hello")[0].at_peer().1, inside(bobs));
    let back = relay.peer_sends(inside(alices), inside(bobs), b"hello").unwrap();
    assert_eq!(back.1, channel_data(0x4001, b"hello"));
}

#[test]
fn nothing_else_that_listens_on_the_node_is_reached() {
    for relay in [Relay::new(), behind_nat()] {
        let (mut relay, [mut alice, _], [_, bobs]) = pair(relay);
        let free = (50000..=59999).find(|port| relay.sockets.keys().all(|it| it.port() != *port)).unwrap();
        for port in [22, 53, 3478, 6379, 9090, free, 49999, 60000, 65535, 0] {
            let own = SocketAddr::new(bobs.ip(), port);
            assert_eq!(alice.send(&mut relay, own, b"hello"), [], "port {port}");
        }
        assert_eq!(relay.dropped(DropReason::Policy), 10);
        alice.bind(&mut relay, 0x4000, SocketAddr::new(bobs.ip(), 6379));
        assert_eq!(alice.channel_data(&mut relay, 0x4000, b"hello"), []);
    }
}

#[test]
fn an_allowed_range_around_the_node_does_not_open_it() {
    let reached = |allow: &str, own: &[&str]| {
        let mut settings = settings();
        let own = own.iter().map(|ip| ip.parse().unwrap()).collect();
        settings.policy = PeerPolicy::new(vec![allow.parse().unwrap()], vec![], own);
        let (mut relay, [mut alice, _], [_, bobs]) = pair(Relay::with(settings));
        assert_eq!(alice.send(&mut relay, bobs, b"hello").len(), 1, "relay to relay goes on");
        !alice.send(&mut relay, SocketAddr::new(bobs.ip(), 6379), b"hello").is_empty()
    };
    assert!(!reached("203.0.113.0/24", &["203.0.113.1"]));
    assert!(!reached("203.0.113.0/24", &[]), "even if nobody said that it is the node's own");
    assert!(!reached("198.51.100.0/24", &[]));
    assert!(reached("203.0.113.1/32", &["203.0.113.1"]), "that very address does");
}

#[test]
fn the_inside_address_is_no_peer() {
    let (mut relay, [mut alice, _], [_, bobs]) = pair(behind_nat());
    assert_eq!(alice.permit(&mut relay, inside(bobs)).code(), 403);
    assert_eq!(alice.bind(&mut relay, 0x4000, inside(bobs)).code(), 403);
}

#[test]
fn what_the_node_sends_from_another_port_is_a_strangers() {
    let (mut relay, _, [_, bobs]) = pair(behind_nat());
    assert_eq!(relay.peer_sends(at("10.0.0.5:53"), inside(bobs), b"hello"), None);
}

#[test]
fn an_allocation_that_ended_is_not_reached() {
    let (mut relay, [mut alice, mut bob], [_, bobs]) = pair(Relay::new());
    bob.refresh(&mut relay, 0);
    assert_eq!(alice.send(&mut relay, bobs, b"hello"), []);
    assert_eq!(relay.dropped(DropReason::Policy), 1);
}

#[test]
fn needs_the_other_ones_permission() {
    let (mut relay, [mut alice, _], [alices, _]) = pair(Relay::new());
    let mut carol = TestClient::new("198.51.100.9:4000");
    let carols = carol.allocate(&mut relay);
    alice.permit(&mut relay, carols);
    assert_eq!(alice.send(&mut relay, carols, b"hello").len(), 1);
    assert_eq!(relay.peer_sends(alices, carols, b"hello"), None);
}

#[test]
fn can_be_forbidden_by_the_deny_list() {
    let mut forbidding = settings();
    forbidding.policy = PeerPolicy::new(vec![], vec!["203.0.113.0/24".parse().unwrap()], vec![]);
    let mut relay = Relay::with(forbidding);
    let mut alice = TestClient::new("198.51.100.7:4000");
    let alices = alice.allocate(&mut relay);
    assert_eq!(alice.permit(&mut relay, alices).code(), 403);
}

#[test]
fn a_port_is_reached_only_once_its_socket_is_the_relays() {
    let (mut relay, [mut alice, mut bob], [_, bobs]) = pair(Relay::new());
    bob.refresh(&mut relay, 0);
    let mut carol = TestClient::new("198.51.100.9:4000");
    carol.learn_nonce(&mut relay);
    let request =
        carol.signed(Method::ALLOCATE, |writer| writer.attribute(&RequestedTransport::UDP).map(drop));
    relay.turn.client_packet(relay.now, &carol.path, &request);
    let Some(Output::OpenRelay { relay: id, local }) = relay.turn.poll_output() else { panic!("no socket") };
    // Until it is bound, another program of this node may have that port.
    let reached = |relay: &mut Relay, alice: &mut TestClient| {
        !alice.send(relay, SocketAddr::new(bobs.ip(), local.port()), b"hello").is_empty()
    };
    assert!(!reached(&mut relay, &mut alice));
    relay.turn.relay_opened(relay.now, id, Ok(()));
    assert!(reached(&mut relay, &mut alice));
}
