//! A relay takes in the calls of another one, whose process may be gone: clients and peers go on as if nothing
//! had been.

use std::net::{SocketAddr, UdpSocket};

use edgerelay::worker::Restored;
use turn::{CloseReason, Event, Transport};

use crate::support::{Client, Dynasty, Node, NodePlan, Packet, peer, receive, wait_until};

const CHANNEL: u16 = 0x4000;
const CALLS: usize = 12;

/// A client with a peer on its channel.
struct Call {
    client: Client<UdpSocket>,
    relayed: SocketAddr,
    peer: UdpSocket,
}

impl Call {
    fn new(node: &Node) -> Self {
        let (mut client, peer) = (Client::udp(node.address()), peer());
        let relayed = client.allocate();
        client.bind(CHANNEL, peer.local_addr().unwrap());
        Self { client, relayed, peer }
    }

    /// Both send `text`.
    fn send(&mut self, text: &str) {
        self.client.send_channel(CHANNEL, text.as_bytes());
        self.peer.send_to(text.as_bytes(), self.relayed).unwrap();
    }

    /// Both get `text` next.
    fn assert_arrives(&mut self, text: &str) {
        let payload = text.as_bytes().to_vec();
        assert_eq!(receive(&self.peer), (payload.clone(), self.relayed));
        assert_eq!(self.client.receive(), Packet::Channel { number: CHANNEL, payload });
    }
}

fn calls(node: &Node) -> Vec<Call> {
    (0..CALLS).map(|_| Call::new(node)).collect()
}

fn assert_all_pass(calls: &mut [Call], text: &str) {
    for call in calls {
        call.send(text);
        call.assert_arrives(text);
    }
}

/// Ports that no socket gets by chance.
fn on_quiet_ports(plan: NodePlan, first: u16) -> NodePlan {
    NodePlan { ports: first..=first + 999, ..plan }
}

/// A plan for the same listener.
fn at_the_address_of(node: &Node) -> NodePlan {
    NodePlan::new().listen(Transport::Udp, &node.address().to_string())
}

#[test]
fn nobody_notices_and_what_came_meanwhile_arrives() {
    let mut dynasty = Dynasty::new();
    let mut node = dynasty.records(NodePlan::udp().workers(2)).start();
    let mut calls = calls(&node);
    for (generation, workers) in [(1, 2), (2, 3), (3, 1), (4, 2)] {
        let plan = dynasty.heir(&node, NodePlan::udp().workers(workers));
        calls.iter_mut().for_each(|call| call.send("meanwhile"));
        let prepared = plan.prepare().unwrap();
        let expected = Restored { allocations: CALLS, sockets: CALLS, ..Restored::default() };
        assert_eq!(prepared.restored(), expected, "in generation {generation}");
        calls.iter_mut().for_each(|call| call.send("just before"));
        let heir = Node { workers: prepared.start().unwrap() };
        node.workers.release();
        node = heir;
        for call in &mut calls {
            call.assert_arrives("meanwhile");
            call.assert_arrives("just before");
        }
        assert_all_pass(&mut calls, "afterwards");
        assert_eq!(node.workers.allocations(), CALLS);
    }
    for call in &mut calls {
        assert_eq!(call.client.refresh(0), 0);
    }
    wait_until("all have ended", || node.workers.allocations() == 0);
    assert_eq!(node.count(|sockets| sockets.relays_open), 0);
}

#[test]
fn an_icmp_error_that_came_meanwhile_is_told() {
    let mut dynasty = Dynasty::new();
    let node = dynasty.records(NodePlan::udp()).start();
    let mut call = Call::new(&node);
    let plan = dynasty.heir(&node, NodePlan::udp());
    let closed = std::mem::replace(&mut call.peer, peer()).local_addr().unwrap();
    // As the former relay may have done at its end.
    let (_, socket) = plan.inheritance.relays.iter().next().unwrap();
    rustix::net::sendto(socket, b"anybody?", rustix::net::SendFlags::empty(), &closed).unwrap();
    let _heir = plan.start();
    assert_eq!(call.client.receive(), Packet::Icmp { peer: closed, kind: 3, code: 3 });
}

#[test]
fn without_the_sockets_their_addresses_are_bound_again() {
    let mut dynasty = Dynasty::new();
    let node = dynasty.records(on_quiet_ports(NodePlan::udp().workers(2), 20_000)).start();
    let mut calls = calls(&node);
    let plan = on_quiet_ports(at_the_address_of(&node), 20_000);
    let plan = dynasty.heir_without_sockets(&node, plan);
    drop(node);
    let prepared = plan.prepare().unwrap();
    assert_eq!(prepared.restored(), Restored { allocations: CALLS, ..Restored::default() });
    let _heir = prepared.start().unwrap();
    assert_all_pass(&mut calls, "afterwards");
}

#[test]
fn an_address_that_somebody_else_has_ends_its_call_and_not_the_start() {
    let mut dynasty = Dynasty::new();
    let node = dynasty.records(on_quiet_ports(NodePlan::udp(), 21_000)).start();
    let (mut lucky, unlucky) = (Call::new(&node), Call::new(&node));
    let plan = on_quiet_ports(at_the_address_of(&node), 21_000);
    let plan = dynasty.heir_without_sockets(&node, plan);
    drop(node);
    let _thief = UdpSocket::bind(unlucky.relayed).unwrap();
    let prepared = plan.prepare().unwrap();
    let expected = Restored { allocations: 1, addresses_lost: 1, ..Restored::default() };
    assert_eq!(prepared.restored(), expected);
    let workers = prepared.start().unwrap();
    lucky.send("afterwards");
    lucky.assert_arrives("afterwards");
    let events = &workers.events()[0];
    let lost = events.pop();
    assert!(
        matches!(&lost, Some(Event::RelayedAddressLost { address, .. }) if *address == unlucky.relayed),
        "{lost:?}"
    );
    let closed = events.pop();
    assert!(
        matches!(closed, Some(Event::AllocationClosed { reason: CloseReason::AddressLost, .. })),
        "{closed:?}"
    );
}

#[test]
fn a_socket_that_is_not_what_it_is_said_to_be_is_bound_again() {
    let mut dynasty = Dynasty::new();
    let node = dynasty.records(on_quiet_ports(NodePlan::udp(), 22_000)).start();
    let mut call = Call::new(&node);
    let mut plan = dynasty.heir(&node, on_quiet_ports(NodePlan::udp(), 22_000));
    let other = UdpSocket::bind("127.0.0.1:0").unwrap();
    plan.inheritance.relays.insert(call.relayed, other.into());
    // Only that one is another: the listener is the same.
    node.workers.release();
    wait_until("it is free", || UdpSocket::bind(call.relayed).is_ok());
    let _heir = plan.start();
    call.send("afterwards");
    call.assert_arrives("afterwards");
}

#[test]
fn clients_of_a_listener_that_is_no_more_are_let_go() {
    let mut dynasty = Dynasty::new();
    let node = dynasty.records(NodePlan::udp()).start();
    let _call = Call::new(&node);
    let plan = dynasty.heir(&node, NodePlan::tcp());
    let prepared = plan.prepare().unwrap();
    assert_eq!(prepared.restored(), Restored { without_listener: 1, ..Restored::default() });
    drop(node);
}
