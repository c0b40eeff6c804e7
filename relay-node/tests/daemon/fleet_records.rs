//! A relay of a fleet tells others what its allocations are, as they change, and goes on with what they give it back.

use edgerelay::worker::{Changed, Ended, FleetPlan};
use tokio::sync::mpsc::{self, Receiver};
use turn::record::Survivor;

use crate::support::{Client, Node, NodePlan, Packet, peer, receive, wait_until};

const CHANNEL: u16 = 0x4000;

/// A relay that tells, and those of its allocations that have ended.
fn telling(plan: NodePlan) -> (Node, Receiver<Ended>) {
    let (questions, _) = mpsc::channel(1);
    let (ended, told) = mpsc::channel(16);
    (NodePlan { fleet: Some(FleetPlan { questions, ended }), ..plan }.start(), told)
}

fn all<T>(mut told: Receiver<T>) -> Vec<T> {
    std::iter::from_fn(|| told.blocking_recv()).collect()
}

/// What has changed since the last time, without the workers' names.
fn changes(node: &Node) -> Vec<Changed> {
    all(node.workers.changes(100)).into_iter().flatten().collect()
}

fn survivors(node: &Node) -> Vec<Survivor> {
    changes(node).into_iter().filter_map(|changed| changed.survivor).collect()
}

#[test]
fn each_change_is_told_once_with_all_that_belongs_to_the_allocation() {
    let (node, _ended) = telling(NodePlan::udp());
    let (mut client, peer) = (Client::udp(node.address()), peer());
    assert_eq!(changes(&node), []);
    let relayed = client.allocate();
    client.bind(CHANNEL, peer.local_addr().unwrap());
    let [survivor] = &survivors(&node)[..] else { panic!("one allocation has changed") };
    let of_record = survivor.allocation.relayed.v4.unwrap();
    assert_eq!(of_record.local(), relayed);
    assert_eq!(survivor.channels[0].peer.get(), peer.local_addr().unwrap());
    assert_eq!(survivor.permissions[0].peer, peer.local_addr().unwrap().ip());
    assert_eq!(changes(&node), []);

    client.refresh(700);
    assert_eq!(survivors(&node).len(), 1);
    node.workers.note_all_changed();
    assert_eq!(survivors(&node).len(), 1, "whoever has lost them is told again");

    client.refresh(0);
    let [Changed { survivor: None, .. }] = changes(&node)[..] else { panic!("its place is empty") };
}

#[test]
fn what_has_been_relayed_is_told_of_those_that_live_and_of_those_that_end() {
    let (node, mut ended) = telling(NodePlan::udp());
    let (mut client, peer) = (Client::udp(node.address()), peer());
    client.allocate();
    client.bind(CHANNEL, peer.local_addr().unwrap());
    client.send_channel(CHANNEL, b"12345");
    receive(&peer);
    let [metered] = &node.workers.metered(0, 0, 10).blocking_recv().unwrap()[..] else { panic!("one lives") };
    assert_eq!((metered.tallied.to_peers.packets, metered.tallied.to_peers.bytes), (1, 5));
    assert_eq!(metered.user.to_string(), "alice");
    assert_eq!(node.workers.metered(0, metered.id.index() + 1, 10).blocking_recv(), Some(vec![]));

    client.refresh(0);
    let last = ended.blocking_recv().unwrap();
    assert_eq!((last.five_tuple, last.created), (metered.five_tuple, metered.created), "the same one");
    assert_eq!((last.to_peers.bytes, last.to_client.bytes), (5, 0));
}

#[test]
fn a_relay_that_serves_goes_on_with_calls_that_are_given_back_to_it() {
    let quiet = |first: u16, plan: NodePlan| NodePlan { ports: first..=first + 99, ..plan };
    let (node, _ended) = telling(quiet(47_000, NodePlan::udp().workers(2)));
    let mut calls: Vec<_> = (0..40)
        .map(|_| {
            let (mut client, peer) = (Client::udp(node.address()), peer());
            let relayed = client.allocate();
            client.bind(CHANNEL, peer.local_addr().unwrap());
            (client, peer, relayed)
        })
        .collect();
    let (survivors, address) = (survivors(&node), node.address().to_string());
    drop(node);

    let plan = NodePlan::new().workers(3).listen(turn::Transport::Udp, &address);
    let (heir, _ended) = telling(quiet(47_000, plan));
    let stranger = Client::udp(heir.address()).allocate();
    let lost = calls.iter().filter(|(_, _, relayed)| *relayed == stranger).count();
    let restored = all(heir.workers.restore(survivors));
    assert_eq!(restored.iter().map(|it| it.allocations).sum::<usize>(), calls.len() - lost);
    calls.retain(|(_, _, relayed)| *relayed != stranger);
    for (client, peer, relayed) in &mut calls {
        client.send_channel(CHANNEL, b"still there");
        assert_eq!(receive(peer), (b"still there".to_vec(), *relayed));
        peer.send_to(b"so am I", *relayed).unwrap();
        assert_eq!(client.receive(), Packet::Channel { number: CHANNEL, payload: b"so am I".to_vec() });
        client.refresh(600);
    }
    wait_until("all are counted", || heir.workers.allocations() == calls.len() + 1);
}
