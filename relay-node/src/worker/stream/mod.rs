//! Clients on TCP and TLS: connections, each with bounded memory and a deadline.

mod admission;
mod connection;
mod deadlines;
mod outgoing;
mod proxy;

use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConnection;
use slab::Slab;
use turn::{ClientAddr, FiveTuple, Monotonic, Now, ServerAddr, Transport};

use crate::net::poll::{Interest, Poller};
use crate::net::tcp::{Accepted, Acceptor};
use crate::tls::Certificates;

use self::connection::{Connection, Flushed};
use self::deadlines::{Deadline, Deadlines};
use self::outgoing::{Buffers, Outgoing};
use self::proxy::ProxyHeader;

pub(super) use self::admission::Admission;
pub(super) use self::connection::{End, Received, SCRATCH};

use super::counters::SocketStats;
use super::plan::StreamLimits;
use super::token::Token;

/// Connections accepted from one listener in a row.
const ACCEPT_BURST: usize = 32;
/// A longer half frame is only kept for a client that has an allocation.
const UNPROVEN_FRAME: usize = 4096;

/// One worker's socket of a TCP or TLS listener.
pub(super) struct StreamListener {
    pub(super) acceptor: Acceptor,
    pub(super) address: SocketAddr,
    pub(super) transport: Transport,
    pub(super) proxy_protocol: bool,
    pub(super) tls: Option<Certificates>,
}

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
    /// Something did not come in time.
    Late,
    /// An answer did not fit behind what the client has not read.
    Stuck,
}

/// All connections of a worker.
pub(super) struct Streams {
    // By place in the plan; none for UDP.
    listeners: Vec<Option<StreamListener>>,
    connections: Slab<Connection>,
    limits: StreamLimits,
    admission: Arc<Admission>,
    deadlines: Deadlines,
    buffers: Buffers,
    // Connections with something to write, to be flushed at the end of the round.
    queued: Vec<usize>,
    // Connections that cannot live on, to be closed at the end of the round.
    doomed: Vec<(usize, u64, Cause)>,
    accepted: u64,
}

impl Streams {
    pub(super) fn new(
        listeners: Vec<Option<StreamListener>>,
        limits: StreamLimits,
        admission: Arc<Admission>,
    ) -> Self {
        Self {
            listeners,
            connections: Slab::new(),
            limits,
            admission,
            deadlines: Deadlines::default(),
            buffers: Buffers::default(),
            queued: Vec::new(),
            doomed: Vec::new(),
            accepted: 0,
        }
    }

    /// Takes the connections that wait at a listener.
    pub(super) fn accept(&mut self, listener: usize, poller: &Poller, now: Now, stats: &mut SocketStats) {
        for _ in 0..ACCEPT_BURST {
            let Some(Some(it)) = self.listeners.get_mut(listener) else { return };
            match it.acceptor.accept() {
                Accepted::None => return,
                Accepted::Refused => stats.connections_refused += 1,
                Accepted::Connection(socket, client) => {
                    stats.connections_accepted += 1;
                    if self.admit(listener, socket, client, poller, now).is_none() {
                        stats.connections_refused += 1;
                    }
                }
            }
            stats.connections_open = self.connections.len() as u64;
        }
    }

    /// Gives a connection a place in the table, if all limits allow it.
    fn admit(
        &mut self,
        listener: usize,
        socket: TcpStream,
        client: SocketAddr,
        poller: &Poller,
        now: Now,
    ) -> Option<()> {
        let listener = self.listeners.get(listener)?.as_ref()?;
        let mut place = self.admission.enter()?;
        // A proxy is the source of many clients: its connections count when they name them.
        if !listener.proxy_protocol && !place.name_source(client.ip()) {
            return None;
        }
        let tls = match &listener.tls {
            Some(certificates) => {
                let mut tls = ServerConnection::new(certificates.current()).ok()?;
                // What is written at a time bounds it: less than two frames.
                tls.set_buffer_limit(None);
                Some(Box::new(tls))
            }
            None => None,
        };
        let server =
            if listener.address.ip().is_unspecified() { socket.local_addr().ok()? } else { listener.address };
        self.accepted += 1;
        let serial = self.accepted;
        let entry = self.connections.vacant_entry();
        let index = entry.key();
        poller.add(&socket, Token::Connection(index).pack(), Interest::Read).ok()?;
        let connection = entry.insert(Connection {
            socket,
            transport: listener.transport,
            client: ClientAddr::new(client),
            server: ServerAddr::new(server),
            place,
            serial,
            deadline: Deadline::NEVER,
            proxy: listener.proxy_protocol.then(ProxyHeader::new),
            tls,
            half: Vec::new(),
            outgoing: Outgoing::default(),
            deadline_is_for_half: false,
            has_spoken: false,
            is_ending: false,
            is_queued: false,
            awaits_room: false,
        });
        let due = now.monotonic.after(self.limits.handshake_deadline);
        self.deadlines.set(&mut connection.deadline, index, serial, due);
        Some(())
    }

    /// Reads from a connection into `scratch`; also whose packets they are.
    pub(super) fn read(&mut self, index: usize, scratch: &mut [u8]) -> Option<(FiveTuple, Received)> {
        let connection = self.connections.get_mut(index)?;
        if connection.is_ending {
            return None;
        }
        if let Some(header) = &mut connection.proxy {
            match header.read(&connection.socket) {
                Ok(None) => return None,
                Ok(Some(ends)) => {
                    let real = connection.client.get();
                    let (client, server) = ends.unwrap_or((real, connection.server.get()));
                    connection.proxy = None;
                    connection.client = ClientAddr::new(client);
                    connection.server = ServerAddr::new(server);
                    if !connection.place.name_source(client.ip()) {
                        self.doom(index, Cause::Refused);
                        return None;
                    }
                }
                Err(proxy::Garbled) => {
                    self.doom(index, Cause::Invalid);
                    return None;
                }
            }
        }
        let connection = self.connections.get_mut(index)?;
        let received = connection.read(scratch, &mut self.buffers);
        // The handshake has something to say.
        if connection.has_outgoing() {
            self.queue(index);
        }
        let connection = self.connections.get(index)?;
        Some((connection.five_tuple(), received))
    }

    /// Keeps `half`, the start of a frame, after `frames` whole ones, and moves the deadline.
    pub(super) fn keep(&mut self, index: usize, half: &[u8], frames: usize, proven: bool, now: Now) {
        let Some(connection) = self.connections.get_mut(index) else { return };
        if half.len() > UNPROVEN_FRAME && !proven {
            self.doom(index, Cause::Invalid);
            return;
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
        if connection.outgoing.push(packet, self.limits.write_buffer, &mut self.buffers) {
            self.queue(index);
        } else if kind == Kind::Data {
            stats.stream_packets_dropped += 1;
        } else {
            self.doom(index, Cause::Stuck);
        }
    }

    fn queue(&mut self, index: usize) {
        if let Some(connection) = self.connections.get_mut(index)
            && !connection.is_queued
        {
            connection.is_queued = true;
            self.queued.push(index);
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
        self.queue(index);
    }

    /// There is room to write again.
    pub(super) fn has_room(&mut self, index: usize) {
        self.queue(index);
    }

    /// Writes what this round has queued.
    pub(super) fn flush(&mut self, poller: &Poller) {
        let mut queued = std::mem::take(&mut self.queued);
        for index in queued.drain(..) {
            let Some(connection) = self.connections.get_mut(index) else { continue };
            connection.is_queued = false;
            let flushed = connection.flush(&mut self.buffers);
            let awaits_room = flushed == Flushed::Part;
            let result = if awaits_room == connection.awaits_room && !connection.is_ending {
                Ok(())
            } else {
                connection.awaits_room = awaits_room;
                let interest = match (awaits_room, connection.is_ending) {
                    (false, _) => Interest::Read,
                    (true, false) => Interest::ReadWrite,
                    (true, true) => Interest::Write,
                };
                poller.modify(&connection.socket, Token::Connection(index).pack(), interest)
            };
            let ended = connection.is_ending && flushed == Flushed::All;
            if ended || flushed == Flushed::Lost || result.is_err() {
                self.doom(index, Cause::Gone);
            }
        }
        // The list keeps its memory.
        self.queued = queued;
    }

    /// Closes the next connection that cannot live on; whose it was, if its packets were taken.
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
            match cause {
                Cause::Gone => {}
                Cause::Invalid => stats.connections_invalid += 1,
                Cause::Refused => stats.connections_refused += 1,
                Cause::Late => stats.connections_late += 1,
                Cause::Stuck => stats.connections_stuck += 1,
            }
            if connection.has_spoken {
                return Some(connection.five_tuple());
            }
        }
    }

    /// When a connection's deadline may be over.
    pub(super) fn next_deadline(&self) -> Option<Monotonic> {
        self.deadlines.next()
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
