//! An attribute that both sides know, and how each writes it.

use std::net::SocketAddr;

use proptest::prelude::*;
use stun::attribute::*;
use stun::{AttributeType, MessageWriter};
use stun_types::attribute as theirs;
use stun_types::message as their;
use stun_types::prelude::MessageWriteExt;
use turn_types::attribute as turn;

/// An attribute that both sides know.
#[derive(Clone, Debug)]
pub(crate) enum Part {
    XorMapped(SocketAddr),
    Alternate(SocketAddr),
    XorPeer(SocketAddr),
    XorRelayed(SocketAddr),
    Username(String),
    Realm(String),
    Nonce(String),
    Software(String),
    Domain(String),
    Userhash([u8; 32]),
    Error(u16, String),
    AddressError(bool, u16, String),
    Unknown(Vec<u16>),
    Algorithm(bool),
    Algorithms,
    Channel(u16),
    Lifetime(u32),
    Data(Vec<u8>),
    Family(bool),
    AdditionalV6,
    EvenPort(bool),
    Transport(u8),
    DontFragment,
    Token(u64),
    Raw(u16, Vec<u8>),
}

fn family(v6: bool) -> (AddressFamily, turn_types::AddressFamily) {
    if v6 {
        (AddressFamily::V6, turn_types::AddressFamily::IPV6)
    } else {
        (AddressFamily::V4, turn_types::AddressFamily::IPV4)
    }
}

impl Part {
    pub(crate) fn write(&self, writer: &mut MessageWriter<'_>) {
        let written = match self {
            Self::XorMapped(address) => writer.attribute(&XorMappedAddress(*address)),
            Self::Alternate(address) => writer.attribute(&AlternateServer(*address)),
            Self::XorPeer(address) => writer.attribute(&XorPeerAddress(*address)),
            Self::XorRelayed(address) => writer.attribute(&XorRelayedAddress(*address)),
            Self::Username(text) => writer.attribute(&Username(text.as_bytes())),
            Self::Realm(text) => writer.attribute(&Realm(text.as_bytes())),
            Self::Nonce(text) => writer.attribute(&Nonce(text.as_bytes())),
            Self::Software(text) => writer.attribute(&Software(text.as_bytes())),
            Self::Domain(text) => writer.attribute(&AlternateDomain(text.as_bytes())),
            Self::Userhash(hash) => writer.attribute(&Userhash(*hash)),
            Self::Error(code, reason) => writer.attribute(&ErrorCode { code: *code, reason }),
            Self::AddressError(v6, code, reason) => {
                writer.attribute(&AddressErrorCode { family: family(*v6).0, code: *code, reason })
            }
            Self::Unknown(kinds) => writer.attribute(&unknown(kinds)),
            Self::Algorithm(true) => writer.attribute(&PasswordAlgorithm::Sha256),
            Self::Algorithm(false) => writer.attribute(&PasswordAlgorithm::Md5),
            Self::Algorithms => writer.attribute(&PasswordAlgorithms::SHA256_MD5),
            Self::Channel(number) => writer.attribute(&ChannelNumber::new(*number).unwrap()),
            Self::Lifetime(seconds) => writer.attribute(&Lifetime(*seconds)),
            Self::Data(data) => writer.attribute(&Data(data)),
            Self::Family(v6) => writer.attribute(&RequestedAddressFamily(family(*v6).0)),
            Self::AdditionalV6 => writer.attribute(&AdditionalAddressFamily(AddressFamily::V6)),
            Self::EvenPort(reserve_next) => writer.attribute(&EvenPort { reserve_next: *reserve_next }),
            Self::Transport(protocol) => writer.attribute(&RequestedTransport(*protocol)),
            Self::DontFragment => writer.attribute(&DontFragment),
            Self::Token(token) => writer.attribute(&ReservationToken(token.to_be_bytes())),
            Self::Raw(kind, value) => writer.raw(AttributeType(*kind), value),
        };
        written.unwrap();
    }

    pub(crate) fn write_theirs(&self, writer: &mut their::MessageWriteVec, id: their::TransactionId) {
        let written = match self {
            Self::XorMapped(address) => writer.add_attribute(&theirs::XorMappedAddress::new(*address, id)),
            Self::Alternate(address) => writer.add_attribute(&theirs::AlternateServer::new(*address)),
            Self::XorPeer(address) => writer.add_attribute(&turn::XorPeerAddress::new(*address, id)),
            Self::XorRelayed(address) => writer.add_attribute(&turn::XorRelayedAddress::new(*address, id)),
            Self::Username(text) => writer.add_attribute(&theirs::Username::new(text).unwrap()),
            Self::Realm(text) => writer.add_attribute(&theirs::Realm::new(text).unwrap()),
            Self::Nonce(text) => writer.add_attribute(&theirs::Nonce::new(text).unwrap()),
            Self::Software(text) => writer.add_attribute(&theirs::Software::new(text).unwrap()),
            Self::Domain(text) => writer.add_attribute(&theirs::AlternateDomain::new(text)),
            Self::Userhash(hash) => writer.add_attribute(&theirs::Userhash::new(*hash)),
            Self::Error(code, reason) => {
                writer.add_attribute(&theirs::ErrorCode::new(*code, reason).unwrap())
            }
            Self::AddressError(v6, code, reason) => {
                let error = theirs::ErrorCode::new(*code, reason).unwrap();
                writer.add_attribute(&turn::AddressErrorCode::new(family(*v6).1, error))
            }
            Self::Unknown(kinds) => {
                let kinds: Vec<_> =
                    unknown(kinds).as_slice().iter().map(|kind| theirs::AttributeType::new(kind.0)).collect();
                writer.add_attribute(&theirs::UnknownAttributes::new(&kinds))
            }
            Self::Algorithm(sha256) => {
                let algorithm = if *sha256 {
                    theirs::PasswordAlgorithmValue::SHA256
                } else {
                    theirs::PasswordAlgorithmValue::MD5
                };
                writer.add_attribute(&theirs::PasswordAlgorithm::new(algorithm))
            }
            Self::Algorithms => writer.add_attribute(&theirs::PasswordAlgorithms::new(&[
                theirs::PasswordAlgorithmValue::SHA256,
                theirs::PasswordAlgorithmValue::MD5,
            ])),
            Self::Channel(number) => writer.add_attribute(&turn::ChannelNumber::new(*number)),
            Self::Lifetime(seconds) => writer.add_attribute(&turn::Lifetime::new(*seconds)),
            Self::Data(data) => writer.add_attribute(&turn::Data::new(data)),
            Self::Family(v6) => writer.add_attribute(&turn::RequestedAddressFamily::new(family(*v6).1)),
            Self::AdditionalV6 => {
                writer.add_attribute(&turn::AdditionalAddressFamily::new(turn_types::AddressFamily::IPV6))
            }
            Self::EvenPort(reserve_next) => writer.add_attribute(&turn::EvenPort::new(*reserve_next)),
            Self::Transport(protocol) => writer.add_attribute(&turn::RequestedTransport::new(*protocol)),
            Self::DontFragment => writer.add_attribute(&turn::DontFragment::new()),
            Self::Token(token) => writer.add_attribute(&turn::ReservationToken::new(*token)),
            Self::Raw(kind, value) => {
                let kind = theirs::AttributeType::new(*kind);
                writer.add_attribute(&theirs::RawAttribute::new(kind, value))
            }
        };
        written.unwrap();
    }
}

fn unknown(kinds: &[u16]) -> UnknownAttributes {
    let mut unknown = UnknownAttributes::default();
    for kind in kinds {
        unknown.insert(AttributeType(*kind));
    }
    unknown
}

pub(crate) fn part() -> impl Strategy<Value = Part> {
    let address = || any::<SocketAddr>().prop_map(|address| SocketAddr::new(address.ip(), address.port()));
    let text = || "[ -~äπ語]{0,40}";
    prop_oneof![
        address().prop_map(Part::XorMapped),
        address().prop_map(Part::Alternate),
        address().prop_map(Part::XorPeer),
        address().prop_map(Part::XorRelayed),
        text().prop_map(Part::Username),
        text().prop_map(Part::Realm),
        text().prop_map(Part::Nonce),
        text().prop_map(Part::Software),
        text().prop_map(Part::Domain),
        any::<[u8; 32]>().prop_map(Part::Userhash),
        (300_u16..700, text()).prop_map(|(code, reason)| Part::Error(code, reason)),
        (any::<bool>(), 300_u16..700, text()).prop_map(|(v6, code, text)| Part::AddressError(v6, code, text)),
        prop::collection::vec(any::<u16>(), 0..10).prop_map(Part::Unknown),
        any::<bool>().prop_map(Part::Algorithm),
        Just(Part::Algorithms),
        (0x4000_u16..0x5000).prop_map(Part::Channel),
        any::<u32>().prop_map(Part::Lifetime),
        prop::collection::vec(any::<u8>(), 0..200).prop_map(Part::Data),
        any::<bool>().prop_map(Part::Family),
        Just(Part::AdditionalV6),
        any::<bool>().prop_map(Part::EvenPort),
        any::<u8>().prop_map(Part::Transport),
        Just(Part::DontFragment),
        any::<u64>().prop_map(Part::Token),
        (0x7F00_u16..0x7FFF, prop::collection::vec(any::<u8>(), 0..30))
            .prop_map(|(kind, value)| Part::Raw(kind, value)),
    ]
}
