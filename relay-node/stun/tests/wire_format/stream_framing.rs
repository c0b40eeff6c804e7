//! Messages in a byte stream, in pieces of any size.

use crate::wire::request;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use stun::attribute::Data;
use stun::stream::{Frame, next_frame};
use stun::{ChannelData, Message};

/// A stream's frames without their padding, and what comes after the last whole one.
fn split(stream: &[u8], chunk_lengths: impl IntoIterator<Item = usize>) -> (Vec<Vec<u8>>, Frame, Vec<u8>) {
    let mut frames = Vec::new();
    let mut received = Vec::new();
    let mut rest = stream;
    let mut chunk_lengths = chunk_lengths.into_iter();
    loop {
        let frame = next_frame(&received);
        match frame {
            Frame::Complete { len, message } => {
                frames.push(received[..message].to_vec());
                received.drain(..len);
            }
            Frame::Incomplete if !rest.is_empty() => {
                let length = chunk_lengths.next().unwrap_or(rest.len()).clamp(1, rest.len());
                received.extend_from_slice(&rest[..length]);
                rest = &rest[length..];
            }
            Frame::Incomplete | Frame::Invalid => return (frames, frame, received),
        }
    }
}

fn stun(payload: &[u8]) -> Vec<u8> {
    request(|writer| writer.attribute(&Data(payload)).map(drop))
}

fn channel_data(payload: &[u8]) -> Vec<u8> {
    let [high, low] = (payload.len() as u16).to_be_bytes();
    [&[0x40, 0x01, high, low], payload].concat()
}

#[test]
fn a_stun_message_is_a_frame() {
    let message = stun(b"12345");
    let frame = Frame::Complete { len: message.len(), message: message.len() };
    for end in 0..message.len() {
        assert_eq!(next_frame(&message[..end]), Frame::Incomplete, "{end} bytes");
    }
    assert_eq!(next_frame(&message), frame);
    assert_eq!(next_frame(&[&message[..], b"next"].concat()), frame);
}

/// RFC 8656 section 12.5: over a stream, ChannelData is padded and its length does not say so.
#[test]
fn channel_data_is_a_frame_with_its_padding() {
    let mut bytes = channel_data(b"12345");
    bytes.extend([0; 3]);
    for end in 0..bytes.len() {
        assert_eq!(next_frame(&bytes[..end]), Frame::Incomplete, "{end} bytes");
    }
    assert_eq!(next_frame(&bytes), Frame::Complete { len: 12, message: 9 });
    assert_eq!(next_frame(&channel_data(b"")), Frame::Complete { len: 4, message: 4 });
    let longest = [&channel_data(&vec![7; 65_535])[..], &[0]].concat();
    assert_eq!(next_frame(&longest), Frame::Complete { len: 65_540, message: 65_539 });
}

#[test]
fn what_is_neither_is_told_as_soon_as_it_shows() {
    assert_eq!(next_frame(&[0x80]), Frame::Invalid);
    assert_eq!(next_frame(&[0xC0, 0]), Frame::Invalid);
    assert_eq!(next_frame(&[0x00, 0x01, 0x00, 0x05]), Frame::Invalid, "no multiple of four");
    assert_eq!(next_frame(&[0x00, 0x01, 0x00, 0x04]), Frame::Incomplete);
    assert_eq!(next_frame(&[0x00, 0x01, 0x00, 0x04, 0x21, 0x12]), Frame::Incomplete);
    assert_eq!(next_frame(&[0x00, 0x01, 0x00, 0x04, 0x21, 0x13]), Frame::Invalid, "no magic cookie");
    // The start of a TLS ClientHello.
    assert_eq!(next_frame(&[0x16, 0x03, 0x01, 0x02, 0x00, 0x01]), Frame::Invalid);
}

fn message() -> impl Strategy<Value = Vec<u8>> {
    let payload = prop::collection::vec(any::<u8>(), 0..120);
    prop_oneof![
        payload.clone().prop_map(|payload| stun(&payload)),
        payload.prop_map(|payload| channel_data(&payload))
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { rng_seed: RngSeed::Fixed(1), ..ProptestConfig::default() })]

    #[test]
    fn any_messages_in_any_pieces_come_out_whole(
        messages in prop::collection::vec(message(), 0..8),
        chunk_lengths in prop::collection::vec(1_usize..40, 0..200),
        cut in 0_usize..12,
    ) {
        let mut stream = Vec::new();
        for message in &messages {
            stream.extend_from_slice(message);
            stream.resize(stream.len().next_multiple_of(4), 0);
        }
        let last = stun(b"never whole");
        let cut = &last[..cut];
        stream.extend_from_slice(cut);
        let (frames, end, rest) = split(&stream, chunk_lengths);
        prop_assert_eq!(end, Frame::Incomplete);
        prop_assert_eq!(rest, cut);
        for frame in &frames {
            prop_assert!(Message::parse(frame).is_ok() || ChannelData::parse(frame).is_ok());
        }
        prop_assert_eq!(frames, messages);
    }

    /// Also of bytes that are no stream of messages.
    #[test]
    fn any_bytes_are_split_alike_in_any_pieces(
        bytes in prop::collection::vec(prop_oneof![any::<u8>(), Just(0), Just(0x40)], 0..300),
        chunk_lengths in prop::collection::vec(1_usize..40, 0..200),
    ) {
        let (whole, end, _) = split(&bytes, [bytes.len()]);
        let (pieces, end_of_pieces, _) = split(&bytes, chunk_lengths);
        prop_assert_eq!(whole, pieces);
        prop_assert_eq!(end, end_of_pieces);
    }
}
