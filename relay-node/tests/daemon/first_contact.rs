//! Clients of a first-contact listener are sent to another node, over UDP, TCP and TLS and behind a proxy; those of the
//! listeners beside it are served. What kind a listener is follows from the configuration of the relay that has it now.

use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;

use edgerelay::worker::Restored;
use turn::{Alternate, Alternates, Entrance, Redirect, Settings, Transport};

use crate::support::{
    Client, Dynasty, Identity, Node, NodePlan, Packet, StreamWire, TlsClient, Wire, connect, peer, receive,
    settings,
};

/// Try Alternate (RFC 8489 section 14.8).
const TRY_ALTERNATE: u16 = 300;
const CHANNEL: u16 = 0x4000;

/// A node that sends on whomever it can. Its first listener is for first contact.
fn plan(transport: Transport) -> NodePlan {
    let mut plan = NodePlan::new().workers(2);
    plan.settings = Settings { redirect: Redirect::All, ..settings() };
    for entrance in [Entrance::FirstContact, Entrance::Direct] {
        plan = plan.listen(transport, "127.0.0.1:0");
        if let Some(listener) = plan.listeners.last_mut() {
            listener.entrance = entrance;
        }
    }
    plan
}

/// Tells `node` of another one, that takes clients of every kind.
fn introduce(node: &Node) {
    let address: SocketAddr = "203.0.113.9:3478".parse().unwrap();
    let alternates = Alternates::new(vec![Alternate {
        addresses: [Transport::Udp, Transport::Tcp, Transport::Tls].map(|it| (it, address)).to_vec(),
        domain: None,
        certificate_covers: vec![address.ip()],
        room: 1000,
        chosen: Arc::default(),
        own: false,
    }]);
    node.workers.set_alternates(&Arc::new(alternates));
}

/// What becomes of a client at each of the two listeners.
fn outcomes<W: Wire>(node: &Node, client: impl Fn(SocketAddr) -> Client<W>) -> [Result<(), u16>; 2] {
    [0, 1].map(|place| client(node.address_of(place)).try_allocate().map(|_| ()))
}

#[test]
fn clients_are_sent_on_where_a_load_balancer_leads_and_served_beside_it() {
    let identity = Identity::new();
    let sent_on = [Err(TRY_ALTERNATE), Ok(())];
    for transport in [Transport::Udp, Transport::Tcp, Transport::Tls] {
        let mut plan = plan(transport);
        if transport == Transport::Tls {
            plan.listeners.iter_mut().for_each(|it| it.tls = Some(identity.certificates()));
        }
        let node = plan.start();
        let outcomes = || match transport {
            Transport::Udp => outcomes(&node, Client::udp),
            Transport::Tcp => outcomes(&node, Client::tcp),
            Transport::Tls => outcomes(&node, |at| TlsClient::tls(at, &identity, &["stun.turn"]).unwrap()),
        };
        assert_eq!(outcomes(), [Ok(()), Ok(())], "as long as no other node is known: {transport:?}");
        introduce(&node);
        assert_eq!(outcomes(), sent_on, "{transport:?}");
        node.workers.set_alternates(&Arc::new(Alternates::none()));
        assert_eq!(outcomes(), [Ok(()), Ok(())], "{transport:?}");
    }
}

#[test]
fn tls_on_a_tcp_listener_of_first_contact_is_of_first_contact_too() {
    let identity = Identity::new();
    let mut plan = plan(Transport::Tcp);
    plan.listeners[0].tls = Some(identity.certificates());
    let node = plan.start();
    introduce(&node);
    let mut tls = TlsClient::tls(node.address(), &identity, &["stun.turn"]).unwrap();
    assert_eq!(tls.try_allocate(), Err(TRY_ALTERNATE));
    assert_eq!(Client::tcp(node.address()).try_allocate(), Err(TRY_ALTERNATE));
}

#[test]
fn a_client_whom_a_proxy_names_is_sent_on_too() {
    let mut plan = plan(Transport::Tcp);
    plan.listeners[0].proxies = vec!["127.0.0.1/32".parse().unwrap()];
    let node = plan.start();
    introduce(&node);
    let ends: (SocketAddr, SocketAddr) =
        ("203.0.113.77:1234".parse().unwrap(), "192.0.2.1:3478".parse().unwrap());
    let version = ppp::v2::Version::Two as u8 | ppp::v2::Command::Proxy as u8;
    let header = ppp::v2::Builder::with_addresses(version, ppp::v2::Protocol::Stream, ends).build().unwrap();
    let mut stream = connect(node.address());
    stream.write_all(&header).unwrap();
    assert_eq!(Client::over(StreamWire::new(stream)).try_allocate(), Err(TRY_ALTERNATE));
}

#[test]
fn a_datagram_that_another_worker_got_keeps_the_way_it_came() {
    // Without steering the kernel gives it to either.
    let node = NodePlan { steering: false, ..plan(Transport::Udp).workers(4) }.start();
    introduce(&node);
    for _ in 0..40 {
        assert_eq!(outcomes(&node, Client::udp), [Err(TRY_ALTERNATE), Ok(())]);
    }
    assert!(node.count(|sockets| sockets.datagrams_handed_over) > 0);
}

#[test]
fn a_call_that_was_served_in_place_goes_on_through_a_hand_over() {
    let mut dynasty = Dynasty::new();
    let node = dynasty.records(plan(Transport::Udp)).start();
    let (mut client, peer) = (Client::udp(node.address()), peer());
    let relayed = client.allocate();
    client.bind(CHANNEL, peer.local_addr().unwrap());
    introduce(&node);
    let prepared = dynasty.heir(&node, plan(Transport::Udp)).prepare().unwrap();
    assert_eq!(prepared.restored(), Restored { allocations: 1, sockets: 1, ..Restored::default() });
    let heir = Node { workers: prepared.start().unwrap() };
    node.workers.release();
    introduce(&heir);
    // Its requests too: only who has no call yet is sent on.
    assert_eq!(client.refresh(600), 600);
    peer.send_to(b"still", relayed).unwrap();
    assert_eq!(client.receive(), Packet::Channel { number: CHANNEL, payload: b"still".to_vec() });
    client.send_channel(CHANNEL, b"here");
    assert_eq!(receive(&peer), (b"here".to_vec(), relayed));
    assert_eq!(outcomes(&heir, Client::udp), [Err(TRY_ALTERNATE), Ok(())]);
}

#[test]
fn a_listener_becomes_one_of_first_contact_with_the_sockets_that_it_has() {
    let mut dynasty = Dynasty::new();
    let exchanged = || {
        let mut plan = plan(Transport::Udp);
        plan.listeners.swap(0, 1);
        plan
    };
    // Told apart by where they are: port 0 would be the same for both.
    let node = dynasty.records(plan(Transport::Udp)).start();
    let places = [node.address_of(0), node.address_of(1)];
    let at_places = |mut plan: NodePlan| {
        plan.listeners.iter_mut().zip(places).for_each(|(listener, place)| listener.bind = place);
        plan
    };
    drop(node);
    let node = dynasty.records(at_places(plan(Transport::Udp))).start();
    let prepared = dynasty.heir(&node, at_places(exchanged())).prepare().unwrap();
    let heir = Node { workers: prepared.start().unwrap() };
    node.workers.release();
    introduce(&heir);
    assert_eq!(outcomes(&heir, Client::udp), [Ok(()), Err(TRY_ALTERNATE)]);
}
