//! Any bytes as a PROXY protocol v2 header in front of a connection: in pieces of any size it ends
//! alike, and not a byte behind it is taken.

#![no_main]

#[path = "../../src/worker/stream/proxy.rs"]
mod proxy;

use std::io::{self, Read};

use libfuzzer_sys::fuzz_target;
use proxy::{Proxied, ProxyHeader};

fuzz_target!(|bytes: &[u8]| {
    let Some((piece, stream)) = bytes.split_first() else { return };
    let whole = read(stream, stream.len().max(1));
    assert_eq!(read(stream, usize::from(*piece).max(1)), whole);
    if let (Some(Ok(_)), taken) = whole {
        let [.., high, low] = *stream.first_chunk::<16>().expect("a header is at least that long");
        assert_eq!(taken, 16 + usize::from(u16::from_be_bytes([high, low])));
    }
});

/// What became of the header, if it came to an end, and how many bytes were taken.
fn read(stream: &[u8], piece: usize) -> (Option<Result<Proxied, ()>>, usize) {
    let mut header = ProxyHeader::new();
    let mut source = Pieces { rest: stream, piece, ready: true };
    loop {
        let end = match header.read(&mut source) {
            Ok(None) if source.rest.is_empty() => None,
            Ok(None) => continue,
            Ok(Some(proxied)) => Some(Ok(proxied)),
            Err(_) => Some(Err(())),
        };
        // Garbled is garbled, however much of it was looked at.
        let taken = if matches!(end, Some(Ok(_))) { stream.len() - source.rest.len() } else { 0 };
        return (end, taken);
    }
}

/// A socket that has a piece ready every other time, and then has nothing more yet.
struct Pieces<'a> {
    rest: &'a [u8],
    piece: usize,
    ready: bool,
}

impl Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.ready = !self.ready;
        if self.ready || self.rest.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let length = self.piece.min(buffer.len()).min(self.rest.len());
        let (piece, rest) = self.rest.split_at(length);
        buffer[..length].copy_from_slice(piece);
        self.rest = rest;
        Ok(length)
    }
}
