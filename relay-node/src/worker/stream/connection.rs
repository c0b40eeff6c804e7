//! One TCP or TLS connection.

use std::io::{self, Read, Write};
use std::net::TcpStream;

use rustls::ServerConnection;
use stun::stream::Frame;
use turn::{ClientAddr, FiveTuple, ServerAddr, Transport};

use super::admission::Place;
use super::deadlines::Deadline;
use super::outgoing::{Buffers, Outgoing};
use super::proxy::ProxyHeader;

/// A connection and all memory that it holds: a half frame, what it has not read yet, TLS state.
pub(in crate::worker) struct Connection {
    pub(super) socket: TcpStream,
    pub(super) transport: Transport,
    pub(super) client: ClientAddr,
    pub(super) server: ServerAddr,
    pub(super) place: Place,
    /// Which connection of this worker; tells the users of one index apart.
    pub(super) serial: u64,
    pub(super) deadline: Deadline,
    /// The header that has to come first.
    pub(super) proxy: Option<ProxyHeader>,
    pub(super) tls: Option<Box<ServerConnection>>,
    /// The start of a frame.
    pub(super) half: Vec<u8>,
    pub(super) outgoing: Outgoing,
    /// Whether the deadline is that of the half frame.
    pub(super) deadline_is_for_half: bool,
    /// Whether a whole frame has come.
    pub(super) has_spoken: bool,
    /// Whether the client has said that it sends no more.
    pub(super) is_ending: bool,
    /// Whether it waits in the list of those to be flushed.
    pub(super) is_queued: bool,
    /// Whether epoll tells when there is room to write.
    pub(super) awaits_room: bool,
}

/// How much came.
pub(in crate::worker) struct Received {
    /// Bytes of frames, those of the half frame from before included.
    pub(in crate::worker) filled: usize,
    /// Whether nothing can follow.
    pub(in crate::worker) end: Option<End>,
}

/// Why nothing can follow on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::worker) enum End {
    /// The client has closed its side.
    Closed,
    /// The connection broke.
    Lost,
    /// What came is no TLS, or TLS that we refuse.
    Invalid,
}

/// How a flush went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flushed {
    /// Everything has left.
    All,
    /// The client has to read first.
    Part,
    /// The connection broke.
    Lost,
}

/// Bytes taken from one connection in a row.
const BURST: usize = 64 * 1024;
/// More than the longest TLS record holds.
const RECORD: usize = 32 * 1024;
/// Bytes put into TLS records before they are written: one message may be over it.
const RECORDS: usize = 16 * 1024;
/// Longest frame, and so the longest half frame.
const LONGEST_FRAME: usize = 65_552;

/// Bytes that a read needs room for.
pub(in crate::worker) const SCRATCH: usize = LONGEST_FRAME + BURST + RECORD;

impl Connection {
    /// Whose packets come on it.
    pub(in crate::worker) fn five_tuple(&self) -> FiveTuple {
        FiveTuple { client: self.client, server: self.server, transport: self.transport }
    }

    /// Reads into `scratch`, behind the half frame from before, which is there afterwards and not
    /// kept here any more.
    pub(super) fn read(&mut self, scratch: &mut [u8], buffers: &mut Buffers) -> Received {
        let half = std::mem::take(&mut self.half);
        let start = half.len();
        if let Some(room) = scratch.get_mut(..start) {
            room.copy_from_slice(&half);
        }
        buffers.give(half);
        match &mut self.tls {
            None => read_plain(&mut self.socket, scratch, start),
            Some(tls) => read_tls(tls, &mut self.socket, scratch, start),
        }
    }

    /// Whether something waits to be written.
    pub(super) fn has_outgoing(&self) -> bool {
        !self.outgoing.is_empty() || self.tls.as_ref().is_some_and(|tls| tls.wants_write())
    }

    /// Writes as much as the client takes.
    pub(super) fn flush(&mut self, buffers: &mut Buffers) -> Flushed {
        loop {
            let result = match &mut self.tls {
                Some(tls) if tls.wants_write() => tls.write_tls(&mut self.socket).map(drop),
                // Before the end of the handshake nothing of ours waits.
                _ if self.outgoing.is_empty() => return Flushed::All,
                Some(tls) => write_records(tls, &mut self.outgoing, buffers),
                None => self.socket.write(self.outgoing.bytes()).map(|count| {
                    self.outgoing.advance(count, buffers);
                }),
            };
            match result {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Flushed::Part,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Flushed::Lost,
            }
        }
    }

    /// Says goodbye as TLS does, if it can be said at once.
    pub(super) fn say_goodbye(&mut self) {
        if let Some(tls) = &mut self.tls {
            tls.send_close_notify();
            // The connection ends in any case.
            let _ = tls.write_tls(&mut self.socket);
        }
    }
}

fn read_plain(socket: &mut TcpStream, scratch: &mut [u8], start: usize) -> Received {
    let room = scratch.get_mut(start..).unwrap_or_default();
    match socket.read(room) {
        Ok(0) => Received { filled: start, end: Some(End::Closed) },
        Ok(count) => Received { filled: start + count, end: None },
        Err(error) if is_passing(&error) => Received { filled: start, end: None },
        Err(_) => Received { filled: start, end: Some(End::Lost) },
    }
}

fn read_tls(
    tls: &mut ServerConnection,
    socket: &mut TcpStream,
    scratch: &mut [u8],
    start: usize,
) -> Received {
    let mut filled = start;
    while filled - start < BURST {
        match tls.read_tls(socket) {
            Ok(0) => return Received { filled, end: Some(End::Closed) },
            Ok(_) => {}
            Err(error) if is_passing(&error) => break,
            Err(_) => return Received { filled, end: Some(End::Lost) },
        }
        if tls.process_new_packets().is_err() {
            // The alert says why.
            let _ = tls.write_tls(socket);
            return Received { filled, end: Some(End::Invalid) };
        }
        // All of it: rustls would not tell of it again.
        while let Some(room) = scratch.get_mut(filled..) {
            match tls.reader().read(room) {
                Ok(0) => return Received { filled, end: Some(End::Closed) },
                Ok(count) => filled += count,
                Err(_) => break,
            }
        }
    }
    Received { filled, end: None }
}

/// Gives each waiting message a TLS record of its own: coturn's client takes one for the other.
fn write_records(
    tls: &mut ServerConnection,
    outgoing: &mut Outgoing,
    buffers: &mut Buffers,
) -> io::Result<()> {
    let mut written = 0;
    while written < RECORDS && !outgoing.is_empty() {
        let bytes = outgoing.bytes();
        let len = match stun::stream::next_frame(bytes) {
            Frame::Complete { len, .. } => len,
            // Only whole messages are queued.
            Frame::Incomplete | Frame::Invalid => bytes.len(),
        };
        tls.writer().write_all(bytes.get(..len).unwrap_or_default())?;
        outgoing.advance(len, buffers);
        written += len;
    }
    Ok(())
}

fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}
