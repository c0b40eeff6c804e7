//! ICMP errors from peers become Data indications (RFC 8656 section 11.5) and harm nobody else.

use crate::support::{Client, NodePlan, Packet, datagram_socket, peer, receive};

#[test]
fn a_closed_port_is_told_and_other_peers_are_reached() {
    let node = NodePlan::udp().start();
    let (mut client, alive) = (Client::udp(node.address()), peer());
    let closed = peer().local_addr().unwrap();
    let relayed = client.allocate();
    client.permit(alive.local_addr().unwrap());
    for number in 0..20u8 {
        client.send(closed, b"anybody?", false);
        assert_eq!(client.receive(), Packet::Icmp { peer: closed, kind: 3, code: 3 });
        client.send(alive.local_addr().unwrap(), &[number], false);
        assert_eq!(receive(&alive), (vec![number], relayed));
        alive.send_to(&[number], relayed).unwrap();
        let expected = Packet::Data { peer: alive.local_addr().unwrap(), payload: vec![number] };
        assert_eq!(client.receive(), expected);
    }
}

#[test]
fn errors_in_the_middle_of_a_burst_cost_no_other_datagram() {
    let node = NodePlan::udp().start();
    let (mut client, alive) = (Client::udp(node.address()), peer());
    let closed = peer().local_addr().unwrap();
    let relayed = client.allocate();
    client.bind(0x4000, alive.local_addr().unwrap());
    client.bind(0x4001, closed);
    for number in 0..100u8 {
        client.send_channel(0x4001, b"anybody?");
        client.send_channel(0x4000, &[number]);
    }
    for number in 0..100u8 {
        assert_eq!(receive(&alive), (vec![number], relayed));
    }
}

#[test]
fn an_answer_to_a_client_that_is_gone_does_not_stop_the_listener() {
    let node = NodePlan::udp().start();
    let (mut client, peer) = (Client::udp(node.address()), peer());
    let gone = datagram_socket("127.0.0.1:0");
    gone.connect(node.address()).unwrap();
    let mut leaver = Client::over(gone);
    let relayed = leaver.allocate();
    leaver.bind(0x4000, peer.local_addr().unwrap());
    drop(leaver);
    for _ in 0..10 {
        peer.send_to(b"nobody reads this", relayed).unwrap();
    }
    client.binding();
}
