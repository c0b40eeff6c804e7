//! Two clients of one relay reach each other through their relayed addresses.

use crate::support::{Client, NodePlan, Packet};

#[test]
fn relay_to_relay_over_ipv4() {
    let node = NodePlan::udp().workers(2).start();
    let (mut alice, mut bob) = (Client::udp(node.address()), Client::udp(node.address()));
    let (of_alice, of_bob) = (alice.allocate(), bob.allocate());
    alice.bind(0x4000, of_bob);
    bob.bind(0x4001, of_alice);
    alice.send_channel(0x4000, b"hello");
    assert_eq!(bob.receive(), Packet::Channel { number: 0x4001, payload: b"hello".to_vec() });
    bob.send_channel(0x4001, b"world");
    assert_eq!(alice.receive(), Packet::Channel { number: 0x4000, payload: b"world".to_vec() });
}

#[test]
fn relay_to_relay_over_ipv6_between_clients_of_both_families() {
    let node = NodePlan::udp().listen(turn::Transport::Udp, "[::1]:0").start();
    let (mut alice, mut bob) = (Client::udp(node.address()), Client::udp(node.address_of(1)));
    let (of_alice, of_bob) = (alice.allocate_v6(), bob.allocate_v6());
    assert!(of_alice.is_ipv6() && of_bob.is_ipv6());
    alice.permit(of_bob);
    bob.permit(of_alice);
    alice.send(of_bob, b"hello", false);
    assert_eq!(bob.receive(), Packet::Data { peer: of_alice, payload: b"hello".to_vec() });
    bob.send(of_alice, b"world", true);
    assert_eq!(alice.receive(), Packet::Data { peer: of_bob, payload: b"world".to_vec() });
}
