//! The floor: a UDP forwarder that knows no TURN, as bare as user space can be.
//!
//! One socket toward the clients, and one for each session toward the peer. A client's address says
//! its session by a table made at the start, and nothing else about a packet is looked at. Sockets,
//! readiness and batches are the relay's own (`edgerelay::net`), so that what the relay costs more is
//! what TURN costs.

use std::{
    collections::HashMap,
    io,
    net::{SocketAddr, SocketAddrV4, UdpSocket},
    os::fd::AsFd as _,
};

use edgerelay::net::{
    memory::PacketMemory,
    poll::{Events, Interest, Poller},
    receive::ReceiveBatch,
    send::{Datagram, SendBatch},
    udp,
};

use crate::lab::{CLIENT_PORT, PEER, RELAY, RELAY_PORTS, SERVER, client_address};

/// Datagrams in hand at a time, as in the relay's worker.
const SLOTS: usize = 128;
/// Datagrams from one socket in a row, as in the relay's worker.
const BURST: usize = 64;
/// Sockets that are told of at once, as in the relay's worker.
const EVENTS: usize = 512;
/// The listener's number; sessions have theirs, from 0 on.
const LISTENER: u32 = u32::MAX;

/// Forwards for `sessions` clients until it is killed.
pub fn run(sessions: u32) -> io::Result<()> {
    Forwarder::new(sessions)?.run()
}

struct Forwarder {
    listener: UdpSocket,
    relays: Vec<UdpSocket>,
    clients: Vec<SocketAddr>,
    sessions: HashMap<SocketAddr, u32, ahash::RandomState>,
    poller: Poller,
    received: ReceiveBatch,
    leaving: SendBatch,
}

impl Forwarder {
    fn new(sessions: u32) -> io::Result<Self> {
        let client = |number| SocketAddrV4::new(client_address(number), CLIENT_PORT).into();
        let clients: Vec<SocketAddr> = (0..sessions).map(client).collect();
        let relays = RELAY_PORTS
            .take(clients.len())
            .map(|port| udp::relay(SocketAddrV4::new(RELAY, port).into()))
            .collect::<Result<_, _>>()?;
        // The table is made of our own addresses, so the seeds need not be secret.
        let mut sessions = HashMap::with_hasher(ahash::RandomState::with_seeds(1, 2, 3, 4));
        sessions.extend(clients.iter().copied().zip(0..));
        Ok(Self {
            listener: udp::listener(SERVER.into())?,
            relays,
            clients,
            sessions,
            poller: Poller::new()?,
            received: ReceiveBatch::new(SLOTS),
            leaving: SendBatch::new(SLOTS, true),
        })
    }

    fn run(mut self) -> io::Result<()> {
        self.poller.add(&self.listener, LISTENER.into(), Interest::Read)?;
        for (relay, number) in self.relays.iter().zip(0..) {
            self.poller.add(relay, number, Interest::ReadEdge)?;
        }
        let mut events = Events::new(EVENTS);
        loop {
            self.poller.wait(&mut events, None)?;
            for place in 0..events.len() {
                match events.get(place).map(|ready| ready.token as u32) {
                    Some(LISTENER) => drop(self.take_from_clients()),
                    // An edge is told once: the socket is emptied.
                    Some(session) => while self.take_from_peer(session) == Some(BURST) {},
                    None => {}
                }
            }
            self.end_round();
        }
    }

    fn take_from_clients(&mut self) -> Option<()> {
        self.make_room();
        for slot in self.received.receive(&self.listener, BURST).ok()? {
            let session = self.received.source(slot).and_then(|client| self.sessions.get(&client));
            if let Some(session) = session.copied() {
                self.forward(slot, session, PEER.into());
            }
        }
        Some(())
    }

    /// Takes what a peer sent to a session; how many packets.
    fn take_from_peer(&mut self, session: u32) -> Option<usize> {
        self.make_room();
        let client = *self.clients.get(session as usize)?;
        let slots = self.received.receive(self.relays.get(session as usize)?, BURST).ok()?;
        for slot in slots.clone() {
            self.forward(slot, LISTENER, client);
        }
        Some(slots.len())
    }

    fn forward(&mut self, slot: usize, socket: u32, to: SocketAddr) {
        let payload = self.received.payload(slot);
        if let Some(packet) = self.received.memory().packet(slot, payload.start, payload.end) {
            // There is room for as many as are in hand.
            self.leaving.push(Datagram { socket, to, from: None, packet, dont_fragment: false });
        }
    }

    fn make_room(&mut self) {
        if self.received.free() < BURST {
            self.end_round();
        }
    }

    fn end_round(&mut self) {
        let (listener, relays) = (&self.listener, &self.relays);
        let memory: &PacketMemory = self.received.memory();
        self.leaving.flush(memory, |number| match number {
            LISTENER => Some(listener.as_fd()),
            session => relays.get(session as usize).map(UdpSocket::as_fd),
        });
        self.received.clear();
    }
}
