//! A draining relay serves what it has and takes nothing new; a stopped one ends everything.

use std::sync::Arc;

use turn::Drain;

use crate::support::{Client, NodePlan, Packet, is_closed, peer, receive, settings, wait_until};
use turn::{CloseReason, Event, Transport};

#[test]
fn old_allocations_go_on_and_new_ones_are_refused() {
    let node = NodePlan::udp().workers(2).start();
    let (mut old, mut new, peer) = (Client::udp(node.address()), Client::udp(node.address()), peer());
    let relayed = old.allocate();
    old.bind(0x4000, peer.local_addr().unwrap());
    node.workers.drain(Drain::ToEnd);
    // Each worker hears of it in its own time.
    wait_until("new allocations are refused", || match new.try_allocate() {
        Ok(_) => new.refresh(0) != 0,
        refused => refused == Err(508),
    });
    old.send_channel(0x4000, b"hello");
    assert_eq!(receive(&peer), (b"hello".to_vec(), relayed));
    assert_eq!(old.refresh(600), 600);
    peer.send_to(b"world", relayed).unwrap();
    assert_eq!(old.receive(), Packet::Channel { number: 0x4000, payload: b"world".to_vec() });
}

#[test]
fn stopping_ends_allocations_and_connections() {
    let node = NodePlan::udp().listen(Transport::Tcp, "127.0.0.1:0").start();
    let (mut datagrams, mut stream) = (Client::udp(node.address()), Client::tcp(node.address_of(1)));
    datagrams.allocate();
    stream.allocate();
    wait_until("both are counted", || node.workers.allocations() == 2);
    let events = node.workers.events();
    node.workers.stop();
    assert!(is_closed(&mut stream.wire.stream));
    wait_until("the worker has ended", || !node.workers.alive());
    assert_eq!(node.workers.allocations(), 0);
    let reasons: Vec<CloseReason> = std::iter::from_fn(|| events[0].pop())
        .filter_map(|event| match event {
            Event::AllocationClosed { reason, .. } => Some(reason),
            _ => None,
        })
        .collect();
    assert_eq!(reasons, [CloseReason::Stopped, CloseReason::Stopped]);
}

#[test]
fn new_settings_are_for_what_comes_next() {
    let node = NodePlan::udp().start();
    let (mut old, mut new) = (Client::udp(node.address()), Client::udp(node.address()));
    old.allocate();
    let mut changed = settings();
    changed.limits.total.allocations = 1;
    node.workers.apply(&Arc::new(changed));
    wait_until("a second allocation is refused", || match new.try_allocate() {
        Ok(_) => new.refresh(0) != 0,
        refused => refused == Err(508),
    });
    assert_eq!(old.refresh(600), 600);
}
