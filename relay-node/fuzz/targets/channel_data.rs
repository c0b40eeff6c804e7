//! Any bytes as ChannelData, and any payload as what a relay makes of it in place.

#![no_main]

use std::net::SocketAddr;

use libfuzzer_sys::fuzz_target;
use stun::attribute::{Data, XorPeerAddress};
use stun::{
    CHANNEL_HEADER_LEN, ChannelData, DATA_INDICATION_HEADROOM, Message, TransactionId, write_channel_header,
    write_data_indication,
};

fuzz_target!(|bytes: &[u8]| {
    let Ok(data) = ChannelData::parse(bytes) else { return };
    let payload = data.payload;

    let mut packet = [&[0; CHANNEL_HEADER_LEN][..], payload].concat();
    let length = u16::try_from(payload.len()).expect("ChannelData states its length in 16 bits");
    write_channel_header(packet.first_chunk_mut().expect("it is longer"), data.channel, length);
    assert_eq!(ChannelData::parse(&packet), Ok(data));
    assert_eq!(packet, bytes[..packet.len()]);

    let peer = match bytes.len() % 2 {
        0 => SocketAddr::from(([192, 0, 2, 1], data.channel.get())),
        _ => SocketAddr::from(([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1], data.channel.get())),
    };
    let mut buffer = [&[0; DATA_INDICATION_HEADROOM][..], payload, &[0xEE; 3]].concat();
    let place = DATA_INDICATION_HEADROOM..DATA_INDICATION_HEADROOM + payload.len();
    let packet = write_data_indication(&mut buffer, place, peer, TransactionId::new([1; 12]))
        .expect("there is room for it");
    let message = Message::parse(&buffer[packet]).expect("what is written is a message");
    assert_eq!(message.get(), Ok(Some(XorPeerAddress(peer))));
    assert_eq!(message.get(), Ok(Some(Data(payload))));
});
