//! Listeners on the unspecified address answer from the address that the client used.

use std::net::SocketAddr;

use crate::support::{Client, NodePlan, Packet, datagram_socket, peer, receive};
use turn::Transport;

#[test]
fn udp_answers_and_data_come_from_the_address_that_was_asked() {
    let node = NodePlan::new().listen(Transport::Udp, "0.0.0.0:0").start();
    let peer = peer();
    for host in ["127.0.0.1", "127.0.0.5", "127.9.9.9"] {
        let asked = SocketAddr::new(host.parse().unwrap(), node.address().port());
        // A connected socket takes nothing from any other address.
        let mut client = Client::udp(asked);
        let relayed = client.allocate();
        client.bind(0x4000, peer.local_addr().unwrap());
        client.send_channel(0x4000, b"hello");
        assert_eq!(receive(&peer), (b"hello".to_vec(), relayed));
        peer.send_to(b"world", relayed).unwrap();
        assert_eq!(client.receive(), Packet::Channel { number: 0x4000, payload: b"world".to_vec() });
    }
}

#[test]
fn one_client_at_two_addresses_has_two_five_tuples() {
    let node = NodePlan::new().listen(Transport::Udp, "0.0.0.0:0").start();
    let wire = datagram_socket("127.0.0.1:0");
    let port = node.address().port();
    wire.connect(("127.0.0.1", port)).unwrap();
    let mut first = Client::over(wire.try_clone().unwrap());
    let relayed = first.allocate();
    wire.connect(("127.0.0.5", port)).unwrap();
    let mut second = Client::over(wire);
    assert_ne!(second.allocate(), relayed);
}

#[test]
fn ipv6_listeners_leave_ipv4_alone() {
    let v6 = NodePlan::new().listen(Transport::Udp, "[::]:0").listen(Transport::Tcp, "[::]:0").start();
    let (udp, tcp) = (v6.address_of(0).port(), v6.address_of(1).port());
    let v4 = NodePlan::new()
        .listen(Transport::Udp, &format!("0.0.0.0:{udp}"))
        .listen(Transport::Tcp, &format!("0.0.0.0:{tcp}"))
        .start();
    let asked: SocketAddr = format!("[::1]:{udp}").parse().unwrap();
    Client::udp(asked).binding();
    Client::tcp(format!("[::1]:{tcp}").parse().unwrap()).binding();
    Client::udp(format!("127.0.0.1:{udp}").parse().unwrap()).binding();
    Client::tcp(format!("127.0.0.1:{tcp}").parse().unwrap()).binding();
    assert_eq!(v4.workers.bound().len(), 2);
}
