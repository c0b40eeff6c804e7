//! Any bytes as a stream: pieces of any size give the frames that the whole gives.

#![no_main]

use libfuzzer_sys::fuzz_target;
use stun::stream::{Frame, next_frame};
use stun::{ChannelData, Message};

fuzz_target!(|bytes: &[u8]| {
    // The first byte says how long the pieces are.
    let Some((piece, stream)) = bytes.split_first() else { return };
    let piece = usize::from(*piece).max(1);
    let whole = frames(stream, stream.len().max(1));
    assert_eq!(frames(stream, piece), whole);

    for frame in &whole.0 {
        let _ = (Message::parse(frame), ChannelData::parse(frame));
    }
    let taken: usize = whole.0.iter().map(|frame| frame.len().next_multiple_of(4)).sum();
    assert!(taken <= stream.len());
});

/// The frames of `stream` when it comes in pieces of `piece` bytes, and whether it ended badly.
fn frames(stream: &[u8], piece: usize) -> (Vec<&[u8]>, bool) {
    let mut frames = Vec::new();
    let mut start = 0;
    let mut received = 0;
    loop {
        match next_frame(&stream[start..received]) {
            Frame::Complete { len, message } => {
                frames.push(&stream[start..start + message]);
                start += len;
            }
            Frame::Incomplete if received < stream.len() => {
                received = stream.len().min(received + piece);
            }
            Frame::Incomplete => return (frames, false),
            Frame::Invalid => return (frames, true),
        }
    }
}
