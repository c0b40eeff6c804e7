//! Workers that stand still lose nothing and go on, with all they had or with what another process does not
//! serve.

use turn::Transport;

use crate::support::{Client, Dynasty, Node, NodePlan, Packet, peer, receive, wait_until};

const CHANNEL: u16 = 0x4000;

fn both() -> NodePlan {
    NodePlan::udp().listen(Transport::Tcp, "127.0.0.1:0").workers(2)
}

#[test]
fn frozen_workers_serve_nobody_and_go_on_as_if_nothing_had_been() {
    let node = both().start();
    let mut clients: Vec<_> = (0..8).map(|_| (Client::udp(node.address()), peer())).collect();
    for (client, peer) in &mut clients {
        client.allocate();
        client.bind(CHANNEL, peer.local_addr().unwrap());
    }
    for round in 0..20u8 {
        clients.iter_mut().for_each(|(client, _)| client.send_channel(CHANNEL, &[round]));
        let frozen = node.workers.freeze().unwrap();
        assert_eq!(frozen.relays.len(), clients.len());
        let sent = node.count(|sockets| sockets.datagrams_sent);
        clients.iter_mut().for_each(|(client, _)| client.send_channel(CHANNEL, &[round]));
        assert_eq!(node.count(|sockets| sockets.datagrams_sent), sent);
        node.workers.thaw();
        for (_, peer) in &clients {
            assert_eq!(receive(peer).0, [round]);
            assert_eq!(receive(peer).0, [round]);
        }
    }
}

#[test]
fn what_is_on_its_way_between_workers_is_not_held() {
    let mut plan = NodePlan::udp().workers(3);
    plan.steering = false;
    let node = plan.start();
    let mut ring = node.ring(9, CHANNEL);
    for round in 0..20u8 {
        ring.iter_mut().for_each(|(client, _)| client.send_channel(CHANNEL, &[round]));
        node.workers.freeze().unwrap();
        // Of each datagram that they took came one: the rest waits in the kernel.
        let received = node.count(|sockets| sockets.datagrams_received);
        assert_eq!(node.count(|sockets| sockets.datagrams_sent), received);
        node.workers.thaw();
        for (client, _) in &mut ring {
            let expected = Packet::Channel { number: CHANNEL + 1, payload: vec![round] };
            assert_eq!(client.receive(), expected);
        }
    }
}

#[test]
fn connections_are_served_on_and_all_else_is_let_go() {
    let mut dynasty = Dynasty::new();
    let node = dynasty.records(both()).start();
    let mut datagrams = Client::udp(node.address());
    let mut stream = Client::tcp(node.address_of(1));
    let mut newcomer = Client::tcp(node.address_of(1));
    let peer = peer();
    for relayed in [datagrams.allocate(), stream.allocate()] {
        assert!(relayed.ip().is_loopback());
    }
    newcomer.binding();
    datagrams.bind(CHANNEL, peer.local_addr().unwrap());
    stream.bind(CHANNEL, peer.local_addr().unwrap());

    let heir = dynasty.heir(&node, both()).start();
    assert_eq!(heir.workers.allocations(), 1);
    node.workers.release();
    wait_until("its datagram clients are let go", || node.workers.allocations() == 1);
    let turn = |node: &Node| -> Vec<_> { node.workers.counters().iter().map(|it| it.turn()).collect() };
    assert_eq!(turn(&node).iter().map(|it| it.allocations_released).sum::<u64>(), 1);
    assert_eq!(turn(&node).iter().map(|it| it.allocations_closed).sum::<u64>(), 0);
    assert_eq!(node.count(|sockets| sockets.relays_open), 1);

    stream.send_channel(CHANNEL, b"stream");
    assert_eq!(receive(&peer).0, b"stream");
    datagrams.send_channel(CHANNEL, b"datagrams");
    assert_eq!(receive(&peer).0, b"datagrams");
    newcomer.allocate();
    assert_eq!(stream.refresh(0), 0);
    wait_until("the newcomer is alone", || node.workers.allocations() == 1);
    let mut later = Client::tcp(heir.address_of(1));
    later.allocate();
    assert_eq!((node.workers.allocations(), node.count(|it| it.connections_open)), (1, 2));
    assert_eq!(node.count(|sockets| sockets.records_unwritten), 0);
}

#[test]
fn a_worker_that_has_ended_freezes_nobody() {
    let node = both().start();
    let mut client = Client::udp(node.address());
    node.workers.stop();
    wait_until("they ended", || node.workers.dead_worker().is_some());
    assert!(node.workers.freeze().is_err());
    client.wire.set_nonblocking(true).unwrap();
    client.send(peer().local_addr().unwrap(), b"nobody is there", false);
}
