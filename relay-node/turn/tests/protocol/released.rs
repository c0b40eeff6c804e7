//! A core lets go of the allocations that a later process serves: of clients that send datagrams.

use std::sync::Arc;

use crate::support::{Relay, TestClient, peer};
use turn::Transport;

const ALICE: &str = "198.51.100.7:4000";

/// Alice over each transport.
fn with_all(relay: &mut Relay) -> [TestClient; 3] {
    let mut clients = [Transport::Udp, Transport::Tcp, Transport::Tls].map(|it| TestClient::over(it, ALICE));
    for client in &mut clients {
        client.allocate(relay);
        assert_eq!(client.bind(relay, 0x4000, peer()).code(), 0);
    }
    clients
}

#[test]
fn their_sockets_are_named() {
    let mut relay = Relay::new();
    let [mut datagrams, ..] = with_all(&mut relay);
    let named = relay.turn.datagram_relays();
    let [(id, local)] = named[..] else { panic!("{named:?}") };
    assert_eq!(relay.sockets[&local], id);
    datagrams.refresh(&mut relay, 0);
    assert_eq!(relay.turn.datagram_relays(), []);
}

#[test]
fn they_are_gone_without_an_end_and_all_others_go_on() {
    let mut relay = Relay::new();
    let [mut datagrams, mut tcp, mut tls] = with_all(&mut relay);
    relay.events.clear();
    relay.turn.release_datagram_clients();
    assert_eq!(relay.drain(), []);
    assert!(relay.events.is_empty());
    let stats = relay.turn.stats();
    assert_eq!((stats.allocations_released, stats.allocations_closed), (1, 0));
    assert_eq!((stats.permissions, stats.channels), (2, 2));
    assert_eq!((relay.turn.allocations(), relay.sockets.len()), (2, 2));
    assert_eq!(datagrams.refresh(&mut relay, 600).code(), 437);
    for stream in [&mut tcp, &mut tls] {
        assert_eq!(stream.channel_data(&mut relay, 0x4000, b"there").len(), 1);
        assert_eq!(stream.refresh(&mut relay, 0).code(), 0);
    }
    assert_eq!((relay.turn.allocations(), relay.ledger.users()), (0, 0));
}

#[test]
fn nothing_is_written_down_after_it() {
    let mut relay = Relay::new().recording(&Arc::default());
    let [_, mut tcp, mut tls] = with_all(&mut relay);
    relay.turn.release_datagram_clients();
    relay.drain();
    assert_eq!(relay.left_behind().survivors.len(), 3, "the later process has them from there");
    tcp.refresh(&mut relay, 0);
    tls.bind(&mut relay, 0x4001, peer());
    tls.channel_data(&mut relay, 0x4000, b"there");
    let left = relay.left_behind();
    assert_eq!(left.survivors.len(), 3);
    assert!(left.survivors.iter().all(|it| it.channels.len() == 1 && it.tallied.to_peers.packets == 0));
}
