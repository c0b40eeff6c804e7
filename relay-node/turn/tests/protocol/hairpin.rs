//! Relay to relay on one node: straight from client to client, as if the packet had been outside. And what of
//! the node itself may not be reached. With and without a 1:1 NAT in front of it.

use std::net::{IpAddr, SocketAddr};

use crate::support::{Relay, TestClient, at, channel_data, data_indication, peer, settings};
use turn::Transport::{Tcp, Tls, Udp};
use turn::{DropReason, Event, Output, PeerPolicy, RelayAddress, RelayAddresses, Traffic};
use turn_client::send_indication;

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
    let (client, packet) = seen[0].at_client();
    assert_eq!((seen.len(), client), (1, bob.address()));
    assert_eq!(data_indication(packet), (alices, b"hello".as_slice()));
}

#[test]
fn over_channels_too() {
    let (mut relay, [mut alice, mut bob], [alices, bobs]) = pair(Relay::new());
    assert_eq!(alice.bind(&mut relay, 0x4000, bobs).code(), 0);
    assert_eq!(bob.bind(&mut relay, 0x4001, alices).code(), 0);
    let seen = alice.channel_data(&mut relay, 0x4000, b"hello");
    assert_eq!(seen[0].at_client(), (bob.address(), channel_data(0x4001, b"hello").as_slice()));
}

#[test]
fn what_arrives_is_what_would_have_come_from_outside() {
    let over = |transport, address| TestClient::over(transport, address);
    for (from, to) in [(Udp, Udp), (Udp, Tcp), (Tcp, Udp), (Tls, Tcp)] {
        for channels in [[false, false], [false, true], [true, false], [true, true]] {
            let mut relay = Relay::new();
            let [mut alice, mut bob] = [over(from, "198.51.100.7:4000"), over(to, "198.51.100.8:4000")];
            let [alices, bobs] = [alice.allocate(&mut relay), bob.allocate(&mut relay)];
            for (client, peer, number, channel) in
                [(&mut alice, bobs, 0x4000, channels[0]), (&mut bob, alices, 0x4FFF, channels[1])]
            {
                let answer = if channel {
                    client.bind(&mut relay, number, peer)
                } else {
                    client.permit(&mut relay, peer)
                };
                assert_eq!(answer.code(), 0);
            }
            for size in [0, 1, 2, 3, 4, 160, 1201] {
                let payload = vec![7; size];
                let seen = match channels[0] {
                    true => alice.channel_data(&mut relay, 0x4000, &payload),
                    false => alice.send(&mut relay, bobs, &payload),
                };
                let (client, packet) = seen[0].at_client();
                assert_eq!(client, bob.address());
                let outside = relay.peer_sends(alices, bobs, &payload).unwrap().1;
                match channels[1] {
                    true => assert_eq!(packet, outside),
                    // The transaction is another one.
                    false => assert_eq!(data_indication(packet), data_indication(&outside)),
                }
            }
        }
    }
}

#[test]
fn one_client_reaches_itself() {
    let (mut relay, [mut alice, _], [alices, _]) = pair(Relay::new());
    alice.permit(&mut relay, alices);
    let seen = alice.send(&mut relay, alices, b"hello");
    assert_eq!(seen[0].at_client().0, alice.address());
    assert_eq!(data_indication(seen[0].at_client().1), (alices, b"hello".as_slice()));
}

#[test]
fn both_sides_count_it() {
    let (mut relay, [mut alice, mut bob], [_, bobs]) = pair(Relay::new());
    alice.send(&mut relay, bobs, b"hello");
    let once = Traffic { packets: 1, bytes: 5 };
    assert_eq!((relay.turn.stats().to_peers, relay.turn.stats().to_clients), (once, once));
    bob.refresh(&mut relay, 0);
    alice.refresh(&mut relay, 0);
    let traffic: Vec<_> = relay
        .events
        .iter()
        .filter_map(|event| match event {
            Event::AllocationClosed { to_peers, to_client, .. } => Some((*to_peers, *to_client)),
            _ => None,
        })
        .collect();
    assert_eq!(traffic, [(Traffic::default(), once), (once, Traffic::default())]);
}

/// Alice and Bob with a bandwidth for one packet of a thousand bytes each, in a burst.
fn metered() -> (Relay, [TestClient; 2], [SocketAddr; 2]) {
    let mut metered = settings();
    metered.limits.user.bits_per_second = Some(8 * (1000 + 28));
    pair(Relay::with(metered))
}

#[test]
fn costs_the_bandwidth_of_both() {
    let (mut relay, [mut alice, mut bob], [_, bobs]) = metered();
    assert_eq!(alice.send(&mut relay, bobs, &[0; 1000]).len(), 1);
    bob.permit(&mut relay, peer());
    assert_eq!(bob.send(&mut relay, peer(), b""), [], "what came for Bob has used his up");
    assert_eq!(relay.dropped(DropReason::Bandwidth), 1);
    assert_eq!(alice.send(&mut relay, bobs, b""), []);
    assert_eq!(relay.dropped(DropReason::Bandwidth), 2);
}

#[test]
fn is_dropped_if_the_receiver_is_over_its_bandwidth() {
    let (mut relay, [mut alice, mut bob], [_, bobs]) = metered();
    bob.permit(&mut relay, peer());
    assert_eq!(bob.send(&mut relay, peer(), &[0; 1000]).len(), 1);
    assert_eq!(alice.send(&mut relay, bobs, &[0; 1000]), []);
    assert_eq!(relay.dropped(DropReason::Bandwidth), 1);
    assert_eq!((relay.turn.stats().to_peers.packets, relay.turn.stats().to_clients.packets), (2, 0));
    assert_eq!(alice.send(&mut relay, bobs, b""), [], "the sender has paid");
}

#[test]
fn a_packet_that_must_not_be_fragmented_arrives() {
    let (mut relay, [mut alice, bob], [_, bobs]) = pair(Relay::new());
    let packet = send_indication(alice.transaction(), bobs, b"hello", true).unwrap();
    assert_eq!(relay.packet(&alice.path, &packet)[0].at_client().0, bob.address());
}

#[test]
fn what_no_datagram_can_carry_is_left_to_the_kernel_to_refuse() {
    let mut relay = Relay::new();
    let [mut alice, mut bob] =
        ["198.51.100.7:1", "198.51.100.8:1"].map(|address| TestClient::over(Tcp, address));
    let [alices, bobs] = [alice.allocate(&mut relay), bob.allocate(&mut relay)];
    alice.bind(&mut relay, 0x4000, bobs);
    bob.bind(&mut relay, 0x4000, alices);
    let longest = vec![7; 65_507];
    let seen = alice.channel_data(&mut relay, 0x4000, &longest);
    assert_eq!(seen[0].at_client().0, bob.address());
    let longer = vec![7; 65_508];
    assert_eq!(alice.channel_data(&mut relay, 0x4000, &longer)[0].at_peer().1, bobs);
}

#[test]
fn behind_a_nat_clients_see_the_outside_address() {
    let (mut relay, [mut alice, bob], [alices, bobs]) = pair(behind_nat());
    assert_eq!(bobs.ip(), at("203.0.113.1:0").ip());
    let seen = alice.send(&mut relay, bobs, b"hello");
    let (client, packet) = seen[0].at_client();
    assert_eq!(client, bob.address());
    assert_eq!(data_indication(packet), (alices, b"hello".as_slice()));
    // The same for what went through the kernel, which comes from the inside address.
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
    let arrives = channel_data(0x4001, b"hello");
    assert_eq!(alice.channel_data(&mut relay, 0x4000, b"hello")[0].at_client().1, arrives);
    assert_eq!(relay.peer_sends(inside(alices), inside(bobs), b"hello").unwrap().1, arrives);
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
fn a_port_that_nobody_relays_on_is_the_kernels_where_the_policy_opens_the_node() {
    let mut open = settings();
    open.policy = PeerPolicy::new(vec!["203.0.113.1/32".parse().unwrap()], vec![], vec![]);
    let (mut relay, [mut alice, mut bob], [alices, bobs]) = pair(Relay::with(open));
    bob.refresh(&mut relay, 0);
    // It answers with an ICMP error.
    assert_eq!(alice.send(&mut relay, bobs, b"hello")[0].at_peer(), (alices, bobs, b"hello".as_slice()));
}

#[test]
fn needs_the_other_ones_permission() {
    let (mut relay, [mut alice, _], _) = pair(Relay::new());
    let mut carol = TestClient::new("198.51.100.9:4000");
    let carols = carol.allocate(&mut relay);
    alice.permit(&mut relay, carols);
    assert_eq!(alice.send(&mut relay, carols, b"hello"), []);
    assert_eq!(relay.dropped(DropReason::NoPermission), 1);
    assert_eq!(relay.turn.stats().to_peers.packets, 1, "it did leave the sender's address");
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
    let request = carol.signed_allocate();
    relay.packet_alone(&carol.path, &request);
    let Some(Output::OpenRelay { relay: id, local }) = relay.turn.poll_output() else { panic!("no socket") };
    // Until it is bound, another program of this node may have that port.
    let carols = SocketAddr::new(bobs.ip(), local.port());
    alice.send(&mut relay, carols, b"hello");
    assert_eq!(relay.dropped(DropReason::Policy), 1);
    relay.turn.relay_opened(relay.now, id, Ok(()));
    alice.send(&mut relay, carols, b"hello");
    assert_eq!(relay.dropped(DropReason::Policy), 1);
    assert_eq!(relay.dropped(DropReason::NoPermission), 1, "Carol has permitted nobody");
}
