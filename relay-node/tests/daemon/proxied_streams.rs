//! PROXY protocol v2: a client is who the header says, and nobody without one is served.

use std::io::{Read, Write};
use std::net::SocketAddr;

use crate::support::{
    Client, Identity, Node, NodePlan, StreamWire, binding, connect, is_closed, stream_limits, wait_until,
};
use ppp::v2::{Addresses, Builder, Command, Protocol, Version};
use stun::TransactionId;

const PROXIED: &str = "203.0.113.9:1234";

fn node(plan: NodePlan) -> Node {
    let mut plan = plan;
    plan.listeners[0].proxies = vec!["127.0.0.1/32".parse().unwrap()];
    plan.start()
}

fn header(command: Command) -> Vec<u8> {
    let ends: (SocketAddr, SocketAddr) = (PROXIED.parse().unwrap(), "192.0.2.1:3478".parse().unwrap());
    Builder::with_addresses(Version::Two as u8 | command as u8, Protocol::Stream, ends).build().unwrap()
}

#[test]
fn the_client_is_who_the_header_says() {
    let node = node(NodePlan::tcp());
    let mut stream = connect(node.address());
    // In pieces, and with the first request right behind it.
    let header = header(Command::Proxy);
    stream.write_all(&header[..5]).unwrap();
    stream.write_all(&header[5..]).unwrap();
    let mut client = Client::over(StreamWire::new(stream));
    assert_eq!(client.binding(), PROXIED.parse().unwrap());
    client.allocate();
}

#[test]
fn a_local_header_leaves_the_client_who_it_is() {
    let node = node(NodePlan::tcp());
    let mut stream = connect(node.address());
    stream.write_all(&header(Command::Local)).unwrap();
    let own = stream.local_addr().unwrap();
    assert_eq!(Client::over(StreamWire::new(stream)).binding(), own);
}

#[test]
fn a_missing_or_garbled_header_closes_the_connection() {
    let node = node(NodePlan::tcp());
    let unix = Addresses::from(ppp::v2::Unix::new([1; 108], [2; 108]));
    let unix =
        Builder::with_addresses(Version::Two as u8 | Command::Proxy as u8, Protocol::Stream, unix).build();
    let mut garbled = header(Command::Proxy);
    garbled[12] = 0x31;
    let missing = binding(TransactionId::new([0; 12]));
    for bytes in [missing, garbled, unix.unwrap()] {
        let mut stream = connect(node.address());
        stream.write_all(&bytes).unwrap();
        assert!(is_closed(&mut stream));
    }
    wait_until("all are counted", || node.count(|stats| stats.connections_invalid) == 3);
}

#[test]
fn the_limit_for_a_source_is_for_the_one_that_the_header_names() {
    let mut limits = stream_limits();
    limits.connections_per_source = 1;
    let node = node(NodePlan::tcp().streams(limits));
    let mut first = connect(node.address());
    first.write_all(&header(Command::Proxy)).unwrap();
    let mut client = Client::over(StreamWire::new(first));
    client.binding();

    let mut same_source = connect(node.address());
    same_source.write_all(&header(Command::Proxy)).unwrap();
    assert!(is_closed(&mut same_source));

    let mut other_source = connect(node.address());
    other_source.write_all(&header(Command::Local)).unwrap();
    Client::over(StreamWire::new(other_source)).binding();
}

#[test]
fn a_header_in_front_of_tls_is_read_first() {
    let node = node(NodePlan::tls(Identity::new().certificates()));
    let mut stream = connect(node.address());
    stream.write_all(&header(Command::Proxy)).unwrap();
    // A TLS alert answers what is no TLS: the header was taken, and nothing behind it.
    stream.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    let mut alert = [0; 7];
    stream.read_exact(&mut alert).unwrap();
    assert_eq!(alert[..2], [21, 3]);
}

#[test]
fn nobody_but_a_listed_proxy_may_connect() {
    let mut plan = NodePlan::tcp();
    plan.listeners[0].proxies = vec!["127.0.0.2/32".parse().unwrap()];
    let node = plan.start();
    let mut stream = connect(node.address());
    // The relay may be faster than this.
    let _ = stream.write_all(&header(Command::Proxy));
    assert!(is_closed(&mut stream));
    wait_until("it is counted", || node.count(|stats| stats.connections_untrusted) == 1);
}

#[test]
fn a_five_tuple_claimed_twice_ends_nobodys_allocation() {
    let node = node(NodePlan::tcp());
    let claim = || {
        let mut stream = connect(node.address());
        stream.write_all(&header(Command::Proxy)).unwrap();
        stream
    };
    let mut client = Client::over(StreamWire::new(claim()));
    client.allocate();

    assert!(is_closed(&mut claim()), "the second one is refused");
    wait_until("it is counted", || node.count(|stats| stats.connections_refused) == 1);
    wait_until("it is gone", || node.count(|stats| stats.connections_open) == 1);
    assert_eq!(client.refresh(600), 600, "the first one's allocation lives");

    drop(client);
    wait_until("the first one is gone", || node.count(|stats| stats.connections_open) == 0);
    // It is free again.
    Client::over(StreamWire::new(claim())).binding();
}
