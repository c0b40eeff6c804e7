//! Clients on TCP and TLS: connections, each with bounded memory and a deadline.
//!
//! What epoll tells is remembered, and done at the end of a round for as many bytes as a round has:
//! first who has waited longest. So neither many connections nor a fast one hold up datagrams.

mod accept;
mod admission;
mod connection;
mod deadlines;
mod fair_queue;
mod handshake;
mod outgoing;
mod proxy;

use std::sync::Arc;
use std::time::Duration;

use slab::Slab;
use turn::{ClientAddr, FiveTuple, Monotonic, Now, ServerAddr};

use crate::net::poll::Poller;

use self::admission::group;
use self::connection::{Connection, Flushed, LONGEST_FRAME, Layer};
use self::deadlines::Deadlines;
use self::handshake::{Handshakes, Step};
use self::outgoing::Buffers;

pub(super) use self::accept::StreamListener;
pub(super) use self::admission::{Admission, Seat};
pub(super) use self::connection::{End, Received, SCRATCH};
pub(super) use self::handshake::{Handshaker, Taken, start as start_handshakers};

use super::backlog::Backlog;
use super::counters::SocketStats;
use super::mailbox::Mailbox;
use super::plan::StreamLimits;
use super::token::Token;

/// A longer half frame is only kept for a client that has an allocation.
const UNPROVEN_FRAME: usize = 4096;
/// Bytes written to all connections in a round, give or take one connection's.
const WRITTEN_PER_ROUND: usize = 256 * 1024;
/// What a connection counts for that is flushed, whatever it takes.
const FLUSH_COST: usize = 1024;

/// What is sent to a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A peer's data: may be dropped, as on any path.
    Data,
    /// An answer: without it the connection is of no use.
    Control,
}

/// Why a connection is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// The client closed it, or it broke.
    Gone,
    /// Bad PROXY header, TLS or frame.
    Invalid,
    /// A limit.
    Refused,
    /// Another one needed its place more.
    Displaced,
    /// It is from nobody who may say whose connections it brings.
    Untrusted,
    /// Something did not come in time.
    Late,
    /// An answer did not fit behind what the client has not read.
    Stuck,
}

impl Cause {
    fn count(self, stats: &mut SocketStats) {
        match self {
            Self::Gone => {}
            Self::Invalid => stats.connections_invalid += 1,
            Self::Refused => stats.connections_refused += 1,
            Self::Displaced => stats.connections_displaced += 1,
            Self::Untrusted => stats.connections_untrusted += 1,
            Self::Late => stats.connections_late += 1,
            Self::Stuck => stats.connections_stuck += 1,
        }
    }
}

/// What all connections of a worker share with others.
pub(super) struct Shared {
    /// Which worker this is.
    pub(super) worker: usize,
    /// How many workers share the limits.
    pub(super) mailboxes: Vec<Arc<Mailbox>>,
    /// Who has a place.
    pub(super) admission: Arc<Admission>,
    /// Where handshakes are made.
    pub(super) handshakes: Handshakes,
}

/// All connections of a worker.
pub(super) struct Streams {
    worker: usize,
    mailboxes: Vec<Arc<Mailbox>>,
    // By place in the plan; none for UDP.
    listeners: Vec<Option<StreamListener>>,
    connections: Slab<Connection>,
    limits: StreamLimits,
    admission: Arc<Admission>,
    handshakes: Handshakes,
    deadlines: Deadlines,
    buffers: Buffers,
    // Connections with something to read, and with something to write: each is a turn too many for who
    // has an index next, if a connection ends while it waits.
    ready: Backlog,
    queued: Backlog,
    // Connections that cannot live on, to be closed at the end of the round.
    doomed: Vec<(usize, u64, Cause)>,
    accepted: u64,
}

impl Streams {
    pub(super) fn new(listeners: Vec<Option<StreamListener>>, limits: StreamLimits, shared: Shared) -> Self {
        let Shared { worker, mailboxes, admission, handshakes } = shared;
        // Every worker has its part: a total for all would be counted by all for every packet.
        let part = (limits.write_buffers / mailboxes.len().max(1)).max(LONGEST_FRAME);
        Self {
            worker,
            mailboxes,
            listeners,
            connections: Slab::new(),
            limits,
            admission,
            handshakes,
            deadlines: Deadlines::default(),
            buffers: Buffers::new(limits.write_buffer, part),
            ready: Backlog::default(),
            queued: Backlog::default(),
            doomed: Vec::new(),
            accepted: 0,
        }
    }

    /// There is something to read.
    pub(super) fn note_ready(&mut self, index: usize) {
        self.ready.add(index);
    }

    /// The connection that has waited longest to be read from.
    pub(super) fn next_ready(&mut self) -> Option<usize> {
        self.ready.next()
    }

    /// Whether a round left something for the next.
    pub(super) fn is_behind(&self) -> bool {
        !self.ready.is_empty() || !self.queued.is_empty()
    }

    /// Reads from a connection into `scratch`; also whose packets they are. None while there is
    /// something before them: a PROXY header, a handshake.
    pub(super) fn read(
        &mut self,
        index: usize,
        scratch: &mut [u8],
        poller: &Poller,
    ) -> Option<(FiveTuple, Received)> {
        let connection = self.connections.get_mut(index)?;
        if connection.is_ending {
            return None;
        }
        if let Layer::Away = connection.layer {
            // Only that it broke is told while its handshake is elsewhere.
            self.doom(index, Cause::Gone);
            return None;
        }
        if let Err(cause) = take_header(connection) {
            self.doom(index, cause);
            return None;
        }
        if connection.proxy.is_some() {
            return None;
        }
        if let Err(end) = connection.decide() {
            self.doom(index, end.into());
            return None;
        }
        match connection.read_handshake() {
            Ok(None) => {}
            Ok(Some(tls)) => {
                let (serial, source) = (connection.serial, group(connection.client.get().ip()));
                self.update_interest(index, poller);
                if let Some(step) = self.handshakes.push(source, Step { index, serial, tls }) {
                    self.doomed.push((step.index, step.serial, Cause::Refused));
                }
                return None;
            }
            Err(end) => {
                self.doom(index, end.into());
                return None;
            }
        }
        if !connection.is_open() {
            return None;
        }
        let received = connection.read(scratch, &mut self.buffers);
        // TLS has something to say for itself.
        let has_outgoing = connection.has_outgoing();
        let five_tuple = connection.five_tuple();
        if has_outgoing {
            self.queued.add(index);
        }
        Some((five_tuple, received))
    }

    /// Goes on with a handshake.
    pub(super) fn take_back(&mut self, taken: Taken, poller: &Poller) {
        self.handshakes.came_back();
        let Taken { step: Step { index, serial, tls }, result } = taken;
        let Some(connection) = self.connections.get_mut(index) else { return };
        if connection.serial != serial {
            return;
        }
        connection.layer = Layer::Tls(tls);
        if result.is_err() {
            // The alert says why.
            let _ = connection.flush(&mut self.buffers);
            self.doom(index, Cause::Invalid);
            return;
        }
        self.queued.add(index);
        self.update_interest(index, poller);
        // The first packets may have come with the end of the handshake.
        self.note_ready(index);
    }

    /// Closes a connection whose place another one has.
    pub(super) fn displace(&mut self, seat: Seat) {
        self.doomed.push((seat.index, seat.serial, Cause::Displaced));
    }

    /// Keeps `half`, the start of a frame, after `frames` whole ones, and moves the deadline.
    pub(super) fn keep(&mut self, index: usize, half: &[u8], frames: usize, proven: bool, now: Now) {
        let Some(connection) = self.connections.get_mut(index) else { return };
        connection.place.set_allocation(proven);
        if half.len() > UNPROVEN_FRAME && !proven {
            self.doom(index, Cause::Invalid);
            return;
        }
        if frames > 0 {
            connection.place.note_activity();
        }
        if !half.is_empty() {
            connection.half = self.buffers.take();
            connection.half.extend_from_slice(half);
        }
        connection.has_spoken |= frames > 0;
        // The deadline of a first frame, or of a half one, does not move until it is whole.
        if frames == 0 {
            let began = connection.has_spoken && !half.is_empty();
            if !began || connection.deadline_is_for_half {
                return;
            }
        }
        let patience = if half.is_empty() { self.limits.idle_deadline } else { self.limits.frame_deadline };
        connection.deadline_is_for_half = !half.is_empty();
        let due = now.monotonic.after(patience);
        self.deadlines.set(&mut connection.deadline, index, connection.serial, due);
    }

    /// Queues `packet` for the client of the connection at `index`.
    pub(super) fn send(
        &mut self,
        index: usize,
        five_tuple: &FiveTuple,
        packet: &[u8],
        kind: Kind,
        stats: &mut SocketStats,
    ) {
        let Some(connection) = self.connections.get_mut(index) else { return };
        if connection.five_tuple() != *five_tuple {
            return;
        }
        if connection.outgoing.push(packet, &mut self.buffers) {
            connection.place.note_activity();
            self.queued.add(index);
        } else if kind == Kind::Data {
            stats.stream_packets_dropped += 1;
        } else {
            self.doom(index, Cause::Stuck);
        }
    }

    /// Closes the connection at `index` at the end of the round.
    pub(super) fn doom(&mut self, index: usize, cause: Cause) {
        if let Some(connection) = self.connections.get(index) {
            self.doomed.push((index, connection.serial, cause));
        }
    }

    /// The client sends no more: what waits for it still leaves, then the connection is closed.
    pub(super) fn finish(&mut self, index: usize, now: Now) {
        let Some(connection) = self.connections.get_mut(index) else { return };
        connection.is_ending = true;
        let due = now.monotonic.after(self.limits.frame_deadline);
        self.deadlines.set(&mut connection.deadline, index, connection.serial, due);
        self.queued.add(index);
    }

    /// There is room to write again.
    pub(super) fn has_room(&mut self, index: usize) {
        self.queued.add(index);
    }

    /// Writes what is queued, as much as a round has; the rest is for the next one.
    pub(super) fn flush(&mut self, poller: &Poller, stats: &mut SocketStats) {
        self.write_queued(poller);
        stats.stream_bytes_waiting = self.buffers.used() as u64;
    }

    fn write_queued(&mut self, poller: &Poller) {
        let mut left = WRITTEN_PER_ROUND;
        for _ in 0..self.queued.len() {
            if left == 0 {
                return;
            }
            let Some(index) = self.queued.next() else { return };
            let Some(connection) = self.connections.get_mut(index) else { continue };
            let (flushed, written) = connection.flush(&mut self.buffers);
            left = left.saturating_sub(written.max(FLUSH_COST));
            connection.awaits_room = flushed == Flushed::Blocked;
            let ended = connection.is_ending && flushed == Flushed::All;
            if ended || flushed == Flushed::Lost {
                self.doom(index, Cause::Gone);
                continue;
            }
            if flushed == Flushed::Part {
                self.queued.add(index);
            }
            self.update_interest(index, poller);
        }
    }

    /// Has epoll tell of what is of use now.
    fn update_interest(&mut self, index: usize, poller: &Poller) {
        let Some(connection) = self.connections.get_mut(index) else { return };
        let wanted = connection.wanted();
        if wanted == connection.interest {
            return;
        }
        connection.interest = wanted;
        if poller.modify(&connection.socket, Token::Connection(index).pack(), wanted).is_err() {
            self.doom(index, Cause::Gone);
        }
    }

    /// Closes the next connection that cannot live on; whose it was, if that is known.
    pub(super) fn close_doomed(&mut self, stats: &mut SocketStats) -> Option<FiveTuple> {
        loop {
            let (index, serial, cause) = self.doomed.pop()?;
            if self.connections.get(index).is_none_or(|connection| connection.serial != serial) {
                continue;
            }
            let mut connection = self.connections.remove(index);
            connection.say_goodbye();
            connection.outgoing.release(&mut self.buffers);
            stats.connections_open = self.connections.len() as u64;
            cause.count(stats);
            // One that never said between whom it is may not speak for who is.
            if connection.place.is_claimed() {
                return Some(connection.five_tuple());
            }
        }
    }

    /// When a connection's deadline may be over, or a listener is looked at again.
    pub(super) fn next_deadline(&self) -> Option<Monotonic> {
        self.deadlines.next().into_iter().chain(self.next_resumption()).min()
    }

    /// Looks after connections whose deadline is over. `is_allocated` says who may be silent.
    pub(super) fn expire(&mut self, now: Now, is_allocated: impl Fn(&FiveTuple) -> bool) {
        while let Some((index, serial, at)) = self.deadlines.pop(now.monotonic) {
            let Some(connection) = self.connections.get_mut(index) else { continue };
            if connection.serial != serial
                || !self.deadlines.is_over(&mut connection.deadline, index, serial, at, now.monotonic)
            {
                continue;
            }
            let idle = connection.has_spoken && connection.half.is_empty() && !connection.is_ending;
            if idle && is_allocated(&connection.five_tuple()) {
                // Not at once again, however short the deadline.
                let due = now.monotonic.after(self.limits.idle_deadline.max(Duration::from_secs(1)));
                self.deadlines.set(&mut connection.deadline, index, serial, due);
            } else {
                self.doom(index, Cause::Late);
            }
        }
    }
}

impl From<End> for Cause {
    fn from(end: End) -> Self {
        match end {
            End::Closed | End::Lost => Self::Gone,
            End::Invalid => Self::Invalid,
        }
    }
}

/// Reads on in the PROXY header, if there is one, and says who the connection is between.
fn take_header(connection: &mut Connection) -> Result<(), Cause> {
    let Some(header) = &mut connection.proxy else { return Ok(()) };
    let Some(ends) = header.read(&connection.socket).map_err(|proxy::Garbled| Cause::Invalid)? else {
        return Ok(());
    };
    let (client, server) = ends.unwrap_or((connection.client.get(), connection.server.get()));
    connection.proxy = None;
    connection.client = ClientAddr::new(client);
    connection.server = ServerAddr::new(server);
    if connection.place.move_to(client.ip()) && connection.place.claim((client, server)) {
        Ok(())
    } else {
        Err(Cause::Refused)
    }
}
