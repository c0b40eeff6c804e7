//! Neither a few sources nor one network of many can hold all connections: who has fewest gets a place from
//! who has most.

use std::io::Write;
use std::net::{IpAddr, SocketAddr, TcpStream};

use crate::support::{
    Client, Node, NodePlan, PATIENCE, Packet, StreamWire, connect, is_closed, peer, receive, stream_limits,
    wait_until,
};
use edgerelay::worker::StreamLimits;
use ppp::v2::{Builder, Command, Protocol, Version};
use turn::Transport;

const SOURCES: u8 = 8;
const PER_SOURCE: usize = 6;

type TcpClient = Client<StreamWire<TcpStream>>;

fn node(workers: usize) -> Node {
    let connections = usize::from(SOURCES) * PER_SOURCE;
    let limits = StreamLimits { connections, connections_per_source: PER_SOURCE, ..stream_limits() };
    // Listens on every address, so that each source may be another one of loopback.
    NodePlan::new().listen(Transport::Tcp, "0.0.0.0:0").workers(workers).streams(limits).start()
}

/// A client at 127.0.1.`source`.
fn client(node: &Node, source: u8) -> TcpClient {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::new(IpAddr::from([127, 0, 1, source]), 0).into()).unwrap();
    let relay = SocketAddr::new(IpAddr::from([127, 0, 0, 1]), node.address().port());
    socket.connect(&relay.into()).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.set_tcp_nodelay(true).unwrap();
    Client::over(StreamWire::new(socket.into()))
}

/// Eight sources take every place there is, each connection doing as `act` says.
fn fill(node: &Node, act: impl Fn(&mut TcpClient)) -> Vec<TcpClient> {
    let mut held = Vec::new();
    for _ in 0..PER_SOURCE {
        for source in 1..=SOURCES {
            let mut client = client(node, source);
            act(&mut client);
            held.push(client);
        }
    }
    assert_eq!(held.len(), usize::from(SOURCES) * PER_SOURCE);
    held
}

#[test]
fn a_newcomer_takes_the_place_of_one_without_an_allocation() {
    let node = node(1);
    let mut held = fill(&node, |client| {
        client.binding();
    });
    client(&node, 9).allocate();
    wait_until("one had to go", || node.count(|stats| stats.connections_displaced) == 1);
    for it in &held {
        it.wire.stream.set_nonblocking(true).unwrap();
    }
    let closed = held.iter_mut().map(|it| usize::from(is_closed(&mut it.wire.stream))).sum::<usize>();
    assert_eq!(closed, 1);
}

#[test]
fn a_newcomer_takes_the_place_of_an_allocation_that_is_not_in_use_on_whatever_worker() {
    let node = node(2);
    let peer = peer();
    let mut held = fill(&node, |client| {
        client.allocate();
    });
    // The oldest of all has a call.
    let call = &mut held[0];
    call.bind(0x4000, peer.local_addr().unwrap());
    let mut newcomers = Vec::new();
    for count in 1..PER_SOURCE as u64 {
        call.send_channel(0x4000, b"live");
        assert_eq!(receive(&peer).0, b"live");
        let mut newcomer = client(&node, 9);
        newcomer.allocate();
        newcomers.push(newcomer);
        wait_until("one had to go", || node.count(|stats| stats.connections_displaced) == count);
    }
    call.send_channel(0x4000, b"still live");
    let (payload, relayed) = receive(&peer);
    assert_eq!(payload, b"still live");
    peer.send_to(b"and back", relayed).unwrap();
    assert_eq!(call.receive(), Packet::Channel { number: 0x4000, payload: b"and back".to_vec() });
}

#[test]
fn a_source_with_as_many_as_the_others_takes_nothing() {
    let node = node(1);
    let _held = fill(&node, |client| {
        client.binding();
    });
    let mut newcomers = Vec::new();
    wait_until("a newcomer is refused", || {
        newcomers.push(client(&node, 9));
        node.count(|stats| stats.connections_refused) > 0
    });
    assert!(node.count(|stats| stats.connections_displaced) < PER_SOURCE as u64);
}

/// A relay behind a proxy, which says whose its connections are, with this many places.
fn proxied(connections: usize) -> Node {
    let mut plan = NodePlan::tcp().streams(StreamLimits { connections, ..stream_limits() });
    plan.listeners[0].proxies = vec!["127.0.0.1/32".parse().unwrap()];
    plan.start()
}

/// A client at this address, as the proxy says.
fn client_of(node: &Node, address: &str) -> TcpClient {
    let mut stream = connect(node.address());
    let ends = (SocketAddr::new(address.parse().unwrap(), 1234), "[2001:db8:ffff::1]:3478".parse().unwrap());
    let version = Version::Two as u8 | Command::Proxy as u8;
    let header = Builder::with_addresses(version, Protocol::Stream, ends).build().unwrap();
    stream.write_all(&header).unwrap();
    Client::over(StreamWire::new(stream))
}

#[test]
fn a_newcomer_takes_a_place_from_a_network_whose_hosts_have_one_each() {
    const PLACES: usize = 20;
    let node = proxied(PLACES);
    let mut held = Vec::new();
    for host in 0..PLACES {
        let mut client = client_of(&node, &format!("2001:db8:1:{host:x}::1"));
        client.allocate();
        held.push(client);
    }
    // Each of another network gets in and stays, until that one has half of all.
    let mut newcomers = Vec::new();
    for count in 1..=PLACES / 2 {
        let mut newcomer = client_of(&node, &format!("2001:db8:2:{count:x}::1"));
        newcomer.allocate();
        newcomers.push(newcomer);
        wait_until("one had to go", || node.count(|stats| stats.connections_displaced) == count as u64);
    }
    for newcomer in &mut newcomers {
        assert_eq!(newcomer.refresh(600), 600);
    }
    assert_eq!(node.count(|stats| stats.connections_refused), 0);
}
