//! Data to peers and from them.

use std::time::Instant;

use stun::attribute::{ChannelNumber, Data, DontFragment, XorPeerAddress};
use stun::{ChannelData, Class, Message, Method, TransactionId};
use turn_client::{Event, Path, message};

use crate::server::alice;

#[test]
fn a_channel_carries_data_both_ways_padded_on_streams() {
    for (path, length) in [(Path::Datagrams, 9), (Path::Stream, 12)] {
        let mut client = alice(path);
        client.send_through(ChannelNumber::FIRST, b"hello");
        let packet = client.poll_packet().unwrap();
        assert_eq!(packet.len(), length);
        assert_eq!(ChannelData::parse(&packet).unwrap().payload, b"hello");
        let event = client.receive(Instant::now(), &packet);
        assert!(matches!(
            event,
            Some(Event::ChannelData { channel: ChannelNumber::FIRST, payload: b"hello" })
        ));
    }
}

#[test]
fn indications_carry_data_both_ways() {
    let mut client = alice(Path::Datagrams);
    let peer = "192.0.2.1:7000".parse().unwrap();
    client.send(peer, b"hello", true).unwrap();
    let packet = client.poll_packet().unwrap();
    let sent = Message::parse(&packet).unwrap();
    assert_eq!((sent.class(), sent.method()), (Class::Indication, Method::SEND));
    assert_eq!(sent.get(), Ok(Some(XorPeerAddress(peer))));
    assert_eq!(sent.get(), Ok(Some(Data(b"hello"))));
    assert_eq!(sent.get(), Ok(Some(DontFragment)));

    let packet = message(Class::Indication, Method::DATA, TransactionId::new([1; 12]), |writer| {
        writer.attribute(&XorPeerAddress(peer))?.attribute(&Data(b"back")).map(drop)
    });
    let packet = packet.unwrap();
    let event = client.receive(Instant::now(), &packet);
    assert!(matches!(event, Some(Event::Data { peer: from, payload: b"back" }) if from == peer), "{event:?}");
}
