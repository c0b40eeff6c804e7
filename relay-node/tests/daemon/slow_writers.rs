//! Connections on which something does not come in time are closed.

use std::io::Write;
use std::time::Duration;

use crate::support::{
    Client, Identity, Node, NodePlan, Packet, TlsClient, binding, connect, is_closed, peer, stream_limits,
    wait_until,
};
use edgerelay::worker::StreamLimits;
use stun::TransactionId;
use turn_client::{Path, channel_data};

const SHORT: Duration = Duration::from_millis(50);

fn assert_one_is_late(node: &Node) {
    wait_until("it is counted", || node.count(|stats| stats.connections_late) == 1);
    wait_until("it is gone", || node.count(|stats| stats.connections_open) == 0);
}

#[test]
fn silence_from_the_start_is_closed() {
    let node = NodePlan::tcp().streams(StreamLimits { handshake_deadline: SHORT, ..stream_limits() }).start();
    assert!(is_closed(&mut connect(node.address())));
    assert_one_is_late(&node);
}

#[test]
fn a_first_frame_in_small_pieces_is_closed() {
    let node = NodePlan::tcp().streams(StreamLimits { handshake_deadline: SHORT, ..stream_limits() }).start();
    let mut stream = connect(node.address());
    let request = binding(TransactionId::new([1; 12]));
    // One byte at a time, and never the last one.
    for byte in &request[..request.len() - 1] {
        if stream.write_all(&[*byte]).is_err() {
            break;
        }
    }
    assert!(is_closed(&mut stream));
    assert_one_is_late(&node);
}

#[test]
fn an_unfinished_tls_handshake_is_closed() {
    let node = NodePlan::tls(Identity::new().certificates())
        .streams(StreamLimits { handshake_deadline: SHORT, ..stream_limits() })
        .start();
    let mut stream = connect(node.address());
    // The start of a ClientHello.
    stream.write_all(&[22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3]).unwrap();
    assert!(is_closed(&mut stream));
    assert_one_is_late(&node);
}

#[test]
fn a_half_frame_is_closed_and_its_allocation_ends() {
    let node = NodePlan::tcp().streams(StreamLimits { frame_deadline: SHORT, ..stream_limits() }).start();
    let mut client = Client::tcp(node.address());
    client.allocate();
    client.wire.stream.write_all(&channel_data(0x4000, &[1; 100], Path::Stream)[..50]).unwrap();
    assert!(is_closed(&mut client.wire.stream));
    assert_one_is_late(&node);
    wait_until("its allocation is gone", || node.workers.allocations() == 0);
}

#[test]
fn idleness_without_an_allocation_is_closed() {
    let node = NodePlan::tcp().streams(StreamLimits { idle_deadline: SHORT, ..stream_limits() }).start();
    let mut client = Client::tcp(node.address());
    client.binding();
    assert!(is_closed(&mut client.wire.stream));
    assert_one_is_late(&node);
}

#[test]
fn idleness_with_an_allocation_is_not() {
    let identity = Identity::new();
    let node = NodePlan::tls(identity.certificates())
        .listen(turn::Transport::Tcp, "127.0.0.1:0")
        .streams(StreamLimits { idle_deadline: SHORT, ..stream_limits() })
        .start();
    let (mut client, peer) = (TlsClient::tls(node.address(), &identity, &[]).unwrap(), peer());
    let relayed = client.allocate();
    client.bind(0x4000, peer.local_addr().unwrap());
    // Others come and are closed for idleness after it was idle as long.
    for _ in 0..3 {
        let mut idle = Client::tcp(node.address_of(1));
        idle.binding();
        assert!(is_closed(&mut idle.wire.stream));
    }
    peer.send_to(b"still there", relayed).unwrap();
    assert_eq!(client.receive(), Packet::Channel { number: 0x4000, payload: b"still there".to_vec() });
}

#[test]
fn connections_are_limited_in_all_and_for_each_source() {
    let node = NodePlan::tcp()
        .streams(StreamLimits { connections: 3, connections_per_source: 2, ..stream_limits() })
        .start();
    let mut first = Client::tcp(node.address());
    let mut second = Client::tcp(node.address());
    first.binding();
    second.binding();
    assert!(is_closed(&mut connect(node.address())), "a third one from one source");
    wait_until("it is counted", || node.count(|stats| stats.connections_refused) == 1);
    drop(first);
    wait_until("one is gone", || node.count(|stats| stats.connections_open) == 1);
    Client::tcp(node.address()).binding();
}
