//! Packets through a live relay over UDP, in every form that RFC 8656 knows.

use crate::support::{Client, NodePlan, Packet, peer, receive, wait_until};

#[test]
fn binding_tells_the_client_its_address() {
    let node = NodePlan::udp().start();
    let mut client = Client::udp(node.address());
    assert_eq!(client.binding(), client.wire.local_addr().unwrap());
}

#[test]
fn channel_data_goes_to_the_peer_and_back() {
    let node = NodePlan::udp().start();
    let (mut client, peer) = (Client::udp(node.address()), peer());
    let relayed = client.allocate();
    client.bind(0x4000, peer.local_addr().unwrap());
    for payload in [&b"hello"[..], b"", &[7; 1200]] {
        client.send_channel(0x4000, payload);
        assert_eq!(receive(&peer), (payload.to_vec(), relayed));
        peer.send_to(payload, relayed).unwrap();
        assert_eq!(client.receive(), Packet::Channel { number: 0x4000, payload: payload.to_vec() });
    }
}

#[test]
fn indications_go_to_the_peer_and_back() {
    let node = NodePlan::udp().start();
    let (mut client, peer) = (Client::udp(node.address()), peer());
    let relayed = client.allocate();
    client.permit(peer.local_addr().unwrap());
    for payload in [&b"hello"[..], b"", &[7; 1201]] {
        client.send(peer.local_addr().unwrap(), payload, false);
        assert_eq!(receive(&peer), (payload.to_vec(), relayed));
        peer.send_to(payload, relayed).unwrap();
        let expected = Packet::Data { peer: peer.local_addr().unwrap(), payload: payload.to_vec() };
        assert_eq!(client.receive(), expected);
    }
}

#[test]
fn a_datagram_of_the_largest_size_passes() {
    let node = NodePlan::udp().start();
    let (mut client, peer) = (Client::udp(node.address()), peer());
    let relayed = client.allocate();
    client.bind(0x4000, peer.local_addr().unwrap());
    // The ChannelData header takes four bytes of what UDP over IPv4 can carry.
    let payload = vec![9; 65_507 - 4];
    client.send_channel(0x4000, &payload);
    assert_eq!(receive(&peer), (payload.clone(), relayed));
    peer.send_to(&payload, relayed).unwrap();
    assert_eq!(client.receive(), Packet::Channel { number: 0x4000, payload });
}

#[test]
fn a_burst_keeps_its_order_and_its_sizes() {
    let node = NodePlan::udp().start();
    let (mut client, peer) = (Client::udp(node.address()), peer());
    let relayed = client.allocate();
    client.bind(0x4000, peer.local_addr().unwrap());
    // Runs of one size, as the kernel cuts from one buffer, with shorter and empty ones in between.
    let sizes = [160, 160, 160, 20, 160, 0, 160, 160, 1200, 1200, 1200, 1200, 300, 300];
    let packets: Vec<Vec<u8>> =
        (0..140u8).map(|number| vec![number; sizes[usize::from(number) % sizes.len()]]).collect();
    for packet in &packets {
        client.send_channel(0x4000, packet);
    }
    for packet in &packets {
        assert_eq!(receive(&peer), (packet.clone(), relayed));
    }
    for packet in &packets {
        peer.send_to(packet, relayed).unwrap();
    }
    for packet in packets {
        assert_eq!(client.receive(), Packet::Channel { number: 0x4000, payload: packet });
    }
}

#[test]
fn a_deleted_allocation_closes_its_socket() {
    let node = NodePlan::udp().start();
    let mut client = Client::udp(node.address());
    client.allocate();
    wait_until("a relay socket is open", || node.count(|stats| stats.relays_open) == 1);
    assert_eq!(client.refresh(0), 0);
    wait_until("no relay socket is open", || node.count(|stats| stats.relays_open) == 0);
    assert_eq!(node.workers.allocations(), 0);
}

#[test]
fn a_datagram_that_must_not_be_fragmented_passes_and_so_does_the_next() {
    let node = NodePlan::udp().start();
    let (mut client, peer) = (Client::udp(node.address()), peer());
    let relayed = client.allocate();
    client.permit(peer.local_addr().unwrap());
    client.send(peer.local_addr().unwrap(), b"whole", true);
    client.send(peer.local_addr().unwrap(), b"any", false);
    assert_eq!(receive(&peer), (b"whole".to_vec(), relayed));
    assert_eq!(receive(&peer), (b"any".to_vec(), relayed));
}
