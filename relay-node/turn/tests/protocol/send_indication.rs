//! The Send indication (RFC 8656 sections 11.1 and 11.2): relayed, or dropped without a word.

use std::time::Duration;

use crate::support::{Relay, Seen, TestClient, allocated, at, peer, permitted, with_room, write};
use stun::attribute::{
    ChannelNumber, Data, DontFragment, Lifetime, RequestedTransport, Software, Username, XorPeerAddress,
};
use stun::{AttributeType, BufferFull, Class, MessageWriter, Method};
use turn::{DropReason, Forward};

type Attributes = fn(&mut MessageWriter<'_>) -> Result<(), BufferFull>;

fn indicate(relay: &mut Relay, alice: &mut TestClient, attributes: Attributes) -> Vec<Seen> {
    let packet = write(Class::Indication, Method::SEND, alice.transaction(), attributes);
    relay.packet(&alice.path, &packet)
}

#[test]
fn carries_data_to_the_peer_from_the_relayed_address() {
    let (mut relay, mut alice, relayed) = permitted();
    let seen = alice.send(&mut relay, peer(), b"hello");
    let expected = Seen::AtPeer {
        from: relayed,
        peer: peer(),
        payload: b"hello".to_vec(),
        dont_fragment: false,
        shortcut: None,
    };
    assert_eq!(seen, [expected]);
    assert_eq!(relay.turn.stats().to_peers.packets, 1);
    assert_eq!(relay.turn.stats().to_peers.bytes, 5);
}

#[test]
fn of_every_length_is_cut_out_exactly() {
    let (mut relay, mut alice, _) = permitted();
    for length in [0, 1, 2, 3, 4, 5, 160, 1199, 1200, 1500] {
        let payload: Vec<u8> = (0..length).map(|n| n as u8).collect();
        assert_eq!(alice.send(&mut relay, peer(), &payload)[0].at_peer().2, payload, "{length} bytes");
    }
}

#[test]
fn finds_the_data_wherever_it_stands() {
    let (mut relay, mut alice, _) = permitted();
    let seen = indicate(&mut relay, &mut alice, |writer| {
        writer.attribute(&Software(b"before"))?.attribute(&Data(b"hello"))?;
        writer.attribute(&XorPeerAddress(peer()))?.attribute(&Data(b"a second one does not count")).map(drop)
    });
    assert_eq!(seen[0].at_peer().2, b"hello");
}

#[test]
fn asks_for_the_df_bit_by_dont_fragment() {
    let (mut relay, mut alice, _) = permitted();
    let seen = indicate(&mut relay, &mut alice, |writer| {
        writer.attribute(&XorPeerAddress(peer()))?.attribute(&DontFragment)?.attribute(&Data(b"")).map(drop)
    });
    assert!(matches!(seen[..], [Seen::AtPeer { dont_fragment: true, .. }]));
}

#[test]
fn without_a_permission_goes_nowhere() {
    let (mut relay, mut alice, _) = permitted();
    assert_eq!(alice.send(&mut relay, at("192.0.2.11:7000"), b"hello"), []);
    assert_eq!(relay.dropped(DropReason::NoPermission), 1);
}

#[test]
fn installs_and_prolongs_no_permission() {
    let (mut relay, mut alice, relayed) = allocated();
    alice.send(&mut relay, peer(), b"hello");
    assert_eq!(relay.peer_sends(peer(), relayed, b"hello"), None);

    let (mut relay, mut alice, relayed) = permitted();
    relay.wait(Duration::from_secs(299));
    assert_eq!(alice.send(&mut relay, peer(), b"hello").len(), 1);
    relay.wait(Duration::from_secs(1));
    assert_eq!(relay.peer_sends(peer(), relayed, b"hello"), None);
}

#[test]
fn without_an_allocation_goes_nowhere() {
    let (mut relay, _, _) = permitted();
    let mut stranger = TestClient::new("198.51.100.8:4000");
    assert_eq!(stranger.send(&mut relay, peer(), b"hello"), []);
    assert_eq!(relay.dropped(DropReason::NoAllocation), 1);
}

#[test]
fn without_data_or_peer_or_with_malformed_ones_goes_nowhere() {
    let broken: [Attributes; 6] = [
        |writer| writer.attribute(&XorPeerAddress(peer())).map(drop),
        |writer| writer.attribute(&Data(b"hello")).map(drop),
        |_| Ok(()),
        |writer| writer.raw(AttributeType::XOR_PEER_ADDRESS, &[0; 7])?.attribute(&Data(b"hello")).map(drop),
        |writer| writer.raw(AttributeType::XOR_PEER_ADDRESS, &[0; 8])?.attribute(&Data(b"hello")).map(drop),
        |writer| {
            writer.attribute(&XorPeerAddress(peer()))?.raw(AttributeType::DONT_FRAGMENT, &[1])?;
            writer.attribute(&Data(b"hello")).map(drop)
        },
    ];
    let (mut relay, mut alice, _) = permitted();
    for attributes in broken {
        assert_eq!(indicate(&mut relay, &mut alice, attributes), []);
    }
    assert_eq!(relay.dropped(DropReason::Malformed), 6);
}

#[test]
fn with_an_unknown_required_attribute_goes_nowhere() {
    let (mut relay, mut alice, _) = permitted();
    let seen = indicate(&mut relay, &mut alice, |writer| {
        writer.attribute(&XorPeerAddress(peer()))?.raw(AttributeType(0x7001), b"?")?;
        writer.attribute(&Data(b"hello")).map(drop)
    });
    assert_eq!(seen, []);
    let optional = indicate(&mut relay, &mut alice, |writer| {
        writer.attribute(&XorPeerAddress(peer()))?.raw(AttributeType(0xC001), b"?")?;
        writer.attribute(&Data(b"hello")).map(drop)
    });
    assert_eq!(optional.len(), 1);
}

#[test]
fn with_known_attributes_that_it_does_not_expect_is_relayed() {
    let (mut relay, mut alice, _) = permitted();
    let unexpected: [Attributes; 4] = [
        |writer| writer.attribute(&Lifetime(600)).map(drop),
        |writer| writer.attribute(&ChannelNumber::FIRST).map(drop),
        |writer| writer.attribute(&RequestedTransport::UDP)?.attribute(&Username(b"alice")).map(drop),
        // Not even if it is malformed: nobody looks at it.
        |writer| writer.raw(AttributeType::LIFETIME, b"?").map(drop),
    ];
    for attributes in unexpected {
        let packet = write(Class::Indication, Method::SEND, alice.transaction(), |writer| {
            attributes(writer)?;
            writer.attribute(&XorPeerAddress(peer()))?.attribute(&Data(b"hello")).map(drop)
        });
        assert_eq!(relay.packet(&alice.path, &packet).len(), 1);
    }
}

#[test]
fn to_a_peer_of_another_family_goes_nowhere() {
    let (mut relay, mut alice, _) = permitted();
    assert_eq!(alice.send(&mut relay, at("[2001:db8:2::1]:1"), b"hello"), []);
    assert_eq!(alice.send(&mut relay, at("[::ffff:10.0.0.1]:1"), b"hello"), []);
}

#[test]
fn names_the_payload_where_it_lies_in_the_packet() {
    let (mut relay, mut alice, _) = permitted();
    let packet = write(Class::Indication, Method::SEND, alice.transaction(), |writer| {
        writer.attribute(&XorPeerAddress(peer()))?.attribute(&Data(b"hello")).map(drop)
    });
    let (mut buffer, place) = with_room(&packet);
    let forward = relay.turn.client_packet(relay.now, &alice.path, &mut buffer, place);
    let Forward::ToPeer { payload, .. } = forward else { panic!("not relayed") };
    // Header, XOR-PEER-ADDRESS of 12 bytes, the head of DATA.
    assert_eq!(payload.range(), place.start + 36..place.start + 41);
}
