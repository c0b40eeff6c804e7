//! What is a STUN message and what is not.

use crate::wire::request;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use stun::attribute::{Data, Lifetime, Username};
use stun::{
    AttributeError, AttributeType, ChannelData, Class, HEADER_LEN, Key, Message, MessageError, Method,
};

#[test]
fn a_header_alone_is_a_message() {
    let bytes = request(|_| Ok(()));
    let message = Message::parse(&bytes).unwrap();
    assert_eq!(bytes.len(), HEADER_LEN);
    assert_eq!(message.bytes(), bytes);
    assert_eq!(message.attributes().count(), 0);
}

#[test]
fn every_misfit_has_its_error() {
    let good = request(|writer| writer.attribute(&Lifetime(600)).map(drop));
    let changed = |index: usize, value: u8| {
        let mut bytes = good.clone();
        bytes[index] = value;
        bytes
    };
    assert_eq!(Message::parse(&[]).unwrap_err(), MessageError::Truncated);
    assert_eq!(Message::parse(&good[..19]).unwrap_err(), MessageError::Truncated);
    assert_eq!(Message::parse(&changed(0, 0x40)).unwrap_err(), MessageError::NotStun);
    assert_eq!(Message::parse(&changed(0, 0x80)).unwrap_err(), MessageError::NotStun);
    assert_eq!(Message::parse(&changed(3, 9)).unwrap_err(), MessageError::Unaligned(9));
    let length = |stated| MessageError::Length { stated, actual: 8 };
    assert_eq!(Message::parse(&changed(3, 4)).unwrap_err(), length(4));
    assert_eq!(Message::parse(&changed(3, 12)).unwrap_err(), length(12));
    assert_eq!(Message::parse(&changed(23, 5)).unwrap_err(), MessageError::AttributeOverrun);
    assert_eq!(Message::parse(&changed(22, 0xFF)).unwrap_err(), MessageError::AttributeOverrun);
}

/// The padding of the last attribute is a part of the message.
#[test]
fn an_attribute_whose_padding_is_missing_is_refused() {
    let good = request(|writer| writer.attribute(&Username(b"12345")).map(drop));
    let mut bytes = good[..good.len() - 4].to_vec();
    bytes[3] -= 4;
    assert_eq!(Message::parse(&bytes).unwrap_err(), MessageError::AttributeOverrun);
}

#[test]
fn the_longest_message_is_one_and_a_longer_packet_is_none() {
    let payload = vec![7; 65_528];
    let mut bytes = request(|writer| writer.attribute(&Data(&payload)).map(drop));
    assert_eq!(bytes.len(), HEADER_LEN + 65_532);
    assert_eq!(Message::parse(&bytes).unwrap().get(), Ok(Some(Data(&payload))));
    bytes.extend([0; 4]);
    assert_eq!(Message::parse(&bytes).unwrap_err(), MessageError::Length { stated: 65_532, actual: 65_536 });
}

/// RFC 8489 section 14: the first of several counts, unless all are asked for.
#[test]
fn the_first_of_several_attributes_is_the_one_that_is_read() {
    let bytes = request(|writer| writer.attribute(&Lifetime(1))?.attribute(&Lifetime(2)).map(drop));
    let message = Message::parse(&bytes).unwrap();
    assert_eq!(message.get(), Ok(Some(Lifetime(1))));
    assert_eq!(message.all().collect::<Vec<_>>(), [Ok(Lifetime(1)), Ok(Lifetime(2))]);
}

#[test]
fn a_misshapen_attribute_is_an_error_of_its_own() {
    let bytes =
        request(|writer| writer.raw(AttributeType::LIFETIME, &[0; 3])?.attribute(&Lifetime(2)).map(drop));
    let message = Message::parse(&bytes).unwrap();
    let error = AttributeError::Length { kind: AttributeType::LIFETIME, length: 3 };
    assert_eq!(message.get::<Lifetime>(), Err(error));
    assert_eq!(error.to_string(), "attribute LIFETIME of 3 bytes has the wrong length");
    assert_eq!(message.all().collect::<Vec<_>>(), [Err(error), Ok(Lifetime(2))]);
}

/// Reads all there is to read, so that a panic anywhere shows.
fn read_everything(bytes: &[u8]) {
    let _ = ChannelData::parse(bytes);
    let _ = stun::stream::next_frame(bytes);
    let Ok(message) = Message::parse(bytes) else { return };
    let key = Key::short_term(b"password");
    let total: usize = message.attributes().map(|attribute| attribute.value.len() + 4).sum();
    assert!(total <= bytes.len());
    let _ = (message.verify_sha1(&key), message.verify_sha256(&key), message.fingerprint());
    let _ = (message.integrity(), message.is_classic(), message.unknown_required(&[]));
    decode_all(&message);
}

/// Types that the codec knows, and some that it does not.
fn kind() -> impl Strategy<Value = AttributeType> {
    prop_oneof![
        4 => prop::sample::select(vec![
            AttributeType::MAPPED_ADDRESS,
            AttributeType::USERNAME,
            AttributeType::MESSAGE_INTEGRITY,
            AttributeType::ERROR_CODE,
            AttributeType::UNKNOWN_ATTRIBUTES,
            AttributeType::CHANNEL_NUMBER,
            AttributeType::LIFETIME,
            AttributeType::XOR_PEER_ADDRESS,
            AttributeType::DATA,
            AttributeType::REALM,
            AttributeType::NONCE,
            AttributeType::XOR_RELAYED_ADDRESS,
            AttributeType::REQUESTED_ADDRESS_FAMILY,
            AttributeType::EVEN_PORT,
            AttributeType::REQUESTED_TRANSPORT,
            AttributeType::DONT_FRAGMENT,
            AttributeType::MESSAGE_INTEGRITY_SHA256,
            AttributeType::PASSWORD_ALGORITHM,
            AttributeType::USERHASH,
            AttributeType::XOR_MAPPED_ADDRESS,
            AttributeType::RESERVATION_TOKEN,
            AttributeType::ADDITIONAL_ADDRESS_FAMILY,
            AttributeType::ADDRESS_ERROR_CODE,
            AttributeType::PASSWORD_ALGORITHMS,
            AttributeType::ALTERNATE_DOMAIN,
            AttributeType::ICMP,
            AttributeType::SOFTWARE,
            AttributeType::ALTERNATE_SERVER,
            AttributeType::FINGERPRINT,
        ]),
        1 => any::<u16>().prop_map(AttributeType),
    ]
}

/// Decodes every attribute that there is a type for.
fn decode_all(message: &Message<'_>) {
    use stun::attribute::*;
    let _ = (message.get::<MappedAddress>(), message.get::<SourceAddress>(), message.get::<ChangedAddress>());
    let _ = (message.get::<AlternateServer>(), message.get::<XorMappedAddress>());
    let _ = (message.get::<XorPeerAddress>(), message.get::<XorRelayedAddress>());
    let _ = (message.get::<Username<'_>>(), message.get::<Realm<'_>>(), message.get::<Nonce<'_>>());
    let _ = (message.get::<Software<'_>>(), message.get::<AlternateDomain<'_>>(), message.get::<Userhash>());
    let _ = (message.get::<ErrorCode<'_>>(), message.get::<AddressErrorCode<'_>>());
    let _ = (message.get::<UnknownAttributes>(), message.get::<PasswordAlgorithm>());
    if let Ok(Some(algorithms)) = message.get::<PasswordAlgorithms<'_>>() {
        assert!(algorithms.iter().count() * 4 <= algorithms.as_bytes().len());
    }
    let _ = (message.get::<ChannelNumber>(), message.get::<Lifetime>(), message.get::<Data<'_>>());
    let _ = (message.get::<RequestedAddressFamily>(), message.get::<AdditionalAddressFamily>());
    let _ = (message.get::<EvenPort>(), message.get::<RequestedTransport>(), message.get::<DontFragment>());
    let _ = (message.get::<ReservationToken>(), message.get::<Icmp>());
}

proptest! {
    #![proptest_config(ProptestConfig { rng_seed: RngSeed::Fixed(1), ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_make_the_parsers_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        read_everything(&bytes);
    }

    /// As above, but with a header that fits, so that the attributes are reached.
    #[test]
    fn no_attributes_make_the_parsers_panic(
        kind in any::<u16>(),
        attributes in prop::collection::vec((kind(), prop::collection::vec(any::<u8>(), 0..40)), 0..6),
    ) {
        let class = if kind & 1 == 0 { Class::Request } else { Class::Indication };
        let method = Method::new(kind >> 4).unwrap();
        let bytes = crate::wire::message(class, method, |writer| {
            attributes.iter().try_for_each(|(kind, value)| writer.raw(*kind, value).map(drop))
        });
        Message::parse(&bytes).unwrap();
        read_everything(&bytes);
    }

    #[test]
    fn no_part_of_a_message_is_a_message(
        attributes in prop::collection::vec((kind(), prop::collection::vec(any::<u8>(), 0..40)), 0..6),
        end in any::<prop::sample::Index>(),
    ) {
        let bytes = request(|writer| {
            attributes.iter().try_for_each(|(kind, value)| writer.raw(*kind, value).map(drop))
        });
        prop_assert!(Message::parse(&bytes).is_ok());
        prop_assert!(Message::parse(&bytes[..end.index(bytes.len())]).is_err());
        prop_assert!(Message::parse(&[&bytes[..], &[0]].concat()).is_err());
    }
}
