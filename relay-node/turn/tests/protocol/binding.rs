//! Binding: how a client's address looks from here (RFC 8489 section 2, RFC 3489 section 8).

use crate::support::{Relay, TestClient, allocated, at, write};
use stun::attribute::{MappedAddress, SourceAddress, UnknownAttributes, XorMappedAddress};
use stun::{AttributeType, Class, MAGIC_COOKIE, Method};
use turn::{DropReason, RequestKind, Transport};

const CLIENT: &str = "198.51.100.7:4000";

/// A request as RFC 3489 writes it: 16 bytes of transaction where the magic cookie would begin.
fn classic(method: Method, attributes: &[u8]) -> Vec<u8> {
    let length = attributes.len() as u16;
    [&method.code().to_be_bytes()[..], &length.to_be_bytes(), b"0123456789abcdef", attributes].concat()
}

#[test]
fn tells_the_address_in_both_families_and_over_streams() {
    for (transport, address) in [
        (Transport::Udp, CLIENT),
        (Transport::Udp, "[2001:db8::7]:4000"),
        (Transport::Tcp, CLIENT),
        (Transport::Tls, CLIENT),
    ] {
        let mut client = TestClient::over(transport, address);
        let request = client.bare(Method::BINDING, |_| Ok(()));
        let answer = client.exchange(&mut Relay::new(), &request);
        assert_eq!((answer.code(), answer.message().method()), (0, Method::BINDING));
        assert_eq!(answer.get(), Some(XorMappedAddress(at(address))));
        assert_eq!(answer.message().attributes().count(), 1, "nothing that would make the answer longer");
    }
}

#[test]
fn an_ipv4_client_of_an_ipv6_socket_is_told_its_ipv4_address() {
    let mut client = TestClient::new("[::ffff:198.51.100.7]:4000");
    let request = client.bare(Method::BINDING, |_| Ok(()));
    let answer = client.exchange(&mut Relay::new(), &request);
    assert_eq!(answer.get(), Some(XorMappedAddress(at(CLIENT))));
}

#[test]
fn is_answered_on_a_five_tuple_with_an_allocation_as_anywhere() {
    let (mut relay, mut alice, _) = allocated();
    let request = alice.bare(Method::BINDING, |_| Ok(()));
    assert_eq!(alice.exchange(&mut relay, &request).get(), Some(XorMappedAddress(alice.address())));
}

#[test]
fn is_answered_without_looking_at_credentials() {
    let mut relay = Relay::new();
    let mut mallory = TestClient::new(CLIENT).named("mallory", "no idea");
    let answer = mallory.ask(&mut relay, Method::BINDING, |_| Ok(()));
    assert_eq!((answer.code(), answer.message().integrity()), (0, None));
}

#[test]
fn an_unknown_attribute_gets_420() {
    let mut client = TestClient::new(CLIENT);
    let request = client.bare(Method::BINDING, |writer| writer.raw(AttributeType(0x7001), b"").map(drop));
    let answer = client.exchange(&mut Relay::new(), &request);
    assert_eq!(answer.code(), 420);
    assert_eq!(answer.get::<UnknownAttributes>().unwrap().as_slice(), [AttributeType(0x7001)]);
}

#[test]
fn an_indication_and_a_response_get_silence() {
    for class in [Class::Indication, Class::Success, Class::Error] {
        let mut relay = Relay::new();
        let mut client = TestClient::new(CLIENT);
        let packet = write(class, Method::BINDING, client.transaction(), |_| Ok(()));
        assert_eq!(relay.packet(&client.path, &packet), []);
        assert_eq!(relay.dropped(DropReason::Unexpected), 1);
    }
}

#[test]
fn a_classic_client_gets_a_classic_answer() {
    for address in [CLIENT, "[2001:db8::7]:4000"] {
        let mut relay = Relay::new();
        let client = TestClient::new(address);
        let answer = client.exchange(&mut relay, &classic(Method::BINDING, b""));
        assert_eq!(&answer.0[4..20], b"0123456789abcdef", "all 16 bytes of the transaction come back");
        assert_eq!(answer.code(), 0);
        assert_eq!(answer.get(), Some(MappedAddress(at(address))));
        assert_eq!(answer.get(), Some(SourceAddress(client.path.five_tuple.server.get())));
        assert!(!answer.message().has(AttributeType::XOR_MAPPED_ADDRESS));
        assert_eq!(relay.turn.stats().answers(RequestKind::Binding, None), 1);
    }
}

#[test]
fn a_classic_mapped_address_is_on_the_wire_as_it_is() {
    let answer = TestClient::new(CLIENT).exchange(&mut Relay::new(), &classic(Method::BINDING, b""));
    assert_eq!(&answer.0[20..32], [0, 1, 0, 8, 0, 1, 0x0F, 0xA0, 198, 51, 100, 7]);
}

#[test]
fn a_change_request_that_asks_for_no_change_is_understood_and_any_other_is_not() {
    let flags = |flags: u8| [0, 3, 0, 4, 0, 0, 0, flags];
    for (flag, code) in [(0, 0), (2, 420), (4, 420), (6, 420)] {
        let client = TestClient::new(CLIENT);
        let old = client.exchange(&mut Relay::new(), &classic(Method::BINDING, &flags(flag)));
        assert_eq!(old.code(), code);
        let new = [&[0, 1, 0, 8], &MAGIC_COOKIE.to_be_bytes()[..], &[9; 12], &flags(flag)].concat();
        assert_eq!(client.exchange(&mut Relay::new(), &new).code(), code);
    }
}

#[test]
fn a_classic_420_lists_what_was_not_understood() {
    let client = TestClient::new(CLIENT);
    let unknown = [0x70, 1, 0, 0];
    let answer = client.exchange(&mut Relay::new(), &classic(Method::BINDING, &unknown));
    assert_eq!(answer.code(), 420);
    assert_eq!(&answer.0[4..20], b"0123456789abcdef");
    assert_eq!(answer.get::<UnknownAttributes>().unwrap().as_slice(), [AttributeType(0x7001)]);
}

#[test]
fn a_classic_client_cannot_allocate() {
    let mut relay = Relay::new();
    let client = TestClient::new(CLIENT);
    assert_eq!(relay.packet(&client.path, &classic(Method::ALLOCATE, b"")), []);
    assert_eq!(relay.dropped(DropReason::Unexpected), 1);
}
