//! Metrics count packets that really pass, and no name that a client sent is a label.

use crate::support::{ALICE, Client, Daemon, Packet, UDP, peer, receive, wait_until};

#[test]
fn live_traffic_is_counted() {
    let relay = Daemon::serve(&format!("{ALICE}\n{UDP}"));
    let mut alice = Client::udp(relay.address("udp"));
    alice.allocate();
    let peer = peer();
    alice.bind(0x4000, peer.local_addr().unwrap());
    for _ in 0..7 {
        alice.send_channel(0x4000, &[1; 100]);
        let (payload, relayed) = receive(&peer);
        assert_eq!(payload, [1; 100]);
        peer.send_to(&[2; 50], relayed).unwrap();
        assert_eq!(alice.receive(), Packet::Channel { number: 0x4000, payload: vec![2; 50] });
    }
    alice.send_channel(0x4001, b"not bound");

    let is = |name: &str, labels: &[&str], number: u64| {
        wait_until(&format!("{name} {labels:?} is {number}"), || relay.metric(name, labels) == number);
    };
    let (to_peers, to_clients) = ("direction=\"to_peers\"", "direction=\"to_clients\"");
    is("turn_relayed_packets_total", &[to_peers], 7);
    is("turn_relayed_packets_total", &[to_clients], 7);
    is("turn_relayed_bytes_total", &[to_peers], 700);
    is("turn_relayed_bytes_total", &[to_clients], 350);
    is("turn_dropped_packets_total", &["reason=\"no_channel\""], 1);
    is("turn_answers_total", &["method=\"allocate\"", "code=\"401\""], 1);
    is("turn_answers_total", &["method=\"allocate\"", "code=\"success\""], 1);
    is("turn_allocations", &[], 1);
    is("turn_channels", &[], 1);
    is("edgerelay_relay_sockets", &[], 1);

    assert_eq!(alice.refresh(0), 0);
    is("turn_allocations", &[], 0);
    is("turn_allocations_closed_total", &[], 1);

    let (_, text) = relay.get("/metrics");
    for word in ["alice", "example.org", "wonderland", "127.0.0.1"] {
        assert!(!text.contains(word), "{word} in\n{text}");
    }
}
