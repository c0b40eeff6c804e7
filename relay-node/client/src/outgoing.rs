//! Packets to a relay, as bytes.

use std::net::SocketAddr;

use stun::attribute::{Data, DontFragment, XorPeerAddress};
use stun::{BufferFull, Class, MessageWriter, Method, TransactionId};

/// A header, the longest length that it can state, and no padding, since that counts.
const LONGEST: usize = stun::HEADER_LEN + u16::MAX as usize;

/// How packets travel between client and relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Path {
    /// Each by itself: it may be lost, and is sent again then.
    Datagrams,
    /// In a stream, where nothing is lost and ChannelData is padded.
    Stream,
}

/// A message of whatever `attributes` writes.
///
/// # Errors
/// When it is longer than a message can be.
pub fn message(
    class: Class,
    method: Method,
    id: TransactionId,
    attributes: impl FnOnce(&mut MessageWriter<'_>) -> Result<(), BufferFull>,
) -> Result<Vec<u8>, BufferFull> {
    let mut buffer = vec![0; LONGEST];
    let mut writer = MessageWriter::new(&mut buffer, class, method, id)?;
    attributes(&mut writer)?;
    let length = writer.finish();
    buffer.truncate(length);
    Ok(buffer)
}

/// A Send indication with data for a peer (RFC 8656 section 11.1).
///
/// # Errors
/// When the data is longer than a message can be.
pub fn send_indication(
    id: TransactionId,
    peer: SocketAddr,
    payload: &[u8],
    dont_fragment: bool,
) -> Result<Vec<u8>, BufferFull> {
    message(Class::Indication, Method::SEND, id, |writer| {
        writer.attribute(&XorPeerAddress(peer))?.attribute(&Data(payload))?;
        if dont_fragment {
            writer.attribute(&DontFragment)?;
        }
        Ok(())
    })
}

/// ChannelData (RFC 8656 section 12.4) with up to 65,535 bytes of payload; what is longer is cut off.
///
/// Any number is taken: only 0x4000 to 0x4FFF can be bound.
pub fn channel_data(number: u16, payload: &[u8], path: Path) -> Vec<u8> {
    let length = u16::try_from(payload.len()).unwrap_or(u16::MAX);
    let mut packet = Vec::with_capacity(stun::CHANNEL_HEADER_LEN + payload.len() + 3);
    packet.extend_from_slice(&number.to_be_bytes());
    packet.extend_from_slice(&length.to_be_bytes());
    packet.extend(payload.iter().take(length.into()));
    if path == Path::Stream {
        packet.resize(packet.len().next_multiple_of(4), 0);
    }
    packet
}
