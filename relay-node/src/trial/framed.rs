//! A stream, cut into messages (RFC 8656 section 12.5).

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Instant;

use rustix::event::PollFlags;
use rustls::{ClientConnection, StreamOwned};
use turn_client::Frames;

use super::link::{PATIENCE, is_not_yet, wait};

/// A stream that does not block, and what came of the next message.
pub(super) struct Framed<S> {
    stream: S,
    frames: Frames,
}

/// A stream with a socket below it to wait for.
pub(super) trait Waitable: Read + Write {
    fn socket(&self) -> BorrowedFd<'_>;
}

impl Waitable for TcpStream {
    fn socket(&self) -> BorrowedFd<'_> {
        self.as_fd()
    }
}

impl Waitable for StreamOwned<ClientConnection, TcpStream> {
    fn socket(&self) -> BorrowedFd<'_> {
        self.sock.as_fd()
    }
}

impl<S: Waitable> Framed<S> {
    pub(super) fn new(stream: S) -> Self {
        Self { stream, frames: Frames::default() }
    }

    pub(super) fn stream(&self) -> &S {
        &self.stream
    }

    /// Sends a whole message.
    pub(super) fn send(&mut self, message: &[u8]) -> io::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        let mut rest = message;
        loop {
            let step =
                if rest.is_empty() { self.stream.flush().map(|()| 0) } else { self.stream.write(rest) };
            match step {
                Ok(_) if rest.is_empty() => return Ok(()),
                Ok(written) => rest = rest.get(written..).unwrap_or_default(),
                Err(error) if !is_not_yet(&error) => return Err(error),
                Err(_) if Instant::now() >= deadline => return Err(io::ErrorKind::TimedOut.into()),
                Err(_) => wait(&self.stream.socket(), PollFlags::OUT, deadline)?,
            }
        }
    }

    /// Waits for a message until `deadline` and puts it into `message`; says whether one came.
    pub(super) fn receive(&mut self, message: &mut Vec<u8>, deadline: Instant) -> io::Result<bool> {
        loop {
            if let Some(packet) = self.frames.next_packet().map_err(io::Error::other)? {
                message.clear();
                message.extend_from_slice(packet);
                return Ok(true);
            }
            let mut chunk = [0; 16 * 1024];
            match self.stream.read(&mut chunk) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(length) => self.frames.push(chunk.get(..length).unwrap_or_default()),
                Err(error) if !is_not_yet(&error) => return Err(error),
                Err(_) if Instant::now() >= deadline => return Ok(false),
                Err(_) => wait(&self.stream.socket(), PollFlags::IN, deadline)?,
            }
        }
    }
}
