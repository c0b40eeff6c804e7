//! A worker's life: wait, take what came, hand it to the core, do what the core says.
//!
//! A round is bounded on each side, so that whoever is flooded delays the others by a round at most:
//! so many datagrams from clients, from peers, from other workers, so many ICMP errors.

use std::sync::Arc;

use std::time::Duration;

use turn::{Client, Forward, IcmpError, Now, Output, PeerAddr, Span, Turn};

use crate::net::icmp;
use crate::net::poll::{self, Poller, Ready};
use crate::net::steering::Steering;

use super::backlog::Backlog;
use super::clock;
use super::counters::{Publisher, SocketStats};
use super::datagrams::{BURST, Datagrams, Place};
use super::fleet::Fleet;
use super::freezing::Freezing;
use super::mailbox::{Command, Mailbox, Origin, Post};
use super::recorder::Recorder;
use super::stream::{Kind, Streams};
use super::token::{Path, Token};
use super::workers::Events;

/// Events taken from epoll at a time.
const EVENTS: usize = 512;
/// Datagrams from clients in a round, and from peers: some, but not many, times what one socket gives.
const FROM_CLIENTS: usize = 4 * BURST;
const FROM_PEERS: usize = 4 * BURST;
/// Datagrams from one relay in a row where many wait: so each has its turn again soon.
const SHORT_BURST: usize = BURST / 4;
/// ICMP errors in a round, and from one relay in a row. Each is a system call.
const ICMP_ERRORS: usize = 64;
const ICMP_BURST: usize = 16;
/// Commands in a round: a handshake that is done is one.
const COMMANDS: usize = 64;
/// Packets from other workers in a round.
const PARCELS: usize = 4 * BURST;

/// Sockets in which something waits for its turn.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    /// Listeners with datagrams, by place in the plan.
    listeners: Backlog,
    /// Relays with datagrams, by index.
    relays: Backlog,
    /// Relays with ICMP errors, by index.
    errors: Backlog,
}

impl Waiting {
    fn is_empty(&self) -> bool {
        self.listeners.is_empty() && self.relays.is_empty() && self.errors.is_empty()
    }
}

/// One thread's relay. It shares nothing with the others but mailboxes and the ledger.
pub(super) struct Worker {
    /// Its place among the workers.
    pub(super) index: usize,
    /// The TURN server.
    pub(super) turn: Turn,
    /// What it waits for.
    pub(super) poller: Poller,
    /// Its UDP sockets.
    pub(super) datagrams: Datagrams,
    /// Its connections.
    pub(super) streams: Streams,
    /// Where packets from streams are put together.
    pub(super) scratch: Vec<u8>,
    /// Which worker a UDP client belongs to.
    pub(super) steering: Steering,
    /// The way to the other workers.
    pub(super) post: Post,
    /// Its own mailbox.
    pub(super) mailbox: Arc<Mailbox>,
    /// What it writes so that it outlives the process.
    pub(super) recorder: Option<Recorder>,
    /// What it knows of its fleet, if it is of one.
    pub(super) fleet: Option<Fleet>,
    /// What it has counted.
    pub(super) stats: SocketStats,
    /// Where others read it.
    pub(super) publisher: Publisher,
    /// What happened to its allocations, for others to log.
    pub(super) events: Arc<Events>,
    /// What it has been told of and has not emptied yet.
    pub(super) waiting: Waiting,
    /// Whether it stands still.
    pub(super) freezing: Freezing,
    /// Whether it was told to stop.
    pub(super) stopped: bool,
}

impl Worker {
    /// Works until it is told to stop.
    pub(super) fn run(mut self) {
        let mut events = poll::Events::new(EVENTS);
        let mut now = clock::now();
        while !self.stopped {
            if self.freezing.is_frozen() {
                now = self.take_frozen_round();
                continue;
            }
            // Counted from the start of the last round: late by what that took, never early.
            let timeout = self.timeout(now);
            if let Err(error) = self.poller.wait(&mut events, timeout) {
                tracing::error!(worker = self.index, %error, "cannot wait for sockets; the worker ends");
                return;
            }
            now = clock::now();
            for place in 0..events.len() {
                if let Some(ready) = events.get(place) {
                    self.take(ready, now);
                }
            }
            self.serve_clients(now);
            self.serve_errors(now);
            self.serve_peers(now);
            self.take_from_connections(now);
            self.answer_late_questions(now);
            if self.turn.next_timeout().is_some_and(|due| due <= now.monotonic) {
                self.turn.timeout(now);
                self.follow_outputs(now);
            }
            self.expire_connections(now);
            self.streams.resume_accepting(&self.poller, now);
            self.end_round(now);
        }
    }

    /// How long nothing has to be done unless something comes.
    fn timeout(&self, now: Now) -> Option<Duration> {
        if !self.waiting.is_empty() || self.streams.is_behind() {
            return Some(Duration::ZERO);
        }
        let of_fleet = self.fleet.as_ref().and_then(Fleet::next_deadline);
        let due =
            self.turn.next_timeout().into_iter().chain(self.streams.next_deadline()).chain(of_fleet).min();
        due.map(|due| due.since(now.monotonic))
    }

    fn take(&mut self, ready: Ready, now: Now) {
        match Token::unpack(ready.token) {
            Some(Token::Listener(listener)) => self.waiting.listeners.add(listener),
            Some(Token::Relay(relay)) => {
                if ready.error {
                    self.waiting.errors.add(relay);
                }
                self.waiting.relays.add(relay);
            }
            Some(Token::Mailbox) => self.open_mailbox(now),
            Some(Token::Acceptor(listener)) => {
                self.streams.accept(listener, &self.poller, now, &mut self.stats);
            }
            Some(Token::Connection(connection)) => self.note_connection(connection, ready),
            None => {}
        }
    }

    /// Gives listeners their turns.
    fn serve_clients(&mut self, now: Now) {
        let mut work = 0;
        while work < FROM_CLIENTS
            && let Some(listener) = self.waiting.listeners.next()
        {
            work += self.take_from_clients(listener, now);
        }
    }

    /// Gives relays with ICMP errors their turns.
    fn serve_errors(&mut self, now: Now) {
        let mut work = 0;
        while work < ICMP_ERRORS
            && let Some(relay) = self.waiting.errors.next()
        {
            work += self.take_icmp_errors(relay, now);
        }
    }

    /// Gives relays their turns, the shorter the more of them wait.
    fn serve_peers(&mut self, now: Now) {
        let burst = (FROM_PEERS / self.waiting.relays.len().max(1)).clamp(SHORT_BURST, BURST);
        let mut work = 0;
        while work < FROM_PEERS
            && let Some(relay) = self.waiting.relays.next()
        {
            work += self.take_from_peers(relay, burst, now);
        }
    }

    fn take_from_clients(&mut self, listener: usize, now: Now) -> usize {
        let Some(received) = self.datagrams.receive_from_clients(listener, &mut self.stats) else { return 1 };
        let work = received.work();
        if received.more {
            self.waiting.listeners.add(listener);
        }
        for slot in received.slots {
            let Some(client) = self.datagrams.client(listener, slot) else { continue };
            let (buffer, packet) = self.datagrams.slot_mut(slot);
            let owner = self.steering.owner(client.five_tuple.client.get());
            if owner != self.index {
                let packet = buffer.get(packet).unwrap_or_default();
                let taken = self.post.hand_over(owner, &client, packet);
                self.stats.datagrams_handed_over += u64::from(taken);
                self.stats.handovers_dropped += u64::from(!taken);
                continue;
            }
            let forward = self.turn.client_packet(now, &client, buffer, Span::from(packet));
            self.send_on(forward, Place::Slot(slot));
            self.follow_outputs(now);
        }
        work
    }

    fn take_from_peers(&mut self, relay: usize, burst: usize, now: Now) -> usize {
        let received = self.datagrams.receive_from_peers(relay, burst, &mut self.stats);
        let Some((id, received)) = received else { return 1 };
        let work = received.work();
        if received.more {
            self.waiting.relays.add(relay);
        }
        for slot in received.slots {
            let Some(peer) = self.datagrams.peer(slot) else { continue };
            let (buffer, payload) = self.datagrams.slot_mut(slot);
            let forward = self.turn.peer_packet(now, id, peer, buffer, Span::from(payload));
            self.send_on(forward, Place::Slot(slot));
            self.follow_outputs(now);
        }
        work
    }

    /// Sends on what the core made of a packet, which it has left at `place`.
    fn send_on(&mut self, forward: Forward, place: Place<'_>) {
        let stats = &mut self.stats;
        match forward {
            Forward::Nothing => {}
            Forward::ToPeer { relay, peer, payload, dont_fragment, shortcut } => {
                let passed_on = shortcut.is_some_and(|shortcut| {
                    self.post.pass_on(shortcut, self.datagrams.bytes(place, payload))
                });
                if passed_on {
                    stats.datagrams_handed_over += 1;
                } else if let Some(packet) = self.datagrams.packet(place, payload, stats) {
                    self.datagrams.send_to_peer(relay, peer, packet, dont_fragment, stats);
                }
            }
            Forward::ToClient { client, packet } => match Path::unpack(client.path) {
                Path::Listener(listener) => {
                    if let Some(packet) = self.datagrams.packet(place, packet, stats) {
                        self.datagrams.send_to_client(listener, &client, packet, stats);
                    }
                }
                Path::Connection(connection) => {
                    let packet = self.datagrams.bytes(place, packet);
                    self.streams.send(connection, &client.five_tuple, packet, Kind::Data, stats);
                }
            },
        }
    }

    fn take_icmp_errors(&mut self, relay: usize, now: Now) -> usize {
        for taken in 0..ICMP_BURST {
            let Some((id, socket)) = self.datagrams.relays.get(relay) else { return taken + 1 };
            let Some(report) = icmp::next_error(socket) else { return taken + 1 };
            let Some(report) = report else { continue };
            self.stats.icmp_errors += 1;
            let error = IcmpError { kind: report.kind, code: report.code, data: report.mtu.to_be_bytes() };
            self.turn.peer_icmp(now, id, PeerAddr::new(report.peer), error);
            self.follow_outputs(now);
        }
        self.waiting.errors.add(relay);
        ICMP_BURST
    }

    pub(super) fn open_mailbox(&mut self, now: Now) {
        self.mailbox.open();
        for _ in 0..COMMANDS {
            let Some(command) = self.mailbox.next_command() else { break };
            match command {
                Command::Apply(settings) => self.turn.apply(now, settings),
                Command::Drain(how) => self.turn.drain(how),
                Command::Resume => self.turn.resume(),
                Command::Handshake(taken) => self.streams.take_back(taken, &self.poller),
                Command::Displace(seat) => self.streams.displace(seat),
                Command::Fleet(wish) => self.follow_wish(wish, now),
                Command::Freeze(asked_by) => self.freeze(asked_by),
                Command::Thaw => self.thaw(now),
                Command::Release => self.release(now),
                Command::Stop => {
                    self.turn.end_all(now);
                    self.stopped = true;
                }
                #[cfg(test)]
                Command::Misbehave(misbehave) => misbehave(),
            }
            self.follow_outputs(now);
        }
        for _ in 0..PARCELS {
            let Some(mut parcel) = self.mailbox.next_parcel() else { break };
            let origin = parcel.origin;
            let (buffer, packet) = parcel.packet_mut();
            match origin {
                Origin::Client(client) => self.take_packet(&client, buffer, packet, now),
                Origin::Relay(shortcut) => {
                    let forward = self.turn.shortcut_packet(now, shortcut, buffer, packet);
                    self.send_on(forward, Place::Buffer(buffer));
                }
            }
            self.mailbox.recycle(parcel);
        }
        if !self.mailbox.is_empty() {
            self.mailbox.ring();
        }
    }

    /// Takes a client's packet that is in no slot, as [`Turn::client_packet`] does.
    pub(super) fn take_packet(&mut self, client: &Client, buffer: &mut [u8], packet: Span, now: Now) {
        let forward = self.turn.client_packet(now, client, buffer, packet);
        self.send_on(forward, Place::Buffer(buffer));
        self.follow_outputs(now);
    }

    /// Does what the core says, in its order.
    #[inline]
    pub(super) fn follow_outputs(&mut self, now: Now) {
        // Usually not after a packet.
        if self.turn.has_outputs() {
            self.follow_all_outputs(now);
        }
    }

    fn follow_all_outputs(&mut self, now: Now) {
        while let Some(output) = self.turn.poll_output() {
            match output {
                Output::OpenRelay { relay, local } => {
                    let result = self.datagrams.relays.open(relay, local, &self.poller);
                    self.stats.relays_open += u64::from(result.is_ok());
                    self.turn.relay_opened(now, relay, result);
                }
                Output::CloseRelay { relay } => {
                    // What it relayed last still leaves from it.
                    self.datagrams.flush(&mut self.stats);
                    self.stats.relays_open -= u64::from(self.datagrams.relays.close(relay));
                }
                Output::ToClient { client, packet } => match Path::unpack(client.path) {
                    Path::Listener(listener) => {
                        if let Some(packet) = self.datagrams.copy(packet, &mut self.stats) {
                            self.datagrams.send_to_client(listener, &client, packet, &mut self.stats);
                        }
                    }
                    Path::Connection(connection) => {
                        let stats = &mut self.stats;
                        self.streams.send(connection, &client.five_tuple, packet, Kind::Control, stats);
                    }
                },
                Output::Record(change) => {
                    if let Some(fleet) = &mut self.fleet {
                        fleet.note(&change);
                    }
                    let written = self.recorder.as_mut().is_none_or(|recorder| recorder.write(&change));
                    self.stats.records_unwritten += u64::from(!written);
                }
                Output::Event(event) => {
                    let told = self.fleet.as_ref().is_none_or(|fleet| fleet.tell(&event, now));
                    let dropped = self.events.push(event).is_err();
                    self.stats.events_dropped += u64::from(dropped) + u64::from(!told);
                }
                Output::AskQuota { ticket, user } => self.ask_quota(ticket, user, now),
            }
        }
    }

    pub(super) fn end_round(&mut self, now: Now) {
        self.streams.flush(&self.poller, &mut self.stats);
        self.close_connections(now);
        self.datagrams.end_round(&mut self.stats);
        self.post.ring();
        self.publish();
    }

    /// Makes its numbers visible.
    pub(super) fn publish(&mut self) {
        self.publisher.publish(self.turn.stats(), &self.stats, self.turn.allocations());
    }
}
