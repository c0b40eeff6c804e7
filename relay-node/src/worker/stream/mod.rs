//! Clients on TCP and TLS: connections, each with bounded memory and a deadline.
//!
//! What epoll tells is remembered, and done at the end of a round for as many bytes as a round has:
//! first who has waited longest. So neither many connections nor a fast one hold up datagrams.

mod accept;
mod admission;
mod buffers;
mod connection;
mod deadlines;
mod fair_queue;
mod handshake;
mod outgoing;
mod proxy;
mod ranking;
mod reading;
mod source;
mod writing;

use std::sync::Arc;
use std::time::Duration;

use slab::Slab;
use turn::{FiveTuple, Monotonic, Now};

use crate::net::poll::Poller;

use self::buffers::Buffers;
use self::connection::Connection;
use self::deadlines::Deadlines;
use self::handshake::Handshakes;

pub(super) use self::accept::StreamListener;
pub(super) use self::admission::{Admission, Seat};
pub(super) use self::connection::{End, SCRATCH};
pub(super) use self::handshake::{Handshaker, Taken, start as start_handshakers};

use super::backlog::Backlog;
use super::counters::SocketStats;
use super::mailbox::Mailbox;
use super::plan::StreamLimits;
use super::token::Token;

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
    /// The start of a long frame did not fit beside what all connections hold.
    Crowded,
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
            Self::Crowded => stats.connections_crowded += 1,
        }
    }
}

/// What all connections of a worker share with others.
pub(super) struct Shared {
    /// Which worker this is.
    pub(super) worker: usize,
    /// All workers' mailboxes: they share the limits, and close connections for one another.
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
    // Connections with something to read, and with something to write. One that ends while it waits
    // leaves its turn to whoever has the index next, who does not mind.
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
        let part = (limits.buffers / mailboxes.len().max(1)).max(StreamLimits::LONGEST_FRAME);
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

    /// Whether a round left something for the next.
    pub(super) fn is_behind(&self) -> bool {
        !self.ready.is_empty() || !self.queued.is_empty()
    }

    /// Closes a connection whose place another one has.
    pub(super) fn displace(&mut self, seat: Seat) {
        self.doomed.push((seat.index, seat.serial, Cause::Displaced));
    }

    /// Closes the connection at `index` at the end of the round.
    pub(super) fn doom(&mut self, index: usize, cause: Cause) {
        if let Some(connection) = self.connections.get(index) {
            self.doomed.push((index, connection.serial, cause));
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
            self.buffers.give(std::mem::take(&mut connection.half));
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
