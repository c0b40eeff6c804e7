//! A client that does not read costs a bounded buffer and nobody else's packets.

use std::io::Write;

use crate::support::{
    Client, NodePlan, Packet, binding, connect, is_closed, peer, receive, stream_limits, wait_until,
};
use stun::TransactionId;

#[test]
fn data_beyond_the_buffer_is_dropped_and_others_are_served() {
    let mut limits = stream_limits();
    limits.write_buffer = 16 * 1024;
    let node = NodePlan::tcp().streams(limits).start();
    let peer = peer();
    let (mut slow, mut other) = (Client::tcp(node.address()), Client::tcp(node.address()));
    let (slow_relayed, other_relayed) = (slow.allocate(), other.allocate());
    slow.bind(0x4000, peer.local_addr().unwrap());
    other.bind(0x4000, peer.local_addr().unwrap());

    // Fills the client's and the relay's socket buffers, then the relay's own.
    wait_until("packets are dropped", || {
        for _ in 0..32 {
            peer.send_to(&[1; 1200], slow_relayed).unwrap();
        }
        node.count(|stats| stats.stream_packets_dropped) > 0
    });
    peer.send_to(b"for the other", other_relayed).unwrap();
    assert_eq!(other.receive(), Packet::Channel { number: 0x4000, payload: b"for the other".to_vec() });

    // What was not dropped comes whole, and the connection is of use again.
    let intact = Packet::Channel { number: 0x4000, payload: vec![1; 1200] };
    for _ in 0..10 {
        assert_eq!(slow.receive(), intact);
    }
    slow.send_channel(0x4000, b"still there");
    assert_eq!(receive(&peer), (b"still there".to_vec(), slow_relayed));
}

#[test]
fn an_answer_that_does_not_fit_closes_the_connection() {
    let mut limits = stream_limits();
    limits.write_buffer = 16 * 1024;
    let node = NodePlan::tcp().streams(limits).start();
    let mut stream = connect(node.address());
    let requests = binding(TransactionId::new([3; 12])).repeat(100);
    // Until the relay neither answers nor reads: it has closed the connection.
    while stream.write_all(&requests).is_ok() {}
    wait_until("it is counted", || node.count(|stats| stats.connections_stuck) == 1);
    assert!(is_closed(&mut stream));
    let mut other = Client::tcp(node.address());
    other.binding();
}

#[test]
fn many_slow_readers_share_one_total() {
    let mut limits = stream_limits();
    // Room for one alone.
    (limits.write_buffer, limits.buffers) = (256 * 1024, 256 * 1024);
    let node = NodePlan::tcp().streams(limits).start();
    let peer = peer();
    let mut slow: Vec<_> = (0..8).map(|_| Client::tcp(node.address())).collect();
    let relayed: Vec<_> = slow
        .iter_mut()
        .map(|client| {
            let relayed = client.allocate();
            client.bind(0x4000, peer.local_addr().unwrap());
            relayed
        })
        .collect();
    let dropped = || node.count(|stats| stats.stream_packets_dropped);
    for relayed in &relayed {
        let before = dropped();
        wait_until("its packets are dropped", || {
            for _ in 0..32 {
                peer.send_to(&[1; 1200], *relayed).unwrap();
            }
            dropped() > before
        });
    }
    wait_until("what they hold is known", || node.count(|stats| stats.stream_bytes_waiting) > 0);
    let held = node.count(|stats| stats.stream_bytes_waiting);
    assert!(held <= 2 * 256 * 1024 + 8 * 2 * 4096, "{held} bytes wait for eight slow readers");

    // Even now another one gets its answers and its packets.
    let mut other = Client::tcp(node.address());
    let relayed = other.allocate();
    other.bind(0x4000, peer.local_addr().unwrap());
    peer.send_to(b"for the other", relayed).unwrap();
    assert_eq!(other.receive(), Packet::Channel { number: 0x4000, payload: b"for the other".to_vec() });
}
