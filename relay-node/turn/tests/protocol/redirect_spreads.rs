//! To which node: of two at random the one with more room, and every choice counts at once.

use crate::support::{Relay, TestClient, chosen, node, settings};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use turn::{Alternate, Alternates};

/// Sends `count` clients through the balancer, and tells how many each node got.
fn send(relay: &mut Relay, nodes: &[Alternate], count: u32) -> Vec<u32> {
    let before: Vec<u32> = nodes.iter().map(chosen).collect();
    let mut nonce = Vec::new();
    for n in 0..count {
        let [_, a, b, c] = n.to_be_bytes();
        let mut client = TestClient::new(&format!("20.{a}.{b}.{c}:4000")).through_balancer();
        if nonce.is_empty() {
            client.learn_nonce(relay);
            nonce.clone_from(&client.nonce);
        }
        client.nonce.clone_from(&nonce);
        client.sent_to(relay);
    }
    nodes.iter().zip(before).map(|(node, before)| chosen(node) - before).collect()
}

fn nodes(rooms: &[u32]) -> Vec<Alternate> {
    let with_room =
        |(n, room): (usize, &u32)| Alternate { room: *room, ..node(&[&format!("203.0.113.{}", 10 + n)]) };
    rooms.iter().enumerate().map(with_room).collect()
}

#[test]
fn a_thousand_at_once_are_not_all_sent_to_the_emptiest_node() {
    let nodes = nodes(&[1_050, 1_000, 1_000, 1_000, 1_000]);
    let mut relay = Relay::knowing(settings(), &nodes);
    let got = send(&mut relay, &nodes, 1_000);
    assert_eq!(got.iter().sum::<u32>(), 1_000);
    assert!(got.iter().all(|count| (120..300).contains(count)), "{got:?}");
    assert!(got[0] > 200, "the emptiest got the most: {got:?}");
}

#[test]
fn a_node_that_is_nearly_full_is_spared_and_a_full_one_gets_nobody() {
    let nodes = nodes(&[0, 10, 10_000, 10_000]);
    let mut relay = Relay::knowing(settings(), &nodes);
    let got = send(&mut relay, &nodes, 1_000);
    assert_eq!(got[0], 0);
    assert!(got[1] <= 10, "{got:?}");
}

#[test]
fn room_runs_out_by_the_choices_alone() {
    let nodes = nodes(&[3, 4]);
    let mut relay = Relay::knowing(settings(), &nodes);
    assert_eq!(send(&mut relay, &nodes, 7), [3, 4]);
    TestClient::new("198.51.100.7:4000").through_balancer().allocate(&mut relay);
}

#[test]
fn choices_count_for_every_worker_and_in_the_next_snapshot() {
    let nodes = nodes(&[3, 4]);
    let mut relays = [Relay::knowing(settings(), &nodes), Relay::knowing(settings(), &nodes)];
    send(&mut relays[0], &nodes, 3);
    send(&mut relays[1], &nodes, 2);
    relays[0].know(&nodes);
    send(&mut relays[0], &nodes, 2);
    TestClient::new("198.51.100.7:4000").through_balancer().allocate(&mut relays[0]);
    // A new count.
    for node in &nodes {
        node.chosen.store(0, Ordering::Relaxed);
    }
    send(&mut relays[1], &nodes, 7);
}

#[test]
fn nothing_but_the_list_says_where_to() {
    let nodes = nodes(&[1_000; 3]);
    let mut relay = Relay::with(settings());
    relay.turn.set_alternates(Arc::new(Alternates::new(nodes.clone())));
    for n in 0..100 {
        let mut client = TestClient::new(&format!("20.0.0.{n}:4000")).through_balancer();
        let to = client.sent_to(&mut relay);
        assert!(nodes.iter().any(|node| node.addresses.iter().any(|(_, address)| *address == to)));
    }
    relay.turn.set_alternates(Arc::new(Alternates::none()));
    TestClient::new("20.0.0.200:4000").through_balancer().allocate(&mut relay);
}

#[test]
fn nobody_makes_nodes_look_full_by_coming_again_and_again() {
    let mut few = settings();
    few.limits.user.allocations = 5;
    let nodes = nodes(&[10, 10]);
    let mut relay = Relay::knowing(few, &nodes);
    assert_eq!(send(&mut relay, &nodes, 1_000).iter().sum::<u32>(), 5, "as many as one user may have");
    let mut bob = TestClient::new("198.51.100.8:4000").named("bob", "builder").through_balancer();
    bob.sent_to(&mut relay);
}

#[test]
fn a_counter_that_is_over_its_room_is_no_room() {
    let node = Alternate { chosen: Arc::new(AtomicU32::new(u32::MAX)), ..node(&["203.0.113.11"]) };
    let mut relay = Relay::knowing(settings(), &[node]);
    TestClient::new("198.51.100.7:4000").through_balancer().allocate(&mut relay);
}
