//! The Data indication, written around a payload where it lies (RFC 8656 section 11.6).

use std::net::{IpAddr, SocketAddr};
use std::ops::Range;

use crate::attribute::{ATTRIBUTE_HEADER_LEN, AttributeType, Encode, Value, XorPeerAddress};
use crate::header::{Class, HEADER_LEN, MAGIC_COOKIE, Method, TransactionId, message_type};
use crate::padded;
use crate::writer::header;

/// Bytes that a Data indication needs in front of its payload, at most: those of an IPv6 peer.
pub const DATA_INDICATION_HEADROOM: usize = HEADER_LEN + 3 * ATTRIBUTE_HEADER_LEN + 16;

/// Makes the payload at `payload` in `buffer` a Data indication from `peer`: header, XOR-PEER-ADDRESS
/// and the head of DATA in front, padding behind. Gives the message's place in `buffer`.
///
/// `None` when the headroom, the up to three bytes of tailroom or the message length do not suffice.
#[inline]
pub fn write_data_indication(
    buffer: &mut [u8],
    payload: Range<usize>,
    peer: SocketAddr,
    id: TransactionId,
) -> Option<Range<usize>> {
    let length = payload.end.checked_sub(payload.start)?;
    let address_len = match peer.ip() {
        IpAddr::V4(_) => 8,
        IpAddr::V6(_) => 20,
    };
    let in_front = HEADER_LEN + ATTRIBUTE_HEADER_LEN + address_len + ATTRIBUTE_HEADER_LEN;
    let start = payload.start.checked_sub(in_front)?;
    let end = payload.end.checked_add(padded(length) - length)?;
    let stated = u16::try_from(end - start - HEADER_LEN).ok()?;
    let data_len = u16::try_from(length).ok()?;

    buffer.get_mut(payload.end..end)?.fill(0);
    let mut front = Value::new(buffer.get_mut(start..payload.start)?, id, false);
    let message_type = const { message_type(Class::Indication, Method::DATA) };
    front.put(&header(message_type, stated, MAGIC_COOKIE.to_be_bytes(), id)).ok()?;
    front.put(&attribute_header(AttributeType::XOR_PEER_ADDRESS, address_len as u16)).ok()?;
    XorPeerAddress(peer).encode(&mut front).ok()?;
    front.put(&attribute_header(AttributeType::DATA, data_len)).ok()?;
    Some(start..end)
}

#[inline]
fn attribute_header(kind: AttributeType, length: u16) -> [u8; ATTRIBUTE_HEADER_LEN] {
    let [k, l] = kind.0.to_be_bytes();
    let [m, n] = length.to_be_bytes();
    [k, l, m, n]
}
