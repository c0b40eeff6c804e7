//! A 5-tuple belongs to one worker for life; a datagram that another one gets is handed over.

use crate::support::{Client, NodePlan, Packet, peer, receive, wait_until};

const CLIENTS: usize = 16;
const PACKETS: usize = 50;

/// Serves many clients with several workers and sees that nothing is lost.
fn serve_all(steering: bool) -> u64 {
    let mut plan = NodePlan::udp().workers(3);
    plan.steering = steering;
    let node = plan.start();
    let peer = peer();
    let mut clients: Vec<_> = (0..CLIENTS).map(|_| Client::udp(node.address())).collect();
    for client in &mut clients {
        let relayed = client.allocate();
        client.bind(0x4000, peer.local_addr().unwrap());
        for number in 0..PACKETS {
            let payload = format!("packet {number}").into_bytes();
            client.send_channel(0x4000, &payload);
            assert_eq!(receive(&peer), (payload.clone(), relayed));
            peer.send_to(&payload, relayed).unwrap();
            assert_eq!(client.receive(), Packet::Channel { number: 0x4000, payload });
        }
    }
    wait_until("all are counted", || node.workers.allocations() == CLIENTS);
    assert_eq!(node.count(|stats| stats.handovers_dropped), 0);
    node.count(|stats| stats.datagrams_handed_over)
}

#[test]
fn steered_datagrams_reach_their_worker_at_once() {
    assert_eq!(serve_all(true), 0);
}

#[test]
fn datagrams_of_other_workers_are_handed_over() {
    // The kernel's own hash agrees with ours for all of these clients in one run of 3^16.
    assert!(serve_all(false) > 0);
}
