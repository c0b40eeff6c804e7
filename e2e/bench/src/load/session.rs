//! The sessions that traffic goes through, and how they are opened.

use std::{
    net::{Ipv4Addr, SocketAddr, SocketAddrV4},
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
};
use stun::attribute::ChannelNumber;
use turn_client::{Allocate, Client, Credential, Event, Failure, Path, Request, Success, Timing};

use super::Sockets;
use crate::{
    datagrams::{ReceiveBatch, SendBatch},
    lab::{PEER, SERVER, client_address},
    server::{PASSWORD, USERNAME},
};

/// How data travels between client and server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// As ChannelData.
    Channel(ChannelNumber),
    /// As it is: a bare forwarder knows no TURN.
    Bare,
}

/// One client with its allocation.
#[derive(Clone, Copy, Debug)]
pub struct Session {
    /// The address that the client sends from.
    pub client: Ipv4Addr,
    /// Where the peer sends to.
    pub relayed: SocketAddrV4,
    /// How the client packs its data.
    pub framing: Framing,
}

/// Why a client's request came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum DialogueError {
    /// The server's answer, or that there is none.
    #[error("{request}: {failure}")]
    Failed {
        /// What was asked for.
        request: &'static str,
        /// Why not.
        failure: Failure,
    },
    /// The relayed address is of no use here.
    #[error("the server gave out {0}, which is not IPv4")]
    Relayed(SocketAddr),
    /// A socket of the load failed.
    #[error("the load's socket failed: {0}")]
    Socket(#[from] std::io::Error),
}

/// The channel of every client.
const CHANNEL: ChannelNumber = ChannelNumber::FIRST;

/// What every client logs in with.
pub(super) fn credential() -> Credential {
    Credential::new(USERNAME, PASSWORD)
}

/// A seed that no other client of this run has. Nobody forges answers here, so it need not be secret.
fn seed() -> [u8; 32] {
    static SERIAL: AtomicU64 = AtomicU64::new(0);
    let mut seed = [0; 32];
    if let Some(start) = seed.first_chunk_mut() {
        *start = SERIAL.fetch_add(1, Ordering::Relaxed).to_be_bytes();
    }
    seed
}

/// Opens sessions of clients number 0 to `count`, one after the other: just the allocation.
pub fn open_allocations(sockets: &Sockets, count: u32) -> Result<Vec<Session>, DialogueError> {
    let mut exchange = Exchange::new(sockets);
    (0..count).map(|number| Ok(exchange.allocate(number)?.0)).collect()
}

/// The same with a permission and a channel to the peer for each.
pub fn open_channels(sockets: &Sockets, count: u32) -> Result<Vec<Session>, DialogueError> {
    let mut exchange = Exchange::new(sockets);
    let mut open = |number| {
        let (session, mut client) = exchange.allocate(number)?;
        exchange.bind(&session, &mut client, PEER)?;
        Ok(session)
    };
    (0..count).map(&mut open).collect()
}

/// Opens `count` pairs: clients 2n and 2n + 1 each have a channel to the other one's relayed address.
pub fn open_pairs(sockets: &Sockets, count: u32) -> Result<Vec<Session>, DialogueError> {
    let mut exchange = Exchange::new(sockets);
    let mut sessions = Vec::with_capacity(2 * count as usize);
    for number in 0..count {
        let (one, mut ones) = exchange.allocate(2 * number)?;
        let (other, mut others) = exchange.allocate(2 * number + 1)?;
        exchange.bind(&one, &mut ones, other.relayed)?;
        exchange.bind(&other, &mut others, one.relayed)?;
        sessions.extend([one, other]);
    }
    Ok(sessions)
}

/// Whether a TURN server answers within a moment.
pub fn is_answering(sockets: &Sockets) -> bool {
    const MOMENT: Duration = Duration::from_millis(50);
    let timing = Timing { first: MOMENT, transmissions: 1, last: MOMENT, stream: MOMENT };
    let mut client = Client::new(Path::Datagrams, credential(), seed()).with_timing(timing);
    Exchange::new(sockets).ask(client_address(0), &mut client, Request::Binding).is_ok()
}

/// Requests and their answers, one at a time.
struct Exchange<'a> {
    sockets: &'a Sockets,
    out: SendBatch,
    inbox: ReceiveBatch,
}

impl<'a> Exchange<'a> {
    fn new(sockets: &'a Sockets) -> Self {
        Self { sockets, out: SendBatch::default(), inbox: ReceiveBatch::default() }
    }

    /// Opens the allocation of client `number`.
    fn allocate(&mut self, number: u32) -> Result<(Session, Client), DialogueError> {
        let address = client_address(number);
        // Browsers are classic clients, and turn-rs takes no other.
        let mut client = Client::new(Path::Datagrams, credential(), seed()).classic();
        let success = self.ask(address, &mut client, Request::Allocate(Allocate::default()))?;
        let relayed = match success {
            Success::Allocated(allocation) => allocation.relayed.into_iter().next(),
            _ => None,
        };
        match relayed {
            Some(SocketAddr::V4(relayed)) => {
                let framing = Framing::Channel(CHANNEL);
                Ok((Session { client: address, relayed, framing }, client))
            }
            // The client gives out no allocation without an address.
            other => Err(DialogueError::Relayed(other.unwrap_or(SERVER.into()))),
        }
    }

    /// Lets a session's client and `peer` send to each other.
    fn bind(
        &mut self,
        session: &Session,
        client: &mut Client,
        peer: SocketAddrV4,
    ) -> Result<(), DialogueError> {
        let peer = peer.into();
        self.ask(session.client, client, Request::CreatePermission { peers: vec![peer] })?;
        self.ask(session.client, client, Request::ChannelBind { channel: CHANNEL, peer })?;
        Ok(())
    }

    /// Asks for `request` from `address` until it is answered.
    fn ask(
        &mut self,
        address: Ipv4Addr,
        client: &mut Client,
        request: Request,
    ) -> Result<Success, DialogueError> {
        let name = request.name();
        let failed = |failure| DialogueError::Failed { request: name, failure };
        client.request(Instant::now(), request).map_err(|full| failed(full.into()))?;
        loop {
            while let Some(packet) = client.poll_packet() {
                self.out.push(SERVER, Some(address), |buffer| fill(buffer, &packet));
                self.out.send(self.sockets.clients())?;
            }
            // There is always one while a request is under way.
            let deadline = client.next_timeout().unwrap_or_else(Instant::now);
            let outcome = if self.wait(deadline)? {
                self.inbox.receive(self.sockets.clients())?;
                let now = Instant::now();
                self.inbox.iter().find_map(|packet| outcome(client.receive(now, packet.bytes)))
            } else {
                outcome(client.handle_timeout(Instant::now()))
            };
            match outcome {
                Some(outcome) => return outcome.map_err(failed),
                None => continue,
            }
        }
    }

    /// Waits until there is something to receive, or until the deadline; whether there is.
    fn wait(&self, deadline: Instant) -> Result<bool, DialogueError> {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() };
        let clients = self.sockets.clients();
        match poll(&mut [PollFd::new(&clients, PollFlags::IN)], Some(&timeout)) {
            Ok(ready) => Ok(ready > 0),
            Err(Errno::INTR) => Ok(true),
            Err(error) => Err(std::io::Error::from(error).into()),
        }
    }
}

fn outcome(event: Option<Event<'_>>) -> Option<Result<Success, Failure>> {
    match event? {
        Event::Succeeded(success) => Some(Ok(success)),
        Event::Failed { failure, .. } => Some(Err(failure)),
        _ => None,
    }
}

fn fill(buffer: &mut [u8], packet: &[u8]) -> usize {
    // Both ends are as long.
    if let Some(place) = buffer.get_mut(..packet.len()) {
        place.copy_from_slice(packet);
    }
    packet.len()
}
