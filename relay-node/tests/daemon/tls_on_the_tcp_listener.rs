//! A TCP listener with a certificate serves TLS to those who begin with it, as coturn does on port 3478.

use std::io::{Read, Write};

use crate::support::{
    ALICE, Client, Daemon, Identity, Node, NodePlan, Packet, StreamWire, TlsClient, connect, is_closed, peer,
    receive, wait_until,
};
use turn_client::{Path, channel_data};

fn node(identity: &Identity) -> Node {
    let mut plan = NodePlan::tcp();
    plan.listeners[0].tls = Some(identity.certificates());
    plan.start()
}

#[test]
fn tls_and_tcp_clients_are_served_on_one_port() {
    let identity = Identity::new();
    let node = node(&identity);
    let peer = peer();
    let mut tls = TlsClient::tls(node.address(), &identity, &["stun.turn"]).unwrap();
    let mut tcp = Client::tcp(node.address());
    let (tls_relayed, tcp_relayed) = (tls.allocate(), tcp.allocate());
    tls.bind(0x4000, peer.local_addr().unwrap());
    tcp.bind(0x4000, peer.local_addr().unwrap());
    tls.send_channel(0x4000, b"over tls");
    assert_eq!(receive(&peer), (b"over tls".to_vec(), tls_relayed));
    tcp.send_channel(0x4000, b"over tcp");
    assert_eq!(receive(&peer), (b"over tcp".to_vec(), tcp_relayed));
    peer.send_to(b"back", tls_relayed).unwrap();
    assert_eq!(tls.receive(), Packet::Channel { number: 0x4000, payload: b"back".to_vec() });
}

#[test]
fn a_first_packet_may_be_channel_data() {
    let identity = Identity::new();
    let node = node(&identity);
    let mut stream = connect(node.address());
    stream.write_all(&channel_data(0x4FFF, b"to nobody", Path::Stream)).unwrap();
    Client::over(StreamWire::new(stream)).binding();
}

#[test]
fn a_proxys_header_comes_before_tls() {
    let mut plan = NodePlan::tcp();
    plan.listeners[0].tls = Some(Identity::new().certificates());
    plan.listeners[0].proxies = vec!["127.0.0.0/8".parse().unwrap()];
    let node = plan.start();
    let ends: (std::net::SocketAddr, std::net::SocketAddr) =
        ("203.0.113.9:1234".parse().unwrap(), "192.0.2.1:3478".parse().unwrap());
    let version = ppp::v2::Version::Two as u8 | ppp::v2::Command::Proxy as u8;
    let header = ppp::v2::Builder::with_addresses(version, ppp::v2::Protocol::Stream, ends).build().unwrap();
    let mut stream = connect(node.address());
    stream.write_all(&header).unwrap();
    // A TLS record of type handshake that holds none: the alert that answers it is TLS too.
    stream.write_all(&[22, 3, 1, 0, 4, 0xFF, 0, 0, 0]).unwrap();
    let mut alert = [0; 7];
    stream.read_exact(&mut alert).unwrap();
    assert_eq!(alert[..2], [21, 3]);
}

#[test]
fn without_a_certificate_it_is_no_packet() {
    let node = NodePlan::tcp().start();
    let mut stream = connect(node.address());
    stream.write_all(&[22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0]).unwrap();
    assert!(is_closed(&mut stream));
    wait_until("it is counted", || node.count(|stats| stats.connections_invalid) == 1);
}

#[test]
fn the_configuration_gives_a_tcp_listener_its_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let identity = Identity::new();
    identity.write(folder.path());
    let listeners = format!("listeners = [{}]", Identity::listener("tcp", folder.path()));
    let daemon = Daemon::serve_with(folder, &format!("{ALICE}\n{listeners}"));
    let relay = daemon.address("tcp");
    TlsClient::tls(relay, &identity, &[]).unwrap().allocate();
    Client::tcp(relay).allocate();
}
