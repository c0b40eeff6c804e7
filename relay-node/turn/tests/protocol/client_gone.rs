//! The end of a stream is the end of its allocation (RFC 8656 section 3.1).

use crate::support::{Relay, TestClient, peer};
use turn::{CloseReason, Event, Output, Transport};

const ALICE: &str = "198.51.100.7:4000";

#[test]
fn closes_the_allocation_of_the_stream() {
    for transport in [Transport::Tcp, Transport::Tls] {
        let mut relay = Relay::new();
        let mut alice = TestClient::over(transport, ALICE);
        let relayed = alice.allocate(&mut relay);
        alice.permit(&mut relay, peer());
        relay.turn.client_gone(relay.now, &alice.path.five_tuple);
        assert_eq!(relay.drain(), [], "there is nobody to tell");
        assert!(relay.is_empty());
        assert_eq!(relay.peer_sends(peer(), relayed, b"hello"), None);
        let closed = relay.events.last();
        assert!(matches!(closed, Some(Event::AllocationClosed { reason: CloseReason::ClientGone, .. })));
    }
}

#[test]
fn touches_no_other_transport_from_the_same_address() {
    let mut relay = Relay::new();
    let clients = [Transport::Udp, Transport::Tcp, Transport::Tls].map(|it| TestClient::over(it, ALICE));
    for mut client in clients.clone() {
        client.allocate(&mut relay);
    }
    assert_eq!(relay.turn.allocations(), 3);
    relay.turn.client_gone(relay.now, &clients[1].path.five_tuple);
    relay.drain();
    let alive = clients.each_ref().map(|client| relay.turn.has_allocation(&client.path.five_tuple));
    assert_eq!(alive, [true, false, true]);
}

#[test]
fn of_a_stream_without_an_allocation_is_nothing() {
    let mut relay = Relay::new();
    let alice = TestClient::over(Transport::Tcp, ALICE);
    relay.turn.client_gone(relay.now, &alice.path.five_tuple);
    assert_eq!(relay.drain(), []);
    assert!(relay.events.is_empty());
}

#[test]
fn while_its_socket_opens_leaves_nothing_behind() {
    let mut relay = Relay::new();
    let mut alice = TestClient::over(Transport::Tcp, ALICE);
    alice.learn_nonce(&mut relay);
    let request = alice.signed_allocate();
    relay.packet_alone(&alice.path, &request);
    let Some(Output::OpenRelay { relay: id, .. }) = relay.turn.poll_output() else { panic!("no socket") };
    relay.turn.client_gone(relay.now, &alice.path.five_tuple);
    assert!(relay.turn.poll_output().is_none(), "what never was announced is not announced as closed");
    relay.turn.relay_opened(relay.now, id, Ok(()));
    assert!(matches!(relay.turn.poll_output(), Some(Output::CloseRelay { relay }) if relay == id));
    assert!(relay.turn.poll_output().is_none());
    assert!(relay.is_empty());
}

#[test]
fn the_next_stream_from_the_same_address_starts_afresh() {
    let mut relay = Relay::new();
    let mut alice = TestClient::over(Transport::Tcp, ALICE);
    alice.allocate(&mut relay);
    alice.permit(&mut relay, peer());
    relay.turn.client_gone(relay.now, &alice.path.five_tuple);
    relay.drain();
    let relayed = alice.allocate(&mut relay);
    assert_eq!(relay.peer_sends(peer(), relayed, b"hello"), None);
}
