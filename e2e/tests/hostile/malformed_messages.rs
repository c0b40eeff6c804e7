//! Truncated, odd and oversized messages: silence for what is not a message, the RFC's error for a
//! message that means nothing, and no state for any.

use edgerelay_e2e::Network;
use edgerelay_e2e::client::Client;
use edgerelay_e2e::relay::Relay;
use edgerelay_e2e::request::{self, raw};
use edgerelay_e2e::steady::Steady;
use stun::attribute::RequestedTransport;
use stun::{AttributeType, Class, MessageWriter, Method};

const BOUND: u64 = 2 << 20;
/// Buffers for a batch of the largest datagrams, used for the first time.
const BUFFERS: u64 = 10 << 20;
const LARGEST_DATAGRAM: usize = 65_504;

#[test]
fn truncated_messages_get_silence() {
    let network = Network::new();
    let relay = Relay::start(&network);
    let steady = Steady::before(&network, &relay);
    let mut client = Client::udp(&network.alice, relay.plain(), relay.credential("mallory"));
    let whole = client.signed(Method::ALLOCATE, |writer| drop(writer.attribute(&RequestedTransport::UDP)));
    for length in 0..whole.len() {
        client.send(&whole[..length]);
    }
    assert_eq!(client.aside(), Vec::<Vec<u8>>::new());
    steady.holds(BOUND);
}

#[test]
fn what_is_not_a_message_gets_silence() {
    let network = Network::new();
    let relay = Relay::start(&network);
    let steady = Steady::before(&network, &relay);
    let mut client = Client::udp(&network.alice, relay.plain(), relay.credential("mallory"));
    let binding = request::binding();
    let fingerprinted = request::message(Class::Request, Method::BINDING, |writer| {
        writer.fingerprint().expect("there is room");
    });
    let odd = [
        // A length that is no multiple of four, less than there is, more than there is.
        [&with(&binding, 3, 2)[..], &[0; 2]].concat(),
        [&binding[..], &[0; 4]].concat(),
        with(&binding, 3, 4),
        // A wrong FINGERPRINT.
        with(&fingerprinted, fingerprinted.len() - 1, !fingerprinted[fingerprinted.len() - 1]),
        // An attribute that is longer than the message.
        [&with(&binding, 3, 4)[..], &[0x80, 0x22, 0xFF, 0xFF]].concat(),
        // Responses, and an indication for a method that has none.
        request::message(Class::Success, Method::ALLOCATE, |_| {}),
        request::message(Class::Error, Method::REFRESH, |_| {}),
        request::message(Class::Indication, Method::ALLOCATE, |_| {}),
        // Neither STUN nor a channel; a reserved channel; channel data for no allocation, also torn.
        vec![0xFF; 100],
        vec![0x80; 20],
        [&[0x50, 0, 0, 4][..], b"data"].concat(),
        [&[0x40, 0, 0, 4][..], b"data"].concat(),
        [&[0x40, 0, 0xFF, 0xFF][..], b"data"].concat(),
        vec![0x40],
        Vec::new(),
    ];
    for message in &odd {
        client.send(message);
    }
    assert_eq!(client.aside(), Vec::<Vec<u8>>::new());
    steady.holds(BOUND);
}

#[test]
fn oversized_messages_draw_no_more_than_they_bring() {
    let network = Network::new();
    let relay = Relay::start(&network);
    let steady = Steady::before(&network, &relay);
    let mut client = Client::udp(&network.alice, relay.plain(), relay.credential("mallory"));
    let filler = vec![0xA5; LARGEST_DATAGRAM - 24];
    // SOFTWARE may be ignored, so this is a request as it should be, but for its size.
    let huge = request::message(Class::Request, Method::BINDING, |writer| raw(writer, 0x8022, &filler));
    let crowded = request::message(Class::Request, Method::ALLOCATE, |writer| {
        for _ in 0..LARGEST_DATAGRAM / 4 - 5 {
            raw(writer, 0x7FF0, &[]);
        }
    });
    let mut wave = || {
        for message in [&huge, &crowded] {
            for _ in 0..100 {
                client.send(message);
            }
        }
        for answer in client.aside() {
            assert!(answer.len() < 548, "an answer of {} bytes", answer.len());
        }
    };
    wave();
    steady.holds(BUFFERS);
    // From now on memory is flat.
    let steady = Steady::before(&network, &relay);
    wave();
    steady.holds(BOUND);
}

#[test]
fn odd_attributes_get_the_error_of_the_rfc() {
    let network = Network::new();
    let relay = Relay::start(&network);
    let steady = Steady::before(&network, &relay);
    let mut client = Client::udp(&network.alice, relay.plain(), relay.credential("mallory"));
    let transport = AttributeType::REQUESTED_TRANSPORT.0;
    let allocate =
        |client: &mut Client, attributes: &[(u16, &[u8])]| call(client, Method::ALLOCATE, attributes);
    assert_eq!(allocate(&mut client, &[]), Err(400), "no REQUESTED-TRANSPORT");
    assert_eq!(allocate(&mut client, &[(transport, &[17])]), Err(400), "a short REQUESTED-TRANSPORT");
    assert_eq!(allocate(&mut client, &[(transport, &[99, 0, 0, 0])]), Err(442), "an unknown transport");
    let udp: (u16, &[u8]) = (transport, &[17, 0, 0, 0]);
    let lifetime = AttributeType::LIFETIME.0;
    assert_eq!(allocate(&mut client, &[udp, (lifetime, &[0, 0, 1])]), Err(400), "a short LIFETIME");
    let family = AttributeType::REQUESTED_ADDRESS_FAMILY.0;
    assert_eq!(allocate(&mut client, &[udp, (family, &[7, 0, 0, 0])]), Err(440), "an unknown family");
    let token = AttributeType::RESERVATION_TOKEN.0;
    let even = AttributeType::EVEN_PORT.0;
    assert_eq!(
        allocate(&mut client, &[udp, (even, &[0]), (token, &[7; 8])]),
        Err(400),
        "token and EVEN-PORT"
    );
    assert_eq!(allocate(&mut client, &[udp, (token, &[7; 8])]), Err(508), "a token that nobody gave");
    assert_eq!(allocate(&mut client, &[udp, (0x7FF0, b"?")]), Err(420), "an unknown attribute");

    client.allocate().expect("all of that left nothing behind");
    let peer = AttributeType::XOR_PEER_ADDRESS.0;
    let permit =
        |client: &mut Client, value: &[u8]| call(client, Method::CREATE_PERMISSION, &[(peer, value)]);
    assert_eq!(permit(&mut client, &[0, 3, 0, 0, 1, 2, 3, 4]), Err(400), "a family that is none");
    assert_eq!(permit(&mut client, &[0, 1, 0, 0, 1, 2]), Err(400), "half an IPv4 address");
    assert_eq!(permit(&mut client, &[0, 2, 0, 0, 1, 2, 3, 4]), Err(400), "a quarter of an IPv6 address");
    assert_eq!(permit(&mut client, &[]), Err(400), "no address");
    for channel in [0x0000_u16, 0x3FFF, 0x5000, 0xFFFF] {
        let number = [&channel.to_be_bytes()[..], &[0, 0]].concat();
        let address = [0, 1, 0, 0, 1, 2, 3, 4];
        let attributes: [(u16, &[u8]); 2] = [(AttributeType::CHANNEL_NUMBER.0, &number), (peer, &address)];
        assert_eq!(call(&mut client, Method::CHANNEL_BIND, &attributes), Err(400), "channel {channel:#x}");
    }
    client.refresh(0).expect("the allocation is as it was");
    steady.holds(BOUND);
}

fn call(client: &mut Client, method: Method, attributes: &[(u16, &[u8])]) -> Result<(), u16> {
    let fill = |writer: &mut MessageWriter<'_>| {
        for (kind, value) in attributes {
            raw(writer, *kind, value);
        }
    };
    client.call(method, fill).map(drop)
}

/// The message with one byte changed.
fn with(message: &[u8], place: usize, byte: u8) -> Vec<u8> {
    let mut changed = message.to_vec();
    changed[place] = byte;
    changed
}
