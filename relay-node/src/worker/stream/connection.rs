//! One TCP or TLS connection.

use std::io::{self, Read, Write};
use std::net::TcpStream;

use rustls::ServerConnection;
use stun::stream::Frame;
use turn::{ClientAddr, Entrance, FiveTuple, ServerAddr, Transport};

use crate::net::poll::Interest;
use crate::tls::Certificates;
use crate::worker::plan::StreamLimits;

use super::admission::Place;
use super::buffers::Buffers;
use super::deadlines::Deadline;
use super::outgoing::Outgoing;
use super::proxy::ProxyHeader;

/// A connection and all memory that it holds: a half frame, what it has not read yet, TLS state.
pub(in crate::worker) struct Connection {
    pub(super) socket: TcpStream,
    pub(super) client: ClientAddr,
    pub(super) server: ServerAddr,
    pub(super) entrance: Entrance,
    pub(super) place: Place,
    /// Which connection of this worker; tells the users of one index apart.
    pub(super) serial: u64,
    pub(super) deadline: Deadline,
    /// The header that has to come first.
    pub(super) proxy: Option<ProxyHeader>,
    pub(super) layer: Layer,
    /// The start of a frame.
    pub(super) half: Vec<u8>,
    pub(super) outgoing: Outgoing,
    /// Whether the deadline is that of the half frame.
    pub(super) deadline_is_for_half: bool,
    /// Whether a whole frame has come.
    pub(super) has_spoken: bool,
    /// Whether the client has said that it sends no more.
    pub(super) is_ending: bool,
    /// Whether the client has to read before more can be written.
    pub(super) awaits_room: bool,
    /// What epoll tells of.
    pub(super) interest: Interest,
}

/// What is between TCP and frames.
pub(super) enum Layer {
    /// Nothing.
    Plain,
    /// TLS, if the first byte says so; else nothing.
    Undecided(Certificates),
    /// TLS.
    Tls(Box<ServerConnection>),
    /// TLS, while a step of its handshake is taken elsewhere.
    Away,
}

/// How much came.
pub(in crate::worker) struct Received {
    /// Bytes of frames, those of the half frame from before included.
    pub(in crate::worker) filled: usize,
    /// Bytes taken from the socket.
    pub(in crate::worker) wire: usize,
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
    /// It has had its turn.
    Part,
    /// The client has to read first.
    Blocked,
    /// The connection broke.
    Lost,
}

/// Bytes on the wire taken from one connection in a row: of records with one byte each, hundreds.
const BURST: usize = 16 * 1024;
/// More than the longest TLS record holds, twice.
const RECORD: usize = 36 * 1024;
/// Bytes put into TLS records before they are written: one message may be over it.
const RECORDS: usize = 16 * 1024;
/// Bytes written to one connection in a row, give or take what is written at a time.
const WRITE_BURST: usize = 64 * 1024;
/// The first byte of a TLS handshake (RFC 8446 section 5.1). No packet begins with it: STUN has 0 to 3,
/// ChannelData 64 to 79 (RFC 7983 section 7).
const TLS_HANDSHAKE: u8 = 22;

/// Bytes that a read needs room for.
pub(in crate::worker) const SCRATCH: usize = StreamLimits::LONGEST_FRAME + BURST + RECORD;

impl Connection {
    /// Whose packets come on it.
    pub(in crate::worker) fn five_tuple(&self) -> FiveTuple {
        let transport = match self.layer {
            Layer::Plain | Layer::Undecided(_) => Transport::Tcp,
            Layer::Tls(_) | Layer::Away => Transport::Tls,
        };
        FiveTuple { client: self.client, server: self.server, transport }
    }

    /// Begins TLS, or does without, as the first byte says. Until that is there nothing is known.
    pub(super) fn decide(&mut self) -> Result<(), End> {
        let Layer::Undecided(certificates) = &self.layer else { return Ok(()) };
        let mut first = [0];
        match self.socket.peek(&mut first) {
            Ok(0) => Err(End::Closed),
            Ok(_) if first == [TLS_HANDSHAKE] => {
                self.layer = Layer::tls(certificates).ok_or(End::Lost)?;
                Ok(())
            }
            Ok(_) => {
                self.layer = Layer::Plain;
                Ok(())
            }
            Err(error) if is_passing(&error) => Ok(()),
            Err(_) => Err(End::Lost),
        }
    }

    /// What came of a TLS handshake, to be taken in elsewhere; none if nothing did, or the handshake
    /// is over.
    pub(super) fn read_handshake(&mut self) -> Result<Option<Box<ServerConnection>>, End> {
        let Layer::Tls(tls) = &mut self.layer else { return Ok(None) };
        if !tls.is_handshaking() {
            return Ok(None);
        }
        match tls.read_tls(&mut self.socket) {
            Ok(0) => Err(End::Closed),
            Ok(_) => match std::mem::replace(&mut self.layer, Layer::Away) {
                Layer::Tls(tls) => Ok(Some(tls)),
                _ => Ok(None),
            },
            Err(error) if is_passing(&error) => Ok(None),
            Err(_) => Err(End::Lost),
        }
    }

    /// Whether frames can come.
    pub(super) fn is_open(&self) -> bool {
        match &self.layer {
            Layer::Plain => true,
            Layer::Tls(tls) => !tls.is_handshaking(),
            Layer::Undecided(_) | Layer::Away => false,
        }
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
        match &mut self.layer {
            Layer::Tls(tls) => read_tls(tls, &mut self.socket, scratch, start),
            _ => read_plain(&mut self.socket, scratch, start),
        }
    }

    /// What epoll is to tell of.
    pub(super) fn wanted(&self) -> Interest {
        let reads = !self.is_ending && !matches!(self.layer, Layer::Away);
        match (reads, self.awaits_room) {
            (true, false) => Interest::Read,
            (true, true) => Interest::ReadWrite,
            (false, true) => Interest::Write,
            (false, false) => Interest::Nothing,
        }
    }

    /// Whether something waits to be written.
    pub(super) fn has_outgoing(&self) -> bool {
        !self.outgoing.is_empty() || matches!(&self.layer, Layer::Tls(tls) if tls.wants_write())
    }

    /// Writes as much as the client takes and its turn allows; also how much that was.
    pub(super) fn flush(&mut self, buffers: &mut Buffers) -> (Flushed, usize) {
        let mut written = 0;
        while written < WRITE_BURST {
            let result = match &mut self.layer {
                Layer::Tls(tls) if tls.wants_write() => tls.write_tls(&mut self.socket),
                Layer::Tls(tls) => {
                    self.outgoing.set_in_tls(0, buffers);
                    if self.outgoing.is_empty() {
                        return (Flushed::All, written);
                    }
                    write_records(tls, &mut self.outgoing, buffers).map(|()| 0)
                }
                // Before the end of the handshake nothing of ours waits.
                _ if self.outgoing.is_empty() => return (Flushed::All, written),
                _ => self.socket.write(self.outgoing.bytes()).inspect(|count| {
                    self.outgoing.advance(*count, buffers);
                }),
            };
            match result {
                Ok(count) => written += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return (Flushed::Blocked, written);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return (Flushed::Lost, written),
            }
        }
        (Flushed::Part, written)
    }

    /// Says goodbye as TLS does, if it can be said at once.
    pub(super) fn say_goodbye(&mut self) {
        if let Layer::Tls(tls) = &mut self.layer {
            tls.send_close_notify();
            // The connection ends in any case.
            let _ = tls.write_tls(&mut self.socket);
        }
    }
}

impl Layer {
    /// TLS with who the relay is now; none without memory.
    pub(super) fn tls(certificates: &Certificates) -> Option<Self> {
        let mut tls = ServerConnection::new(certificates.current()).ok()?;
        // What is written at a time bounds it: less than two frames.
        tls.set_buffer_limit(None);
        Some(Self::Tls(Box::new(tls)))
    }
}

fn read_plain(socket: &mut TcpStream, scratch: &mut [u8], start: usize) -> Received {
    let room = scratch.get_mut(start..start + BURST).unwrap_or_default();
    let (wire, end) = match socket.read(room) {
        Ok(0) => (0, Some(End::Closed)),
        Ok(count) => (count, None),
        Err(error) if is_passing(&error) => (0, None),
        Err(_) => (0, Some(End::Lost)),
    };
    Received { filled: start + wire, wire, end }
}

fn read_tls(
    tls: &mut ServerConnection,
    socket: &mut TcpStream,
    scratch: &mut [u8],
    start: usize,
) -> Received {
    let (mut filled, mut wire) = (start, 0);
    let end = loop {
        // All of it: neither epoll nor rustls would tell of it again.
        while let Some(room) = scratch.get_mut(filled..) {
            match tls.reader().read(room) {
                Ok(0) => return Received { filled, wire, end: Some(End::Closed) },
                Ok(count) => filled += count,
                Err(_) => break,
            }
        }
        if wire >= BURST {
            break None;
        }
        match tls.read_tls(socket) {
            Ok(0) => break Some(End::Closed),
            Ok(count) => wire += count,
            Err(error) if is_passing(&error) => break None,
            Err(_) => break Some(End::Lost),
        }
        if tls.process_new_packets().is_err() {
            // The alert says why.
            let _ = tls.write_tls(socket);
            break Some(End::Invalid);
        }
    };
    Received { filled, wire, end }
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
    outgoing.set_in_tls(written, buffers);
    Ok(())
}

fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}
