//! ChannelBind (RFC 8656 sections 12 to 12.3).

use std::net::SocketAddr;
use std::time::Duration;

use crate::support::{
    Relay, TestClient, allocated, allocated_with, at, channel_data, data_indication, peer, settings,
};
use stun::attribute::{ChannelNumber, XorPeerAddress};
use stun::{AttributeType, Method};
use turn::Quota;

fn with_quota(quota: impl Fn(Quota) -> Quota) -> (Relay, TestClient, SocketAddr) {
    let mut limited = settings();
    limited.limits.user = quota(limited.limits.user);
    allocated_with(limited)
}

#[test]
fn joins_a_number_and_a_peer_both_ways() {
    let (mut relay, mut alice, relayed) = allocated();
    assert_eq!(alice.bind(&mut relay, 0x4000, peer()).code(), 0);
    let seen = alice.channel_data(&mut relay, 0x4000, b"to the peer");
    assert_eq!(seen[0].at_peer(), (relayed, peer(), b"to the peer".as_slice()));
    let back = relay.peer_sends(peer(), relayed, b"to the client");
    assert_eq!(back, Some((alice.address(), channel_data(0x4000, b"to the client"))));
}

#[test]
fn joins_one_port_and_permits_them_all() {
    let (mut relay, mut alice, relayed) = allocated();
    alice.bind(&mut relay, 0x4000, peer());
    let other_port = SocketAddr::new(peer().ip(), 9);
    let (_, packet) = relay.peer_sends(other_port, relayed, b"hello").unwrap();
    assert_eq!(data_indication(&packet), (other_port, b"hello".as_slice()));
}

#[test]
fn a_number_has_one_peer_and_a_peer_one_number() {
    let (mut relay, mut alice, relayed) = allocated();
    alice.bind(&mut relay, 0x4000, peer());
    let other_port = SocketAddr::new(peer().ip(), 9);
    assert_eq!(alice.bind(&mut relay, 0x4000, other_port).code(), 400, "the number is taken");
    assert_eq!(alice.bind(&mut relay, 0x4001, peer()).code(), 400, "the peer is taken");
    assert_eq!(alice.bind(&mut relay, 0x4000, peer()).code(), 0, "the same again is a refresh");
    assert_eq!(alice.bind(&mut relay, 0x4001, other_port).code(), 0);
    assert_eq!(alice.channel_data(&mut relay, 0x4000, b"")[0].at_peer(), (relayed, peer(), b"".as_slice()));
    assert_eq!(relay.turn.stats().channels, 2);
}

#[test]
fn the_number_is_the_allocations_own() {
    let (mut relay, mut alice, _) = allocated();
    alice.bind(&mut relay, 0x4000, peer());
    let mut second = TestClient::new("198.51.100.7:4001");
    second.allocate(&mut relay);
    assert_eq!(second.channel_data(&mut relay, 0x4000, b"hello"), []);
    assert_eq!(second.bind(&mut relay, 0x4000, at("192.0.2.11:1")).code(), 0);
}

#[test]
fn the_number_is_between_0x4000_and_0x4fff() {
    for (number, code) in
        [(0x3FFF, 400), (0x4000, 0), (0x4FFF, 0), (0x5000, 400), (0x7FFF, 400), (0, 400), (0xFFFF, 400)]
    {
        let (mut relay, mut alice, _) = allocated();
        let answer = alice.ask(&mut relay, Method::CHANNEL_BIND, |writer| {
            let [high, low] = u16::to_be_bytes(number);
            writer.raw(AttributeType::CHANNEL_NUMBER, &[high, low, 0, 0])?;
            writer.attribute(&XorPeerAddress(peer())).map(drop)
        });
        assert_eq!(answer.code(), code, "{number:#06x}");
        assert_eq!(relay.turn.stats().permissions, u64::from(code == 0));
    }
}

#[test]
fn needs_a_number_and_a_peer() {
    let (mut relay, mut alice, _) = allocated();
    let only_number = alice
        .ask(&mut relay, Method::CHANNEL_BIND, |writer| writer.attribute(&ChannelNumber::FIRST).map(drop));
    let only_peer = alice
        .ask(&mut relay, Method::CHANNEL_BIND, |writer| writer.attribute(&XorPeerAddress(peer())).map(drop));
    assert_eq!((only_number.code(), only_peer.code()), (400, 400));
}

#[test]
fn needs_an_allocation() {
    let mut alice = TestClient::new("198.51.100.7:4000");
    assert_eq!(alice.bind(&mut Relay::new(), 0x4000, peer()).code(), 437);
}

#[test]
fn of_another_family_or_a_forbidden_address_is_refused() {
    let (mut relay, mut alice, _) = allocated();
    assert_eq!(alice.bind(&mut relay, 0x4000, at("[2001:db8:2::1]:1")).code(), 443);
    assert_eq!(alice.bind(&mut relay, 0x4000, at("127.0.0.1:6379")).code(), 403);
    assert_eq!(alice.channel_data(&mut relay, 0x4000, b"hello"), []);
    assert_eq!((relay.turn.stats().permissions, relay.turn.stats().channels), (0, 0));
}

#[test]
fn lasts_600_seconds() {
    let (mut relay, mut alice, _) = allocated();
    alice.refresh(&mut relay, 3600);
    alice.bind(&mut relay, 0x4000, peer());
    relay.wait(Duration::from_millis(599_999));
    assert_eq!(alice.channel_data(&mut relay, 0x4000, b"hello").len(), 1);
    relay.wait(Duration::from_millis(1));
    assert_eq!(alice.channel_data(&mut relay, 0x4000, b"hello"), []);
    assert_eq!(relay.turn.stats().channels, 0);
}

#[test]
fn its_permission_lasts_300_seconds() {
    let (mut relay, mut alice, relayed) = allocated();
    alice.bind(&mut relay, 0x4000, peer());
    relay.wait(Duration::from_secs(299));
    assert!(relay.peer_sends(peer(), relayed, b"hello").is_some());
    relay.wait(Duration::from_secs(1));
    assert_eq!(relay.peer_sends(peer(), relayed, b"hello"), None);
    alice.permit(&mut relay, peer());
    let (_, packet) = relay.peer_sends(peer(), relayed, b"hello").unwrap();
    assert_eq!(packet, channel_data(0x4000, b"hello"), "the channel was there all the time");
}

#[test]
fn data_prolongs_neither_the_channel_nor_the_permission() {
    let (mut relay, mut alice, relayed) = allocated();
    alice.refresh(&mut relay, 3600);
    alice.bind(&mut relay, 0x4000, peer());
    for _ in 0..5 {
        relay.wait(Duration::from_secs(59));
        alice.channel_data(&mut relay, 0x4000, b"hello");
        relay.peer_sends(peer(), relayed, b"hello");
    }
    relay.wait(Duration::from_secs(5));
    assert_eq!(relay.peer_sends(peer(), relayed, b"hello"), None);
    relay.wait(Duration::from_secs(300));
    assert_eq!(alice.channel_data(&mut relay, 0x4000, b"hello"), []);
}

#[test]
fn is_refreshed_with_its_permission() {
    let (mut relay, mut alice, relayed) = allocated();
    alice.refresh(&mut relay, 3600);
    alice.bind(&mut relay, 0x4000, peer());
    relay.wait(Duration::from_secs(500));
    assert_eq!(alice.bind(&mut relay, 0x4000, peer()).code(), 0);
    relay.wait(Duration::from_secs(299));
    assert!(relay.peer_sends(peer(), relayed, b"hello").is_some());
    relay.wait(Duration::from_secs(300));
    assert_eq!(alice.channel_data(&mut relay, 0x4000, b"hello").len(), 1);
}

#[test]
fn after_its_end_number_and_peer_can_be_bound_anew() {
    let (mut relay, mut alice, relayed) = allocated();
    alice.refresh(&mut relay, 3600);
    let other = at("192.0.2.11:7000");
    alice.bind(&mut relay, 0x4000, peer());
    // The timers are late: a channel that is over must not stand in the way.
    relay.now = relay.now.after(Duration::from_secs(600));
    assert_eq!(alice.bind(&mut relay, 0x4000, other).code(), 0);
    assert_eq!(alice.bind(&mut relay, 0x4001, peer()).code(), 0);
    assert_eq!(alice.channel_data(&mut relay, 0x4000, b"")[0].at_peer().1, other);
    assert_eq!(alice.channel_data(&mut relay, 0x4001, b"")[0].at_peer().1, peer());
    assert_eq!(relay.peer_sends(other, relayed, b"").unwrap().1, channel_data(0x4000, b""));
    assert_eq!(relay.peer_sends(peer(), relayed, b"").unwrap().1, channel_data(0x4001, b""));
}

#[test]
fn over_the_quota_gets_508() {
    let (mut relay, mut alice, relayed) = with_quota(|quota| Quota { channels: 1, ..quota });
    let other = at("192.0.2.11:7000");
    assert_eq!(alice.bind(&mut relay, 0x4000, peer()).code(), 0);
    assert_eq!(alice.bind(&mut relay, 0x4001, other).code(), 508);
    assert_eq!(relay.peer_sends(other, relayed, b"hello"), None, "its permission is not there either");
    assert_eq!(alice.bind(&mut relay, 0x4000, peer()).code(), 0, "a refresh costs nothing");

    let (mut relay, mut alice, _) = with_quota(|quota| Quota { permissions: 0, ..quota });
    assert_eq!(alice.bind(&mut relay, 0x4000, peer()).code(), 508);
    assert_eq!(alice.channel_data(&mut relay, 0x4000, b"hello"), []);
}

#[test]
fn the_end_of_an_allocation_gives_its_channels_back() {
    let (mut relay, mut alice, _) = with_quota(|quota| Quota { channels: 1, ..quota });
    alice.bind(&mut relay, 0x4000, peer());
    alice.refresh(&mut relay, 0);
    alice.allocate(&mut relay);
    assert_eq!(alice.channel_data(&mut relay, 0x4000, b"hello"), [], "the old channel is gone");
    assert_eq!(alice.bind(&mut relay, 0x4001, peer()).code(), 0);
}
