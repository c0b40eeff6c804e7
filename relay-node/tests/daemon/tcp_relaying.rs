//! Packets through a live relay over TCP: framing, padding, and the end of a connection.

use std::io::{Read, Write};
use std::net::Shutdown;

use crate::support::{Client, NodePlan, Packet, binding, connect, is_closed, peer, receive, wait_until};
use stun::TransactionId;
use stun::attribute::XorMappedAddress;
use turn_client::{Path, channel_data};

#[test]
fn channel_data_is_padded_on_a_stream() {
    let node = NodePlan::tcp().start();
    let (mut client, peer) = (Client::tcp(node.address()), peer());
    let relayed = client.allocate();
    client.bind(0x4000, peer.local_addr().unwrap());
    for payload in [&b"a"[..], b"", b"four", &[7; 1201]] {
        client.send_channel(0x4000, payload);
        assert_eq!(receive(&peer), (payload.to_vec(), relayed));
        peer.send_to(payload, relayed).unwrap();
        assert_eq!(client.receive(), Packet::Channel { number: 0x4000, payload: payload.to_vec() });
    }
}

#[test]
fn indications_pass_a_stream() {
    let node = NodePlan::tcp().start();
    let (mut client, peer) = (Client::tcp(node.address()), peer());
    let relayed = client.allocate();
    client.permit(peer.local_addr().unwrap());
    client.send(peer.local_addr().unwrap(), b"hello", false);
    assert_eq!(receive(&peer), (b"hello".to_vec(), relayed));
    peer.send_to(b"world", relayed).unwrap();
    let expected = Packet::Data { peer: peer.local_addr().unwrap(), payload: b"world".to_vec() };
    assert_eq!(client.receive(), expected);
}

#[test]
fn frames_may_come_in_any_pieces() {
    let node = NodePlan::tcp().start();
    let (mut client, peer) = (Client::tcp(node.address()), peer());
    let relayed = client.allocate();
    client.bind(0x4000, peer.local_addr().unwrap());
    let (one, two) =
        (channel_data(0x4000, b"one", Path::Stream), channel_data(0x4000, &[2; 999], Path::Stream));
    let both = [one, two].concat();
    for piece in [1, 3, 7, 500, both.len()] {
        for bytes in both.chunks(piece) {
            client.wire.stream.write_all(bytes).unwrap();
        }
        assert_eq!(receive(&peer), (b"one".to_vec(), relayed));
        assert_eq!(receive(&peer), (vec![2; 999], relayed));
    }
}

#[test]
fn the_largest_frame_passes() {
    let node = NodePlan::tcp().start();
    let (mut client, peer) = (Client::tcp(node.address()), peer());
    let relayed = client.allocate();
    client.bind(0x4000, peer.local_addr().unwrap());
    let payload = vec![5; 65_507];
    client.send_channel(0x4000, &payload);
    assert_eq!(receive(&peer), (payload.clone(), relayed));
    peer.send_to(&payload, relayed).unwrap();
    assert_eq!(client.receive(), Packet::Channel { number: 0x4000, payload });
}

#[test]
fn an_ended_connection_ends_its_allocation() {
    let node = NodePlan::tcp().start();
    let mut client = Client::tcp(node.address());
    client.allocate();
    wait_until("there is an allocation", || node.workers.allocations() == 1);
    drop(client);
    wait_until("the allocation is gone", || node.workers.allocations() == 0);
    wait_until("its socket too", || node.count(|stats| stats.relays_open) == 0);
    wait_until("the connection too", || node.count(|stats| stats.connections_open) == 0);
}

#[test]
fn a_half_closed_connection_still_gets_its_answers() {
    let node = NodePlan::tcp().start();
    let mut stream = connect(node.address());
    let id = TransactionId::new([9; 12]);
    stream.write_all(&binding(id)).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let message = stun::Message::parse(&answer).unwrap();
    let XorMappedAddress(mapped) = message.get().unwrap().unwrap();
    assert_eq!((message.transaction_id(), mapped), (id, stream.local_addr().unwrap()));
}

#[test]
fn what_is_no_frame_closes_the_connection_at_once() {
    let node = NodePlan::tcp().start();
    // A TLS ClientHello, a length that is no multiple of four, a first byte of nobody, a wrong cookie.
    for garbage in [&[0x16, 3, 1, 2, 0, 1, 0, 1][..], &[0, 1, 0, 3], &[0x80], &[0, 1, 0, 0, 1, 2, 3, 4]] {
        let mut stream = connect(node.address());
        stream.write_all(garbage).unwrap();
        assert!(is_closed(&mut stream));
    }
    wait_until("all are counted", || node.count(|stats| stats.connections_invalid) == 4);
}

#[test]
fn a_client_that_proved_nothing_cannot_make_the_relay_keep_a_large_frame() {
    let node = NodePlan::tcp().start();
    let mut stream = connect(node.address());
    let large = channel_data(0x4000, &[1; 60_000], Path::Stream);
    stream.write_all(&large[..30_000]).unwrap();
    assert!(is_closed(&mut stream));
}

#[test]
fn ipv6_clients_are_served() {
    let node = NodePlan::new().listen(turn::Transport::Tcp, "[::1]:0").start();
    let (mut client, peer) = (Client::tcp(node.address()), peer());
    let relayed = client.allocate();
    client.bind(0x4000, peer.local_addr().unwrap());
    client.send_channel(0x4000, b"hello");
    assert_eq!(receive(&peer), (b"hello".to_vec(), relayed));
}
