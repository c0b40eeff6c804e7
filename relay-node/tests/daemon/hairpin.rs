//! Two clients of one relay reach each other through their relayed addresses, without two more trips through
//! the kernel.

use std::net::SocketAddr;

use stun::TransactionId;
use turn::Transport;
use turn_client::{Path, channel_data, send_indication};

use crate::support::{Client, Node, NodePlan, Packet, Wire, wait_until};

#[test]
fn relay_to_relay_over_ipv4() {
    let node = NodePlan::udp().workers(2).start();
    let (mut alice, mut bob) = (Client::udp(node.address()), Client::udp(node.address()));
    let (of_alice, of_bob) = (alice.allocate(), bob.allocate());
    alice.bind(0x4000, of_bob);
    bob.bind(0x4001, of_alice);
    alice.send_channel(0x4000, b"hello");
    assert_eq!(bob.receive(), Packet::Channel { number: 0x4001, payload: b"hello".to_vec() });
    bob.send_channel(0x4001, b"world");
    assert_eq!(alice.receive(), Packet::Channel { number: 0x4000, payload: b"world".to_vec() });
}

#[test]
fn relay_to_relay_over_ipv6_between_clients_of_both_families() {
    let node = NodePlan::udp().listen(Transport::Udp, "[::1]:0").start();
    let (mut alice, mut bob) = (Client::udp(node.address()), Client::udp(node.address_of(1)));
    let (of_alice, of_bob) = (alice.allocate_v6(), bob.allocate_v6());
    assert!(of_alice.is_ipv6() && of_bob.is_ipv6());
    alice.permit(of_bob);
    bob.permit(of_alice);
    alice.send(of_bob, b"hello", false);
    assert_eq!(bob.receive(), Packet::Data { peer: of_alice, payload: b"hello".to_vec() });
    bob.send(of_alice, b"world", true);
    assert_eq!(alice.receive(), Packet::Data { peer: of_bob, payload: b"world".to_vec() });
}

/// What both get on a channel.
fn on_channel(payload: &[u8]) -> Packet {
    Packet::Channel { number: 0x4000, payload: payload.to_vec() }
}

/// Allocations that are bound to each other.
fn join<A: Wire, B: Wire>(alice: &mut Client<A>, bob: &mut Client<B>) -> [SocketAddr; 2] {
    let relayed = [alice.allocate(), bob.allocate()];
    alice.bind(0x4000, relayed[1]);
    bob.bind(0x4000, relayed[0]);
    relayed
}

fn received(node: &Node) -> u64 {
    node.count(|stats| stats.datagrams_received)
}

const PACKETS: u8 = 50;

#[test]
fn a_packet_is_received_once_by_the_relay() {
    let node = NodePlan::udp().start();
    let (mut alice, mut bob) = (Client::udp(node.address()), Client::udp(node.address()));
    join(&mut alice, &mut bob);
    wait_until("the requests are counted", || received(&node) == 6);
    for number in 0..PACKETS {
        alice.send_channel(0x4000, &[number; 160]);
        assert_eq!(bob.receive(), on_channel(&[number; 160]));
    }
    // Comes after all others.
    alice.binding();
    wait_until("all are counted", || received(&node) == 6 + u64::from(PACKETS) + 1);
}

#[test]
fn workers_hand_packets_to_each_other() {
    let node = NodePlan::udp().workers(2).start();
    // Every one of them is on the same worker in one run of 2^15.
    let mut clients: Vec<_> = (0..16).map(|_| Client::udp(node.address())).collect();
    let relayed: Vec<_> = clients.iter_mut().map(Client::allocate).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        client.bind(0x4000, relayed[(number + 1) % 16]);
        client.bind(0x4001, relayed[(number + 15) % 16]);
    }
    wait_until("the requests are counted", || received(&node) == 16 * 4);
    for from in 0..16 {
        for number in 0..PACKETS {
            clients[from].send_channel(0x4000, &[number; 160]);
            let expected = Packet::Channel { number: 0x4001, payload: vec![number; 160] };
            assert_eq!(clients[(from + 1) % 16].receive(), expected);
        }
    }
    wait_until("all are counted", || received(&node) == 16 * (4 + u64::from(PACKETS)));
    let handed_over = node.count(|stats| stats.datagrams_handed_over);
    assert!(handed_over > 0, "clients come to their workers by the kernel");
    assert_eq!(handed_over % u64::from(PACKETS), 0, "all of a pair or none");
    let pairs_of_two_workers = handed_over / u64::from(PACKETS);
    // What no mailbox keeps room for goes through the kernel: it is received twice.
    for from in 0..16 {
        clients[from].send_channel(0x4000, &[7; 5000]);
        let expected = Packet::Channel { number: 0x4001, payload: vec![7; 5000] };
        assert_eq!(clients[(from + 1) % 16].receive(), expected);
    }
    let all = 16 * (4 + u64::from(PACKETS)) + 16 + pairs_of_two_workers;
    wait_until("all are counted again", || received(&node) == all);
    assert_eq!(node.count(|stats| stats.datagrams_handed_over), handed_over);
    assert_eq!(node.count(|stats| stats.handovers_dropped), 0);
}

/// Allocates, and tells which worker has the allocation.
fn allocate_at<W: Wire>(node: &Node, client: &mut Client<W>) -> (usize, SocketAddr) {
    let created =
        || node.workers.counters().iter().map(|it| it.turn().allocations_created).collect::<Vec<_>>();
    let before = created();
    let relayed = client.allocate();
    wait_until("it is counted", || created() != before);
    (created().iter().zip(&before).position(|(now, before)| now != before).unwrap(), relayed)
}

#[test]
fn a_full_mailbox_loses_nothing() {
    let node = NodePlan::tcp().workers(2).start();
    let mut alice = Client::tcp(node.address());
    let (hers, of_alice) = allocate_at(&node, &mut alice);
    let mut others = Vec::new();
    // Every one of them is on her worker in one run of 2^32.
    let (mut bob, of_bob) = loop {
        let mut client = Client::tcp(node.address());
        match allocate_at(&node, &mut client) {
            (worker, of_bob) if worker != hers => break (client, of_bob),
            _ => others.push(client),
        }
        assert!(others.len() < 32);
    };
    alice.bind(0x4000, of_bob);
    bob.bind(0x4000, of_alice);

    // Bob's worker is woken when the round is over. Alice's takes all of this in one: it is less than a
    // connection's turn, and comes in one segment.
    let payloads: Vec<[u8; 2]> = (0..1200_u16).map(u16::to_be_bytes).collect();
    let frames: Vec<u8> =
        payloads.iter().flat_map(|payload| channel_data(0x4000, payload, Path::Stream)).collect();
    alice.wire.send(&frames);
    let mut arrived: Vec<Packet> = payloads.iter().map(|_| bob.receive()).collect();
    // One way may be faster than the other.
    arrived.sort_unstable();
    assert_eq!(arrived, payloads.iter().map(|payload| on_channel(payload)).collect::<Vec<_>>());
    let all = payloads.len() as u64;
    let handed_over = || node.count(|stats| stats.datagrams_handed_over);
    wait_until("all are counted", || handed_over() + received(&node) == all);
    assert!((1..all).contains(&handed_over()), "{} of {all} by mailbox", handed_over());
}

#[test]
fn between_streams_and_datagrams() {
    let node = NodePlan::udp().listen(Transport::Tcp, "127.0.0.1:0").start();
    let (mut alice, mut bob) = (Client::tcp(node.address_of(1)), Client::udp(node.address()));
    let [of_alice, of_bob] = join(&mut alice, &mut bob);
    // All in one segment: what is written around one must not touch the next.
    let payloads: Vec<Vec<u8>> = (0..40).map(|size: u8| vec![size; size.into()]).collect();
    let frames = payloads.iter().flat_map(|payload| {
        let indication = send_indication(TransactionId::new([1; 12]), of_bob, payload, false).unwrap();
        [channel_data(0x4000, payload, Path::Stream), indication].concat()
    });
    alice.wire.send(&frames.collect::<Vec<u8>>());
    for payload in &payloads {
        assert_eq!([bob.receive(), bob.receive()], [on_channel(payload), on_channel(payload)]);
    }
    for payload in &payloads {
        bob.send_channel(0x4000, payload);
        bob.send(of_alice, payload, false);
        assert_eq!([alice.receive(), alice.receive()], [on_channel(payload), on_channel(payload)]);
    }
}

#[test]
fn between_streams_as_indications() {
    let node = NodePlan::tcp().start();
    let (mut alice, mut bob) = (Client::tcp(node.address()), Client::tcp(node.address()));
    let [of_alice, of_bob] = [alice.allocate(), bob.allocate()];
    alice.bind(0x4000, of_bob);
    bob.permit(of_alice);
    // The longest header takes the place of the shortest one, which is in the frame before.
    let payloads: Vec<Vec<u8>> = (0..40).map(|size: u8| vec![size; size.into()]).collect();
    let frames = payloads.iter().flat_map(|payload| channel_data(0x4000, payload, Path::Stream));
    alice.wire.send(&frames.collect::<Vec<u8>>());
    for payload in payloads {
        assert_eq!(bob.receive(), Packet::Data { peer: of_alice, payload });
    }
}
