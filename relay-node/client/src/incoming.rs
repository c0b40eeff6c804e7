//! What comes from a relay.

use std::net::SocketAddr;

use stun::attribute::{Data, Icmp, XorPeerAddress};
use stun::{ChannelData, Class, Kind, Message, Method};

/// A packet from a relay, borrowed.
#[derive(Clone, Copy, Debug)]
pub enum Incoming<'p> {
    /// The success or error response to a request.
    Answer(Message<'p>),
    /// Data through a channel.
    ChannelData(ChannelData<'p>),
    /// A Data indication with what a peer sent.
    Data {
        /// Who sent it.
        peer: SocketAddr,
        /// What it sent.
        payload: &'p [u8],
    },
    /// A Data indication that tells of an ICMP error (RFC 8656 section 11.6).
    Icmp {
        /// The peer that a packet was for.
        peer: SocketAddr,
        /// The error.
        error: Icmp,
    },
}

impl<'p> Incoming<'p> {
    /// Reads a datagram, or a packet of a stream; `None` for what a client ignores.
    pub fn read(packet: &'p [u8]) -> Option<Self> {
        if Kind::of(packet) == Kind::ChannelData {
            return ChannelData::parse(packet).ok().map(Self::ChannelData);
        }
        let message = Message::parse(packet).ok()?;
        match (message.class(), message.method()) {
            (Class::Success | Class::Error, _) => Some(Self::Answer(message)),
            // RFC 8656 section 11.4: what lacks the peer, or both DATA and ICMP, is discarded.
            (Class::Indication, Method::DATA) => {
                let XorPeerAddress(peer) = message.get().ok()??;
                match message.get::<Icmp>().ok()? {
                    Some(error) => Some(Self::Icmp { peer, error }),
                    None => message.get().ok()?.map(|Data(payload)| Self::Data { peer, payload }),
                }
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use stun::TransactionId;

    use super::*;
    use crate::{Path, channel_data, message};

    const PEER: XorPeerAddress =
        XorPeerAddress(SocketAddr::V4(std::net::SocketAddrV4::new(std::net::Ipv4Addr::new(192, 0, 2, 1), 7)));

    fn indication(
        fill: impl FnOnce(&mut stun::MessageWriter<'_>) -> Result<(), stun::BufferFull>,
    ) -> Vec<u8> {
        message(Class::Indication, Method::DATA, TransactionId::new([1; 12]), fill).unwrap()
    }

    #[test]
    fn data_comes_in_three_forms() {
        let packet = channel_data(0x4001, b"hello", Path::Datagrams);
        assert!(
            matches!(Incoming::read(&packet), Some(Incoming::ChannelData(data)) if data.payload == b"hello")
        );
        let packet = indication(|writer| writer.attribute(&PEER)?.attribute(&Data(b"hello")).map(drop));
        assert!(
            matches!(Incoming::read(&packet), Some(Incoming::Data { peer, payload: b"hello" }) if peer == PEER.0)
        );
        let error = Icmp { kind: 3, code: 4, data: [0, 0, 5, 0] };
        let packet = indication(|writer| writer.attribute(&PEER)?.attribute(&error).map(drop));
        assert!(matches!(Incoming::read(&packet), Some(Incoming::Icmp { error: read, .. }) if read == error));
    }

    #[test]
    fn what_says_nothing_is_ignored() {
        for packet in [
            indication(|writer| writer.attribute(&Data(b"from nobody")).map(drop)),
            indication(|writer| writer.attribute(&PEER).map(drop)),
            message(Class::Request, Method::BINDING, TransactionId::new([1; 12]), |_| Ok(())).unwrap(),
            channel_data(0x5000, b"", Path::Datagrams),
            b"\x40\x00\x00\x05four".to_vec(),
            vec![],
        ] {
            assert!(Incoming::read(&packet).is_none(), "{packet:?}");
        }
    }
}
