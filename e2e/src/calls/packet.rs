//! What the packets of calls carry.

/// Bytes of a voice packet.
pub(super) const PAYLOAD: usize = 160;

const TAG: &[u8; 4] = b"call";

/// Writes a packet's place into its payload.
pub(super) fn write(payload: &mut [u8], call: usize, number: u32) {
    payload[..4].copy_from_slice(TAG);
    payload[4..8].copy_from_slice(&(call as u32).to_be_bytes());
    payload[8..12].copy_from_slice(&number.to_be_bytes());
}

/// The call that a packet belongs to, and its number there.
pub(super) fn read(payload: &[u8]) -> Option<(usize, u32)> {
    let word = |place: usize| {
        let bytes = payload.get(place..place + 4)?;
        Some(u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    };
    let whole = payload.len() == PAYLOAD && payload.starts_with(TAG);
    whole.then(|| Some((word(4)? as usize, word(8)?))).flatten()
}

/// The number of a packet of this call.
pub(super) fn number_in(payload: &[u8], call: usize) -> Option<u32> {
    read(payload).filter(|(of, _)| *of == call).map(|(_, number)| number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_tells_its_place() {
        let mut payload = [0; PAYLOAD];
        write(&mut payload, 7, 300_000);
        assert_eq!(read(&payload), Some((7, 300_000)));
        assert_eq!((number_in(&payload, 7), number_in(&payload, 8)), (Some(300_000), None));
        assert_eq!(read(&payload[..PAYLOAD - 1]), None, "cut off");
        assert_eq!(read(&[0; PAYLOAD]), None, "no packet of a call");
    }
}
