//! What is written as an attribute is read as the same attribute, and what is not allowed is refused.

use std::net::SocketAddr;

use crate::wire::{ID, request};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use stun::attribute::*;
use stun::{Attribute, AttributeError, AttributeType, Message};

/// Writes between two others, so that padding and lengths are tried as well, and reads.
macro_rules! assert_round_trip {
    ($attribute:expr, $type:ty) => {{
        let attribute: $type = $attribute;
        let bytes = request(|writer| {
            writer.raw(AttributeType(0x8FFF), b"in front")?.attribute(&attribute)?;
            writer.raw(AttributeType(0x8FFE), b"behind").map(drop)
        });
        let message = Message::parse(&bytes).unwrap();
        prop_assert_eq!(message.get::<$type>(), Ok(Some(attribute)));
        prop_assert_eq!(message.attributes().count(), 3);
        prop_assert_eq!(message.raw(AttributeType(0x8FFE)), Some(&b"behind"[..]));
    }};
}

fn address() -> impl Strategy<Value = SocketAddr> {
    any::<SocketAddr>().prop_map(|address| SocketAddr::new(address.ip(), address.port()))
}

fn family() -> impl Strategy<Value = AddressFamily> {
    prop::sample::select(AddressFamily::BOTH.to_vec())
}

fn bytes(longest: usize) -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..=longest)
}

proptest! {
    #![proptest_config(ProptestConfig { rng_seed: RngSeed::Fixed(1), ..ProptestConfig::default() })]

    #[test]
    fn addresses(address in address()) {
        assert_round_trip!(MappedAddress(address), MappedAddress);
        assert_round_trip!(SourceAddress(address), SourceAddress);
        assert_round_trip!(ChangedAddress(address), ChangedAddress);
        assert_round_trip!(AlternateServer(address), AlternateServer);
        assert_round_trip!(XorMappedAddress(address), XorMappedAddress);
        assert_round_trip!(XorPeerAddress(address), XorPeerAddress);
        assert_round_trip!(XorRelayedAddress(address), XorRelayedAddress);
    }

    #[test]
    fn names(username in bytes(Username::MAX_LEN), other in bytes(Realm::MAX_LEN), hash in any::<[u8; 32]>()) {
        assert_round_trip!(Username(&username), Username<'_>);
        assert_round_trip!(Realm(&other), Realm<'_>);
        assert_round_trip!(Nonce(&other), Nonce<'_>);
        assert_round_trip!(Software(&other), Software<'_>);
        assert_round_trip!(AlternateDomain(&other[..other.len().min(255)]), AlternateDomain<'_>);
        assert_round_trip!(Userhash(hash), Userhash);
    }

    #[test]
    fn errors(code in 300_u16..700, reason in "[ -~äπ語]{0,120}", family in family()) {
        assert_round_trip!(ErrorCode { code, reason: &reason }, ErrorCode<'_>);
        assert_round_trip!(AddressErrorCode { family, code, reason: &reason }, AddressErrorCode<'_>);
    }

    #[test]
    fn unknown_attributes(kinds in prop::collection::vec(any::<u16>(), 0..40)) {
        let mut unknown = UnknownAttributes::default();
        for kind in &kinds {
            unknown.insert(AttributeType(*kind));
        }
        prop_assert!(unknown.as_slice().len() <= 16);
        assert_round_trip!(unknown, UnknownAttributes);
    }

    #[test]
    fn password_algorithms(code in any::<u16>()) {
        assert_round_trip!(PasswordAlgorithm::from_code(code), PasswordAlgorithm);
        assert_round_trip!(PasswordAlgorithms::SHA256_MD5, PasswordAlgorithms<'_>);
    }

    #[test]
    fn allocation(seconds in any::<u32>(), family in family(), protocol in any::<u8>(), token in any::<[u8; 8]>()) {
        assert_round_trip!(Lifetime(seconds), Lifetime);
        assert_round_trip!(RequestedAddressFamily(family), RequestedAddressFamily);
        assert_round_trip!(AdditionalAddressFamily(family), AdditionalAddressFamily);
        assert_round_trip!(EvenPort { reserve_next: seconds % 2 == 0 }, EvenPort);
        assert_round_trip!(RequestedTransport(protocol), RequestedTransport);
        assert_round_trip!(DontFragment, DontFragment);
        assert_round_trip!(ReservationToken(token), ReservationToken);
    }

    #[test]
    fn data_path(
        number in 0x4000_u16..=0x4FFF,
        payload in bytes(1500),
        icmp_type in 0_u8..128,
        code in any::<u8>(),
        data in any::<[u8; 4]>(),
    ) {
        assert_round_trip!(ChannelNumber::new(number).unwrap(), ChannelNumber);
        assert_round_trip!(Data(&payload), Data<'_>);
        assert_round_trip!(Icmp { kind: icmp_type, code, data }, Icmp);
    }
}

fn decode<'a, A: Attribute<'a>>(value: &'a [u8]) -> Result<A, AttributeError> {
    A::decode(value, &ID)
}

fn refuses_all_lengths_but<'a, A: Attribute<'a>>(allowed: &[usize]) {
    const ZEROS: &[u8] = &[0; 64];
    for length in (0..=ZEROS.len()).filter(|length| !allowed.contains(length)) {
        let error = AttributeError::Length { kind: A::TYPE, length };
        assert_eq!(decode::<A>(&ZEROS[..length]).err(), Some(error), "{length} bytes");
    }
}

#[test]
fn fixed_lengths_are_exact() {
    refuses_all_lengths_but::<Lifetime>(&[4]);
    refuses_all_lengths_but::<RequestedTransport>(&[4]);
    refuses_all_lengths_but::<RequestedAddressFamily>(&[4]);
    refuses_all_lengths_but::<AdditionalAddressFamily>(&[4]);
    refuses_all_lengths_but::<ChannelNumber>(&[4]);
    refuses_all_lengths_but::<EvenPort>(&[1]);
    refuses_all_lengths_but::<DontFragment>(&[0]);
    refuses_all_lengths_but::<ReservationToken>(&[8]);
    refuses_all_lengths_but::<Icmp>(&[8]);
    refuses_all_lengths_but::<Userhash>(&[32]);
}

#[test]
fn there_are_two_families() {
    for code in (0..=255).filter(|code| ![1, 2].contains(code)) {
        assert_eq!(AddressFamily::from_code(code), None);
        let kind = AttributeType::REQUESTED_ADDRESS_FAMILY;
        assert_eq!(decode::<RequestedAddressFamily>(&[code, 0, 0, 0]), Err(AttributeError::Value { kind }));
    }
}

#[test]
fn addresses_fit_their_family() {
    let value = |family: u8, length: usize| {
        let mut value = vec![0; length];
        value[1] = family;
        value
    };
    for length in 2..30 {
        let v4 = value(1, length);
        let v6 = value(2, length);
        assert_eq!(decode::<XorPeerAddress>(&v4).is_ok(), length == 8, "IPv4 in {length} bytes");
        assert_eq!(decode::<MappedAddress>(&v6).is_ok(), length == 20, "IPv6 in {length} bytes");
        for family in [0, 3, 255] {
            let error = AttributeError::Value { kind: AttributeType::XOR_RELAYED_ADDRESS };
            assert_eq!(decode::<XorRelayedAddress>(&value(family, length)), Err(error));
        }
    }
    assert!(decode::<AlternateServer>(&[]).is_err());
    assert!(decode::<AlternateServer>(&[0]).is_err());
}

#[test]
fn names_have_a_greatest_length() {
    let long = [b'x'; 764];
    assert!(decode::<Username<'_>>(&long[..508]).is_ok());
    assert!(decode::<Username<'_>>(&long[..509]).is_err());
    assert!(decode::<Realm<'_>>(&long[..763]).is_ok());
    assert!(decode::<Realm<'_>>(&long).is_err());
    assert!(decode::<Nonce<'_>>(&long).is_err());
    assert!(decode::<Software<'_>>(&long).is_err());
    assert!(decode::<AlternateDomain<'_>>(&long[..256]).is_err());
    assert!(decode::<ErrorCode<'_>>(&[&[0, 0, 4, 1][..], &long[..763]].concat()).is_ok());
    assert!(decode::<ErrorCode<'_>>(&[&[0, 0, 4, 1][..], &long].concat()).is_err());
}

#[test]
fn error_codes_are_300_to_699() {
    let read = |class, number| decode::<ErrorCode<'_>>(&[0, 0, class, number]).map(|error| error.code);
    assert_eq!(read(3, 0), Ok(300));
    assert_eq!(read(6, 99), Ok(699));
    // The 21 bits in front of the class are reserved and ignored.
    assert_eq!(read(0xF8 | 4, 38), Ok(438));
    let error = AttributeError::Value { kind: AttributeType::ERROR_CODE };
    for (class, number) in [(0, 0), (2, 99), (7, 0), (4, 100), (4, 255)] {
        assert_eq!(read(class, number), Err(error));
    }
    assert_eq!(decode::<ErrorCode<'_>>(&[0, 0, 4, 0, 0xFF]), Err(error));
    assert!(decode::<ErrorCode<'_>>(&[0, 0, 4]).is_err());
}

/// RFC 8656 section 12: 0x5000 and above are reserved.
#[test]
fn channel_numbers_are_0x4000_to_0x4fff() {
    for number in 0..=u16::MAX {
        let [high, low] = number.to_be_bytes();
        let value = [high, low, 0, 0];
        let allowed = (0x4000..=0x4FFF).contains(&number);
        assert_eq!(decode::<ChannelNumber>(&value).is_ok(), allowed, "{number:#06x}");
    }
}

#[test]
fn a_list_of_password_algorithms_may_hold_unknown_ones_with_parameters() {
    let list = [0, 9, 0, 5, 1, 2, 3, 4, 5, 0, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0];
    let algorithms: PasswordAlgorithms<'_> = decode(&list).unwrap();
    let expected = [PasswordAlgorithm::Other(9), PasswordAlgorithm::Sha256, PasswordAlgorithm::Md5];
    assert_eq!(algorithms.iter().collect::<Vec<_>>(), expected);
    assert_eq!(algorithms.as_bytes(), list);
    assert_ne!(algorithms, PasswordAlgorithms::SHA256_MD5);

    assert!(decode::<PasswordAlgorithms<'_>>(&list[..7]).is_err(), "parameters cut off");
    assert!(decode::<PasswordAlgorithms<'_>>(&list[..14]).is_err(), "entry cut off");
    assert!(decode::<PasswordAlgorithms<'_>>(&[0, 1, 0, 4, 0, 0, 0, 0]).is_err(), "MD5 has none");
    assert!(decode::<PasswordAlgorithm>(&list).is_err(), "a choice is one");
    assert_eq!(PasswordAlgorithms::SHA256_MD5.iter().collect::<Vec<_>>(), expected[1..]);
}

#[test]
fn what_is_relayed_or_secret_is_not_shown() {
    assert_eq!(format!("{:?}", Data(b"private words")), "Data(13 bytes)");
    assert_eq!(format!("{:?}", ReservationToken([7; 8])), "ReservationToken(..)");
    assert_eq!(format!("{:?}", Username(b"al\x1b[31m\nice\xFF")), r#"Username("al\x1b[31m\nice\xff")"#);
    assert_eq!(format!("{:?}", AttributeType::USERHASH), "USERHASH");
    assert_eq!(AttributeType(0x7ABC).to_string(), "0x7abc");
}

#[test]
fn unknown_required_attributes_are_listed_once_and_at_most_16() {
    let bytes = request(|writer| {
        writer.attribute(&Lifetime(1))?.attribute(&Username(b"alice"))?;
        writer.raw(AttributeType(0x0003), &[0; 4])?.raw(AttributeType(0x0003), &[0; 4])?;
        writer.raw(AttributeType(0x8003), b"optional").map(drop)
    });
    let message = Message::parse(&bytes).unwrap();
    let unknown = message.unknown_required(&[AttributeType::LIFETIME]);
    assert_eq!(unknown.as_slice(), [AttributeType::USERNAME, AttributeType::CHANGE_REQUEST]);

    let bytes = request(|writer| {
        (0x0100..0x0200).try_for_each(|kind| writer.raw(AttributeType(kind), b"").map(drop))
    });
    let unknown = Message::parse(&bytes).unwrap().unknown_required(&[]);
    let first: Vec<AttributeType> = (0x0100..0x0110).map(AttributeType).collect();
    assert_eq!(unknown.as_slice(), first);
}
