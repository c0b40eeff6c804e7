//! A command of the fleet ends the allocations that it means, and no others; one that comes while the relay stands
//! still is followed when it goes on.

use std::net::UdpSocket;
use std::sync::Arc;

use edgerelay::worker::Which;
use turn::FiveTuple;

use crate::support::{Client, Node, NodePlan, wait_until};

fn clients(node: &Node, count: usize) -> Vec<Client<UdpSocket>> {
    let allocated = |_| {
        let mut client = Client::udp(node.address());
        client.allocate();
        client
    };
    (0..count).map(allocated).collect()
}

/// The allocations of `client` alone.
fn of(client: &Client<UdpSocket>) -> Arc<Which> {
    let address = client.wire.local_addr().unwrap();
    Arc::new(move |session| matches!(session.five_tuple, FiveTuple { client, .. } if client.get() == address))
}

/// Ends what is meant; how many that were.
fn end(node: &Node, which: &Arc<Which>) -> u64 {
    let mut told = node.workers.end(which);
    std::iter::from_fn(|| told.blocking_recv()).sum()
}

#[test]
fn those_that_are_meant_end_and_the_others_live_on() {
    let node = NodePlan::udp().workers(3).start();
    let mut clients = clients(&node, 10);
    assert_eq!(end(&node, &of(&clients[4])), 1);
    assert_eq!(end(&node, &of(&clients[4])), 0);
    let mut gone = clients.remove(4);
    assert_eq!(gone.try_refresh(600), Err(437));
    clients.iter_mut().for_each(|client| assert_eq!(client.refresh(600), 600));
    let all: Arc<Which> = Arc::new(|session| session.user.to_string() == "alice");
    assert_eq!(end(&node, &all), 9);
    wait_until("all have ended", || node.workers.allocations() == 0);
}

#[test]
fn what_comes_while_a_relay_stands_still_is_done_when_it_goes_on() {
    let node = NodePlan::udp().start();
    let clients = clients(&node, 2);
    node.workers.freeze().unwrap();
    let mut told = node.workers.end(&of(&clients[0]));
    // It has been read, and is not done: another process may be reading the records.
    node.workers.freeze().unwrap();
    assert!(told.try_recv().is_err());
    node.workers.thaw();
    assert_eq!(told.blocking_recv(), Some(1));
}
