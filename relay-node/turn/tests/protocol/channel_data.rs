//! ChannelData (RFC 8656 sections 12.4 to 12.7).

use std::net::SocketAddr;

use crate::support::{Relay, Seen, TestClient, at, channel_data, peer};
use turn::{DropReason, Transport};

/// A relay where Alice has channel 0x4000 to the peer.
fn bound_over(transport: Transport) -> (Relay, TestClient, SocketAddr) {
    let mut relay = Relay::new();
    let mut alice = TestClient::over(transport, "198.51.100.7:4000");
    let relayed = alice.allocate(&mut relay);
    assert_eq!(alice.bind(&mut relay, 0x4000, peer()).code(), 0);
    (relay, alice, relayed)
}

fn bound() -> (Relay, TestClient, SocketAddr) {
    bound_over(Transport::Udp)
}

#[test]
fn carries_any_length_both_ways() {
    let (mut relay, alice, relayed) = bound();
    for length in [0, 1, 2, 3, 4, 160, 1200, 65_507] {
        let payload: Vec<u8> = (0..length).map(|n| n as u8).collect();
        let seen = alice.channel_data(&mut relay, 0x4000, &payload);
        let expected = Seen::AtPeer {
            from: relayed,
            peer: peer(),
            payload: payload.clone(),
            dont_fragment: false,
            shortcut: None,
        };
        assert_eq!(seen, [expected]);
        let back = relay.peer_sends(peer(), relayed, &payload);
        assert_eq!(back, Some((alice.address(), channel_data(0x4000, &payload))));
    }
}

#[test]
fn longer_than_its_packet_goes_nowhere() {
    let (mut relay, alice, _) = bound();
    let whole = channel_data(0x4000, b"hello");
    for length in 1..whole.len() {
        assert_eq!(relay.packet(&alice.path, &whole[..length]), [], "{length} of {} bytes", whole.len());
    }
    assert_eq!(relay.dropped(DropReason::Malformed), whole.len() as u64 - 1);
}

#[test]
fn bytes_behind_the_stated_length_are_padding() {
    let (mut relay, alice, _) = bound();
    let padded = [&channel_data(0x4000, b"hello")[..], &[1, 2, 3]].concat();
    assert_eq!(relay.packet(&alice.path, &padded)[0].at_peer().2, b"hello");
}

#[test]
fn is_padded_on_streams_and_not_in_datagrams() {
    for (transport, lengths) in [
        (Transport::Udp, [4, 5, 6, 7, 8, 9]),
        (Transport::Tcp, [4, 8, 8, 8, 8, 12]),
        (Transport::Tls, [4, 8, 8, 8, 8, 12]),
    ] {
        let (mut relay, _, relayed) = bound_over(transport);
        for (payload, length) in lengths.into_iter().enumerate() {
            let (_, packet) = relay.peer_sends(peer(), relayed, &vec![0x55; payload]).unwrap();
            assert_eq!(packet.len(), length, "{payload} bytes over {}", transport.name());
            assert_eq!(packet[..4 + payload], channel_data(0x4000, &vec![0x55; payload]));
            assert!(packet[4 + payload..].iter().all(|byte| *byte == 0), "nothing of the buffer leaks");
        }
    }
}

#[test]
fn comes_off_a_stream_without_its_padding() {
    let (mut relay, alice, _) = bound_over(Transport::Tcp);
    let padded = turn_client::channel_data(0x4000, b"hello", turn_client::Path::Stream);
    assert_eq!(padded.len(), 12);
    assert_eq!(relay.packet(&alice.path, &padded)[0].at_peer().2, b"hello");
}

#[test]
fn on_a_channel_that_is_not_bound_goes_nowhere() {
    let (mut relay, alice, _) = bound();
    for number in [0x4001, 0x4FFF] {
        assert_eq!(alice.channel_data(&mut relay, number, b"hello"), []);
    }
    assert_eq!(relay.dropped(DropReason::NoChannel), 2);
}

#[test]
fn on_a_reserved_number_goes_nowhere() {
    let (mut relay, alice, _) = bound();
    for number in [0x5000, 0x7FFF, 0x8000, 0xFFFF] {
        assert_eq!(alice.channel_data(&mut relay, number, b"hello"), []);
    }
    assert_eq!(relay.dropped(DropReason::Malformed), 4);
}

#[test]
fn what_is_neither_stun_nor_channel_data_goes_nowhere() {
    let (mut relay, alice, _) = bound();
    for packet in [&b""[..], b"\x80 is RTP", b"\xC0", b"\x16\xFE\xFD is DTLS", &[0x40]] {
        assert_eq!(relay.packet(&alice.path, packet), []);
    }
    assert_eq!(relay.dropped(DropReason::Malformed), 5);
}

#[test]
fn from_a_client_without_an_allocation_goes_nowhere() {
    let (mut relay, _, _) = bound();
    let stranger = TestClient::new("198.51.100.8:4000");
    assert_eq!(stranger.channel_data(&mut relay, 0x4000, b"hello"), []);
    assert_eq!(relay.dropped(DropReason::NoAllocation), 1);
}

#[test]
fn of_another_peer_at_the_same_address_is_no_channel_data() {
    let (mut relay, _, relayed) = bound();
    let (_, packet) = relay.peer_sends(SocketAddr::new(peer().ip(), 9), relayed, b"hello").unwrap();
    assert_ne!(packet[..2], [0x40, 0x00]);
    assert_eq!(relay.peer_sends(at("192.0.2.11:7000"), relayed, b"hello"), None);
}
