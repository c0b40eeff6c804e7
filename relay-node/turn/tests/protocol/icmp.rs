//! ICMP errors become Data indications with ICMP (RFC 8656 section 11.5).

use std::net::SocketAddr;
use std::time::Duration;

use crate::support::{Relay, Seen, TestClient, at, peer, permitted};
use stun::attribute::{Icmp, XorPeerAddress};
use stun::{AttributeType, Class, Message, Method};
use turn::IcmpError;

const UNREACHABLE: IcmpError = IcmpError { kind: 3, code: 3, data: [0; 4] };

#[test]
fn tell_the_client_which_peer_and_what() {
    let (mut relay, alice, relayed) = permitted();
    let too_big = IcmpError { kind: 3, code: 4, data: [0, 0, 0x05, 0x78] };
    let seen = relay.icmp(peer(), relayed, too_big);
    let [Seen::AtClient { client, packet }] = &seen[..] else { panic!("{seen:?}") };
    let message = Message::parse(packet).unwrap();
    assert_eq!(*client, alice.address());
    assert_eq!((message.class(), message.method()), (Class::Indication, Method::DATA));
    assert_eq!(message.get(), Ok(Some(XorPeerAddress(peer()))));
    assert_eq!(message.get(), Ok(Some(Icmp { kind: 3, code: 4, data: [0, 0, 0x05, 0x78] })));
    assert!(!message.has(AttributeType::DATA));
}

#[test]
fn come_as_indications_even_where_a_channel_is_bound() {
    let (mut relay, mut alice, relayed) = permitted();
    alice.bind(&mut relay, 0x4000, peer());
    let seen = relay.icmp(peer(), relayed, UNREACHABLE);
    let [Seen::AtClient { packet, .. }] = &seen[..] else { panic!("{seen:?}") };
    assert!(Message::parse(packet).unwrap().has(AttributeType::ICMP));
}

#[test]
fn go_by_the_peers_address_whatever_its_port() {
    let (mut relay, _, relayed) = permitted();
    assert_eq!(relay.icmp(SocketAddr::new(peer().ip(), 9), relayed, UNREACHABLE).len(), 1);
    assert_eq!(relay.icmp(at("192.0.2.11:7000"), relayed, UNREACHABLE), []);
}

#[test]
fn stop_when_the_permission_does() {
    let (mut relay, _, relayed) = permitted();
    relay.wait(Duration::from_secs(300));
    assert_eq!(relay.icmp(peer(), relayed, UNREACHABLE), []);
}

#[test]
fn of_other_types_are_dropped() {
    let (mut relay, _, relayed) = permitted();
    for kind in 0..=255 {
        let error = IcmpError { kind, ..UNREACHABLE };
        let told = relay.icmp(peer(), relayed, error).len();
        assert_eq!(told, usize::from(matches!(kind, 3 | 11)), "ICMP type {kind}");
    }
}

#[test]
fn of_ipv6_have_types_of_their_own() {
    let mut relay = Relay::new();
    let mut alice = TestClient::new("198.51.100.7:4000");
    let relayed = alice.allocate_v6(&mut relay);
    let peer = at("[2001:db8:2::10]:7000");
    alice.permit(&mut relay, peer);
    for kind in 0..=255 {
        let told = relay.icmp(peer, relayed, IcmpError { kind, ..UNREACHABLE }).len();
        assert_eq!(told, usize::from(matches!(kind, 1..=3)), "ICMPv6 type {kind}");
    }
}
