//! 420: comprehension-required attributes that are not understood (RFC 8489 section 6.3.1).

use crate::support::{Answer, Relay, TestClient, allocated};
use stun::attribute::{RequestedTransport, UnknownAttributes};
use stun::{AttributeType, BufferFull, MessageWriter, Method};

/// Allocates with extra attributes of these types.
fn allocate_with(extra: &[u16]) -> (Relay, Answer) {
    let mut relay = Relay::new();
    let mut alice = TestClient::new("198.51.100.7:4000");
    let answer = alice.ask(&mut relay, Method::ALLOCATE, |writer| {
        writer.attribute(&RequestedTransport::UDP)?;
        with(writer, extra)
    });
    (relay, answer)
}

fn with(writer: &mut MessageWriter<'_>, types: &[u16]) -> Result<(), BufferFull> {
    types.iter().try_for_each(|kind| writer.raw(AttributeType(*kind), b"?").map(drop))
}

fn listed(answer: &Answer) -> Vec<u16> {
    let list = answer.get::<UnknownAttributes>().expect("UNKNOWN-ATTRIBUTES");
    list.as_slice().iter().map(|kind| kind.0).collect()
}

#[test]
fn are_listed_in_a_signed_420() {
    let (relay, answer) = allocate_with(&[0x7001, 0x0033]);
    assert_eq!((answer.code(), listed(&answer)), (420, vec![0x7001, 0x0033]));
    assert_eq!(answer.message().verify_sha1(&TestClient::new("198.51.100.7:4000").key()), Ok(()));
    assert_eq!(relay.turn.allocations(), 0);
}

#[test]
fn are_listed_for_every_method() {
    for method in [Method::ALLOCATE, Method::REFRESH, Method::CREATE_PERMISSION, Method::CHANNEL_BIND] {
        let (mut relay, mut alice, _) = allocated();
        let answer = alice.ask(&mut relay, method, |writer| with(writer, &[0x7001]));
        assert_eq!((answer.code(), listed(&answer)), (420, vec![0x7001]));
        assert_eq!(relay.turn.allocations(), 1);
    }
}

#[test]
fn are_listed_once_and_not_without_end() {
    let (_, answer) = allocate_with(&[0x7001, 0x7001, 0x7002]);
    assert_eq!(listed(&answer), [0x7001, 0x7002]);
    let many: Vec<_> = (0x7000..0x7040).collect();
    let (_, answer) = allocate_with(&many);
    assert_eq!(listed(&answer), many[..16]);
}

#[test]
fn that_may_be_ignored_are_ignored() {
    // MOBILITY-TICKET of RFC 8016 and ORIGIN among them.
    let (_, answer) = allocate_with(&[0x8030, 0x802F, 0x8000 | 0x7FFF, 0xC001]);
    assert_eq!(answer.code(), 0);
}

#[test]
fn that_are_known_but_out_of_place_are_ignored() {
    let (data, channel_number) = (AttributeType::DATA.0, AttributeType::CHANNEL_NUMBER.0);
    assert_eq!(allocate_with(&[data, channel_number]).1.code(), 0);
}

#[test]
fn of_tcp_allocations_are_unknown() {
    // CONNECTION-ID of RFC 6062.
    let (_, answer) = allocate_with(&[0x002A]);
    assert_eq!((answer.code(), listed(&answer)), (420, vec![0x002A]));
}

#[test]
fn are_told_only_to_who_proved_its_credentials() {
    let mut relay = Relay::new();
    let mut alice = TestClient::new("198.51.100.7:4000");
    let request = alice.bare(Method::ALLOCATE, |writer| with(writer, &[0x7001]));
    assert_eq!(alice.exchange(&mut relay, &request).code(), 401);
}
