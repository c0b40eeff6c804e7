//! ChannelData and the Data indication, read and written around a payload where it lies.

use std::net::SocketAddr;

use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use stun::attribute::{ChannelNumber, Data, XorPeerAddress};
use stun::{
    CHANNEL_HEADER_LEN, ChannelData, ChannelDataError, Class, DATA_INDICATION_HEADROOM, HEADER_LEN, Message,
    Method, TransactionId, write_channel_header, write_data_indication,
};

const ID: TransactionId = TransactionId::new([9; 12]);

#[test]
fn channel_data_is_a_channel_a_length_and_a_payload() {
    let channel = ChannelNumber::new(0x4abc).unwrap();
    let packet = b"\x4a\xbc\x00\x05hello";
    assert_eq!(ChannelData::parse(packet), Ok(ChannelData { channel, payload: b"hello" }));

    // RFC 8656 section 12.5: padding may follow in a datagram, and the payload may be empty.
    let padded = b"\x4a\xbc\x00\x05hello\0\0\0";
    assert_eq!(ChannelData::parse(padded), Ok(ChannelData { channel, payload: b"hello" }));
    assert_eq!(ChannelData::parse(b"\x4a\xbc\x00\x00"), Ok(ChannelData { channel, payload: b"" }));
}

#[test]
fn channel_data_that_is_cut_off_or_not_of_a_channel_is_refused() {
    let packet = b"\x40\x00\x00\x05hello";
    for length in 0..packet.len() {
        assert_eq!(ChannelData::parse(&packet[..length]), Err(ChannelDataError::Truncated));
    }
    for number in [0x0000_u16, 0x3FFF, 0x5000, 0x7FFF, 0x8000, 0xFFFF] {
        let [high, low] = number.to_be_bytes();
        let packet = [high, low, 0, 1, 7];
        assert_eq!(ChannelData::parse(&packet), Err(ChannelDataError::Channel(number)));
    }
}

#[test]
fn the_payload_of_channel_data_is_not_shown() {
    let data = ChannelData::parse(b"\x40\x01\x00\x05hello").unwrap();
    assert_eq!(format!("{data:?}"), "ChannelData(ChannelNumber(0x4001), 5 bytes)");
}

#[test]
fn a_data_indication_needs_its_headroom_and_its_padding() {
    for (peer, headroom) in [("192.0.2.1:9", 36), ("[2001:db8::1]:9", DATA_INDICATION_HEADROOM)] {
        let peer: SocketAddr = peer.parse().unwrap();
        for payload_len in 0..9 {
            let padding = (4 - payload_len % 4) % 4;
            let start = headroom;
            let end = start + payload_len;
            let mut enough = vec![0xEE; end + padding];
            assert_eq!(write_data_indication(&mut enough, start..end, peer, ID), Some(0..end + padding));
            let before = vec![0xEE; end + padding + 8];
            let mut buffer = before.clone();
            assert_eq!(write_data_indication(&mut buffer, start - 1..end, peer, ID), None);
            assert_eq!(buffer, before, "a refusal changes nothing");
            if padding > 0 {
                let mut short = vec![0xEE; end + padding - 1];
                assert_eq!(write_data_indication(&mut short, start..end, peer, ID), None);
            }
        }
    }
}

#[test]
#[expect(clippy::reversed_empty_ranges, reason = "that is what is refused")]
fn a_range_that_is_none_is_refused() {
    let peer: SocketAddr = "192.0.2.1:9".parse().unwrap();
    let mut buffer = [0; 100];
    assert_eq!(write_data_indication(&mut buffer, 60..50, peer, ID), None);
    assert_eq!(write_data_indication(&mut buffer, 90..110, peer, ID), None);
    assert_eq!(write_data_indication(&mut buffer, 90..usize::MAX, peer, ID), None);
}

#[test]
fn a_payload_that_no_message_can_hold_is_refused() {
    let peer: SocketAddr = "192.0.2.1:9".parse().unwrap();
    let mut buffer = vec![0; 70_000];
    // 65,532 bytes of attributes, of which 16 are not payload.
    assert!(write_data_indication(&mut buffer, 100..100 + 65_516, peer, ID).is_some());
    assert_eq!(write_data_indication(&mut buffer, 100..100 + 65_517, peer, ID), None);
}

proptest! {
    #![proptest_config(ProptestConfig { rng_seed: RngSeed::Fixed(1), ..ProptestConfig::default() })]

    #[test]
    fn a_channel_header_makes_a_payload_channel_data(
        number in 0x4000_u16..=0x4FFF,
        payload in prop::collection::vec(any::<u8>(), 0..1500),
    ) {
        let channel = ChannelNumber::new(number).unwrap();
        let mut packet = [&[0xEE; CHANNEL_HEADER_LEN][..], &payload].concat();
        write_channel_header(packet.first_chunk_mut().unwrap(), channel, payload.len() as u16);
        prop_assert_eq!(ChannelData::parse(&packet), Ok(ChannelData { channel, payload: &payload }));
    }

    #[test]
    fn a_payload_becomes_a_data_indication_where_it_lies(
        peer in any::<SocketAddr>(),
        payload in prop::collection::vec(any::<u8>(), 0..1500),
        in_front in 48_usize..80,
        id in any::<[u8; 12]>(),
    ) {
        let mut buffer = [&vec![0xEE; in_front][..], &payload, &[0xEE; 8]].concat();
        let end = in_front + payload.len();
        let packet = write_data_indication(&mut buffer, in_front..end, peer, TransactionId::new(id)).unwrap();
        prop_assert!(packet.start >= in_front - DATA_INDICATION_HEADROOM);
        prop_assert!(buffer[..packet.start].iter().all(|byte| *byte == 0xEE), "in front of it");
        prop_assert!(buffer[packet.end..].iter().all(|byte| *byte == 0xEE), "behind it");
        prop_assert!(buffer[end..packet.end].iter().all(|byte| *byte == 0), "padding");

        let message = Message::parse(&buffer[packet]).unwrap();
        prop_assert_eq!((message.class(), message.method()), (Class::Indication, Method::DATA));
        prop_assert_eq!(message.transaction_id(), TransactionId::new(id));
        prop_assert!(!message.is_classic());
        let peer = SocketAddr::new(peer.ip(), peer.port());
        prop_assert_eq!(message.get(), Ok(Some(XorPeerAddress(peer))));
        prop_assert_eq!(message.get(), Ok(Some(Data(&payload))));
        let rest = message.bytes().len() - HEADER_LEN;
        prop_assert_eq!(rest, payload.len().next_multiple_of(4) + if peer.is_ipv4() { 16 } else { 28 });
    }
}
