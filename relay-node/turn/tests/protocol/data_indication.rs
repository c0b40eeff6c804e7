//! The Data indication: what a peer sent, when no channel is bound to it (RFC 8656 section 11.3).

use std::collections::HashSet;

use crate::support::{Relay, TestClient, at, data_indication, peer, permitted};
use stun::Message;
use turn::Transport;

#[test]
fn tells_the_peer_and_its_data() {
    let (mut relay, alice, relayed) = permitted();
    let (client, packet) = relay.peer_sends(peer(), relayed, b"hello").unwrap();
    assert_eq!(client, alice.address());
    assert_eq!(data_indication(&packet), (peer(), b"hello".as_slice()));
    assert_eq!(Message::parse(&packet).unwrap().attributes().count(), 2);
    assert_eq!((relay.turn.stats().to_clients.packets, relay.turn.stats().to_clients.bytes), (1, 5));
}

#[test]
fn carries_any_length_with_padding_that_is_zero() {
    let (mut relay, _, relayed) = permitted();
    for length in [0, 1, 2, 3, 4, 159, 160, 1200, 9000, 65_507] {
        let payload = vec![0x55; length];
        let (_, packet) = relay.peer_sends(peer(), relayed, &payload).unwrap();
        assert_eq!(data_indication(&packet).1, payload);
        assert_eq!(packet.len(), 36 + length.next_multiple_of(4));
        assert!(packet[36 + length..].iter().all(|byte| *byte == 0), "nothing of the buffer leaks");
    }
}

#[test]
fn has_a_transaction_of_its_own_each_time() {
    let (mut relay, _, relayed) = permitted();
    let transactions: HashSet<_> = (0..100)
        .map(|_| {
            let (_, packet) = relay.peer_sends(peer(), relayed, b"").unwrap();
            *Message::parse(&packet).unwrap().transaction_id().as_bytes()
        })
        .collect();
    assert_eq!(transactions.len(), 100);
}

#[test]
fn tells_an_ipv6_peer() {
    let mut relay = Relay::new();
    let mut alice = TestClient::new("198.51.100.7:4000");
    let relayed = alice.allocate_v6(&mut relay);
    let peer = at("[2001:db8:2::10]:7000");
    alice.permit(&mut relay, peer);
    let (client, packet) = relay.peer_sends(peer, relayed, b"hello").unwrap();
    assert_eq!((client, data_indication(&packet)), (alice.address(), (peer, b"hello".as_slice())));
    let too_long = vec![0; 65_527];
    assert_eq!(relay.peer_sends(peer, relayed, &too_long), None, "no STUN message is that long");
}

#[test]
fn goes_over_streams_as_it_is() {
    for transport in [Transport::Tcp, Transport::Tls] {
        let mut relay = Relay::new();
        let mut alice = TestClient::over(transport, "198.51.100.7:4000");
        let relayed = alice.allocate(&mut relay);
        alice.permit(&mut relay, peer());
        let (_, packet) = relay.peer_sends(peer(), relayed, b"hello").unwrap();
        assert_eq!(data_indication(&packet), (peer(), b"hello".as_slice()));
    }
}
