//! Peers that no client may reach through a relay, in every form of writing their addresses:
//! CreatePermission and ChannelBind are refused, Send is dropped and counted, and nothing leaves the relay.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use edgerelay_e2e::Network;
use edgerelay_e2e::client::Client;
use edgerelay_e2e::peer::Peer;
use edgerelay_e2e::relay::Relay;
use edgerelay_e2e::request;
use edgerelay_e2e::steady::Steady;
use edgerelay_e2e::wire::Wire;
use stun::Method;
use stun::attribute::XorPeerAddress;
use testbed::eventually_true;

const BOUND: u64 = 2 << 20;
/// The port of what must not be reached.
const PORT: u16 = 7777;
/// A channel that is bound to a good peer.
const CHANNEL: u16 = 0x4FFF;
const PATIENCE: Duration = Duration::from_secs(10);

const REFUSED: [&str; 42] = [
    // IPv4: unspecified, loopback, private, shared, link-local, metadata, protocol assignments,
    // multicast, reserved, broadcast
    "0.0.0.0",
    "0.1.2.3",
    "127.0.0.1",
    "127.255.255.254",
    "10.0.0.1",
    "172.16.0.1",
    "172.31.255.254",
    "192.168.1.1",
    "100.64.0.1",
    "100.100.100.200",
    "169.254.1.1",
    "169.254.169.254",
    "168.63.129.16",
    "192.0.0.192",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    // IPv6: unspecified, loopback, link-local, site-local, unique-local, metadata, multicast
    "::",
    "::1",
    "fe80::1",
    "fec0::1",
    "fc00::1",
    "fdff::1",
    "fd00:ec2::254",
    "ff02::1",
    "ff0e::1",
    // IPv4-mapped and -compatible, also of public addresses
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:203.0.113.34",
    "::127.0.0.1",
    "::203.0.113.34",
    // 6to4
    "2002:7f00:1::1",
    "2002:a00:1::1",
    "2002:a9fe:a9fe::1",
    // NAT64, with the well-known and the local-use prefix
    "64:ff9b::7f00:1",
    "64:ff9b::a00:1",
    "64:ff9b:1::a9fe:a9fe",
    // Teredo: the client is 127.0.0.1, inverted; then the server is 10.0.0.1
    "2001:0:cb00:7122:0:0:80ff:fffe",
    "2001:0:a00:1::",
    // ISATAP
    "2001:db8::5efe:7f00:1",
    "2001:db8::200:5efe:a00:1",
];

#[test]
fn are_refused_in_every_form() {
    let network = Network::new();
    // A private host that the relay could reach if it wanted to.
    network.peer.namespace.configure("addr add 10.0.0.1/32 dev lo\n").expect("an address of its own");
    network.route("10.0.0.1/32", &network.peer);
    let relay = Relay::start(&network);
    let steady = Steady::before(&network, &relay);
    let good = Peer::new(&network.peer.namespace, network.peer.v4.into());
    let mut client = Client::udp(&network.alice, relay.plain(), relay.credential("mallory"));
    let relayed = client.allocate_both().expect("both families are served")[0];
    client.bind(CHANNEL, good.address()).expect("the peer's address is public");
    let wire = Wire::tap(&network.relay);

    for (number, address) in (1_u16..).zip(REFUSED) {
        let peer = SocketAddr::new(address.parse::<IpAddr>().expect("an address"), PORT);
        assert_eq!(client.permit(peer), Err(403), "CreatePermission for {address}");
        let unbound = 0x4000 + number;
        assert_eq!(client.bind(unbound, peer), Err(403), "ChannelBind for {address}");
        assert_eq!(client.bind(CHANNEL, peer), Err(400), "the channel is another peer's: {address}");
        client.send_to(peer, b"let me in");
        client.send(&channel_data(unbound, b"here"));
        client.send(&channel_data(CHANNEL, b"the good peer"));
        assert_eq!(client.aside(), Vec::<Vec<u8>>::new(), "indications and channel data draw no answer");

        assert_eq!(good.receive(), Some((relayed, b"the good peer".to_vec())), "after {address}");
        let seen = wire.datagrams();
        assert!(seen.iter().any(|datagram| datagram.to == good.address()), "the tap sees what leaves");
        let stray = seen.iter().find(|datagram| datagram.to.port() == PORT);
        assert_eq!(stray, None, "something left for {address}");
        let counted = || ["no_permission", "no_channel"].map(|reason| dropped(&relay, reason));
        eventually_true(PATIENCE, &format!("the drops for {address} to be counted"), || {
            counted() == [number; 2].map(u64::from)
        });
    }
    client.refresh(0).expect("the allocation is as it was");
    steady.holds(BOUND);
}

/// RFC 8656 section 10.2: all or nothing.
#[test]
fn spoil_a_request_that_names_a_good_peer_too() {
    let network = Network::new();
    let relay = Relay::start(&network);
    let good = Peer::new(&network.peer.namespace, network.peer.v4.into());
    let mut client = Client::udp(&network.alice, relay.plain(), relay.credential("mallory"));
    client.allocate().expect("the credential is good");

    let loopback = "127.0.0.1:7777".parse().expect("an address");
    let outcome = client.call(Method::CREATE_PERMISSION, |writer| {
        writer.attribute(&XorPeerAddress(good.address())).expect("there is room");
        writer.attribute(&XorPeerAddress(loopback)).expect("there is room");
    });
    assert_eq!(outcome.map(drop), Err(403));
    client.send_to(good.address(), b"no permission");
    assert!(client.aside().is_empty());
    assert!(good.heard_nothing(), "the good peer got no permission from a request that failed");
}

/// Relay to relay on one node is allowed; the node's other ports are not reached by that door.
#[test]
fn the_relays_own_address_leads_to_relayed_addresses_only() {
    let network = Network::new();
    let relay = Relay::start(&network);
    let own = SocketAddr::new(network.relay.v4.into(), PORT);
    let service = Peer::at(&network.relay.namespace, own);
    let wire = Wire::tap(&network.relay);
    let steady = Steady::before(&network, &relay);

    let mut client = Client::udp(&network.alice, relay.plain(), relay.credential("mallory"));
    client.allocate().expect("the credential is good");
    // The permission may be given, since a relayed address shares the node's: what counts is the port.
    let _ = client.permit(own);
    let _ = client.bind(0x4001, own);
    client.send_to(own, b"let me in");
    client.send(&channel_data(0x4001, b"here"));
    let back_in = request::binding();
    client.send_to(relay.plain(), &back_in);
    assert_eq!(client.aside(), Vec::<Vec<u8>>::new(), "the relay's own listener answers nobody inside");
    assert!(service.heard_nothing(), "a service of the node was reached through the relay");
    let stray = wire.datagrams().into_iter().find(|datagram| datagram.to == own);
    assert_eq!(stray, None, "something left for a service of the node");
    client.refresh(0).expect("the allocation is as it was");
    steady.holds(BOUND);
}

fn channel_data(channel: u16, data: &[u8]) -> Vec<u8> {
    [&channel.to_be_bytes()[..], &(data.len() as u16).to_be_bytes(), data].concat()
}

fn dropped(relay: &Relay<'_>, reason: &str) -> u64 {
    relay.metric("turn_dropped_packets_total", &[&format!("reason=\"{reason}\"")]) as u64
}
