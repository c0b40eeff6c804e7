//! A worker's UDP sockets: what comes in and what goes out in a round.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::ops::Range;
use std::os::fd::AsFd;

use turn::{
    Client, ClientAddr, Entrance, FiveTuple, HEADROOM, PeerAddr, RelayId, ServerAddr, Span, TAILROOM,
    Transport,
};

use crate::net::memory::{Packet, PacketMemory};
use crate::net::name::is_link_local;
use crate::net::poll::Poller;
use crate::net::receive::ReceiveBatch;
use crate::net::send::{Datagram, SendBatch};

use super::counters::SocketStats;
use super::relays::Relays;
use super::token::Path;

/// Datagrams in hand at a time. Enough that those from many relay sockets leave together.
const SLOTS: usize = 128;
/// Datagrams from one socket in a row, at most; then it is the next one's turn.
pub(super) const BURST: usize = 64;

// The core writes around payloads in place.
const _: () = assert!(PacketMemory::HEADROOM >= HEADROOM && TAILROOM <= 8);

/// Numbers of sockets in the send batch: listeners from 0 on, relays from here on.
const FIRST_RELAY: u32 = 1 << 31;

/// One worker's socket of a UDP listener.
pub(super) struct Listener {
    socket: UdpSocket,
    address: SocketAddr,
    /// Its place in the plan.
    place: usize,
    entrance: Entrance,
    /// Whether each datagram tells what address it came to.
    wildcard: bool,
}

impl Listener {
    /// `address` is what the socket is bound to.
    pub(super) fn new(socket: UdpSocket, address: SocketAddr, place: usize, entrance: Entrance) -> Self {
        Self { socket, address, place, entrance, wildcard: address.ip().is_unspecified() }
    }

    /// The socket, to wait for datagrams.
    pub(super) fn socket(&self) -> &UdpSocket {
        &self.socket
    }
}

/// What one turn took from a socket.
pub(super) struct Received {
    /// Where the datagrams are.
    pub(super) slots: Range<usize>,
    /// Whether more may wait.
    pub(super) more: bool,
}

impl Received {
    fn new(result: io::Result<Range<usize>>, asked: usize, stats: &mut SocketStats) -> Self {
        let (slots, more) = match result {
            Ok(slots) => {
                let full = slots.len() == asked;
                (slots, full)
            }
            // A pending ICMP error took the place of the datagrams behind it.
            Err(error) => (0..0, error.kind() != io::ErrorKind::WouldBlock),
        };
        stats.receive_calls += 1;
        stats.datagrams_received += slots.len() as u64;
        Self { slots, more }
    }

    /// What the turn has cost, in datagrams: a call that brought none is not for nothing.
    pub(super) fn work(&self) -> usize {
        self.slots.len().max(1)
    }
}

/// Where the core has left a packet that goes on.
#[derive(Clone, Copy)]
pub(super) enum Place<'a> {
    /// In this slot, where it stays until the end of the round.
    Slot(usize),
    /// In memory that is used for other things soon.
    Buffer(&'a [u8]),
}

/// UDP listeners and relays with the datagrams that go through them.
///
/// A received datagram stays in its slot until the end of the round, and what is sent on points into
/// that slot. What leaves is grouped by socket: one call for all that goes to clients of a listener,
/// whichever relays it came from.
pub(super) struct Datagrams {
    // By place in the plan; none for streams.
    listeners: Vec<Option<Listener>>,
    pub(super) relays: Relays,
    received: ReceiveBatch,
    leaving: SendBatch,
}

impl Datagrams {
    pub(super) fn new(listeners: Vec<Option<Listener>>) -> Self {
        Self {
            listeners,
            relays: Relays::default(),
            received: ReceiveBatch::new(SLOTS),
            leaving: SendBatch::new(SLOTS, true),
        }
    }

    /// Receives from a listener, at most [`BURST`] datagrams.
    pub(super) fn receive_from_clients(
        &mut self,
        listener: usize,
        stats: &mut SocketStats,
    ) -> Option<Received> {
        self.make_room(stats);
        let listener = self.listeners.get(listener)?.as_ref()?;
        let slots = self.received.receive(&listener.socket, BURST);
        Some(Received::new(slots, BURST, stats))
    }

    /// Closes the listeners, which others may go on having open.
    pub(super) fn close_listeners(&mut self, poller: &Poller) {
        for listener in self.listeners.iter_mut().filter_map(Option::take) {
            poller.remove(&listener.socket);
        }
    }

    /// Receives from a relay's peers, at most `burst` datagrams (which is at most [`BURST`]).
    pub(super) fn receive_from_peers(
        &mut self,
        index: usize,
        burst: usize,
        stats: &mut SocketStats,
    ) -> Option<(RelayId, Received)> {
        self.make_room(stats);
        let (relay, socket) = self.relays.get(index)?;
        let slots = self.received.receive(socket, burst);
        Some((relay, Received::new(slots, burst, stats)))
    }

    fn make_room(&mut self, stats: &mut SocketStats) {
        if self.received.free() < BURST {
            self.end_round(stats);
        }
    }

    /// Who sent the datagram in `slot` of a listener, and to which address.
    pub(super) fn client(&self, listener: usize, slot: usize) -> Option<Client> {
        let client = self.received.source(slot)?;
        let listener = self.listeners.get(listener)?.as_ref()?;
        let server = if listener.wildcard { self.destination(listener, slot)? } else { listener.address };
        Some(Client {
            five_tuple: FiveTuple {
                client: ClientAddr::new(client),
                server: ServerAddr::new(server),
                transport: Transport::Udp,
            },
            path: Path::Listener(listener.place).pack(),
            entrance: listener.entrance,
        })
    }

    /// The address of a listener on all of them that the datagram in `slot` came to.
    fn destination(&self, listener: &Listener, slot: usize) -> Option<SocketAddr> {
        let (ip, interface) = self.received.destination(slot)?;
        let mut server = SocketAddr::new(ip, listener.address.port());
        if let SocketAddr::V6(v6) = &mut server
            && is_link_local(ip)
        {
            v6.set_scope_id(interface);
        }
        Some(server)
    }

    /// The source of the datagram in `slot` of a relay.
    pub(super) fn peer(&self, slot: usize) -> Option<PeerAddr> {
        self.received.source(slot).map(PeerAddr::new)
    }

    /// The bytes around the datagram in `slot`, and its place in them.
    pub(super) fn slot_mut(&mut self, slot: usize) -> (&mut [u8], Range<usize>) {
        let payload = self.received.payload(slot);
        (self.received.memory_mut().slot_mut(slot), payload)
    }

    /// What lies at `span` of `place`, as bytes.
    pub(super) fn bytes<'a>(&'a self, place: Place<'a>, span: Span) -> &'a [u8] {
        match place {
            Place::Slot(slot) => {
                let memory = self.received.memory();
                memory.packet(slot, span.start, span.end).map_or(&[], |packet| memory.bytes(packet))
            }
            Place::Buffer(buffer) => buffer.get(span.range()).unwrap_or_default(),
        }
    }

    /// What lies at `span` of `place`, to be sent at the end of the round.
    pub(super) fn packet(&mut self, place: Place<'_>, span: Span, stats: &mut SocketStats) -> Option<Packet> {
        match place {
            Place::Slot(slot) => self.received.memory().packet(slot, span.start, span.end),
            Place::Buffer(buffer) => self.copy(buffer.get(span.range())?, stats),
        }
    }

    /// Keeps a copy of `bytes` until they are sent.
    pub(super) fn copy(&mut self, bytes: &[u8], stats: &mut SocketStats) -> Option<Packet> {
        if let Some(packet) = self.received.memory_mut().write(bytes) {
            return Some(packet);
        }
        self.flush(stats);
        self.received.memory_mut().write(bytes)
    }

    /// Sends `packet` to a client of `listener` at the end of the round.
    pub(super) fn send_to_client(
        &mut self,
        listener: usize,
        client: &Client,
        packet: Packet,
        stats: &mut SocketStats,
    ) {
        let wildcard = matches!(self.listeners.get(listener), Some(Some(it)) if it.wildcard);
        let from: Option<IpAddr> = wildcard.then(|| client.five_tuple.server.ip());
        let datagram = Datagram {
            socket: listener as u32,
            to: client.five_tuple.client.get(),
            from,
            packet,
            dont_fragment: false,
        };
        self.send(datagram, stats);
    }

    /// Sends `packet` to a peer at the end of the round.
    pub(super) fn send_to_peer(
        &mut self,
        relay: RelayId,
        peer: PeerAddr,
        packet: Packet,
        dont_fragment: bool,
        stats: &mut SocketStats,
    ) {
        let socket = FIRST_RELAY | relay.index() as u32;
        self.send(Datagram { socket, to: peer.get(), from: None, packet, dont_fragment }, stats);
    }

    fn send(&mut self, datagram: Datagram, stats: &mut SocketStats) {
        if self.leaving.is_full() {
            self.flush(stats);
        }
        self.leaving.push(datagram);
    }

    /// Sends what waits. Received datagrams stay where they are.
    pub(super) fn flush(&mut self, stats: &mut SocketStats) {
        if !self.leaving.is_empty() {
            let (listeners, relays) = (&self.listeners, &self.relays);
            let sent = self.leaving.flush(self.received.memory(), |number| match number {
                FIRST_RELAY.. => relays.get((number - FIRST_RELAY) as usize).map(|(_, socket)| socket),
                listener => Some(listeners.get(listener as usize)?.as_ref()?.socket.as_fd()),
            });
            stats.send_calls += sent.calls;
            stats.datagrams_sent += sent.sent;
            stats.datagrams_blocked += sent.blocked;
            stats.datagrams_refused += sent.refused;
        }
        self.received.memory_mut().clear_outbox();
    }

    /// Sends what waits and forgets what was received.
    pub(super) fn end_round(&mut self, stats: &mut SocketStats) {
        self.flush(stats);
        self.received.clear();
    }
}
