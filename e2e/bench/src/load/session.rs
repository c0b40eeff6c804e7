//! The sessions that traffic goes through, and how they are opened.

use std::{
    net::{Ipv4Addr, SocketAddrV4},
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
};
use stun::{Message, TransactionId, attribute::ChannelNumber};

use super::{Dialogue, DialogueError, Sockets, dialogue::Request};
use crate::{
    datagrams::{ReceiveBatch, SendBatch},
    lab::{PEER, SERVER, client_address},
};

/// How data travels between client and server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// As ChannelData.
    Channel(ChannelNumber),
    /// As it is: the bare forwarder knows no TURN.
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

/// How far a session is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// Just the allocation.
    Allocation,
    /// The allocation, a permission and a channel to the peer.
    Channel,
}

/// The channel of every client.
const CHANNEL: u16 = 0x4001;
/// The first retransmission comes after this time (RFC 8489 section 6.2.1).
const RETRANSMISSION: Duration = Duration::from_millis(500);
/// A request is sent so many times at most.
const ATTEMPTS: u32 = 4;

/// Opens `count` sessions for clients from number `first` on, one after the other.
pub fn open_sessions(
    sockets: &Sockets,
    first: u32,
    count: u32,
    depth: Depth,
) -> Result<Vec<Session>, DialogueError> {
    let channel = ChannelNumber::new(CHANNEL).ok_or(DialogueError::Nonsense("ChannelBind"))?;
    let mut exchange = Exchange::new(sockets);
    let mut sessions = Vec::with_capacity(count as usize);
    for number in first..first + count {
        let client = client_address(number);
        let mut dialogue = Dialogue::default();
        exchange.complete(client, &mut dialogue, Request::Challenge)?;
        let relayed = exchange.complete(client, &mut dialogue, Request::Allocate)?;
        let relayed = relayed.ok_or(DialogueError::Nonsense("Allocate"))?;
        if depth == Depth::Channel {
            exchange.complete(client, &mut dialogue, Request::Permission(PEER))?;
            exchange.complete(client, &mut dialogue, Request::Channel(channel, PEER))?;
        }
        sessions.push(Session { client, relayed, framing: Framing::Channel(channel) });
    }
    Ok(sessions)
}

/// Whether a server answers within a moment: the first client asks for its challenge.
pub fn is_answering(sockets: &Sockets) -> bool {
    const MOMENT: Duration = Duration::from_millis(50);
    let mut exchange = Exchange { patience: MOMENT, attempts: 1, ..Exchange::new(sockets) };
    exchange.complete(client_address(0), &mut Dialogue::default(), Request::Challenge).is_ok()
}

/// Requests and their answers, one at a time.
struct Exchange<'a> {
    sockets: &'a Sockets,
    out: SendBatch,
    inbox: ReceiveBatch,
    serial: u32,
    patience: Duration,
    attempts: u32,
}

impl<'a> Exchange<'a> {
    fn new(sockets: &'a Sockets) -> Self {
        Self {
            sockets,
            out: SendBatch::default(),
            inbox: ReceiveBatch::default(),
            serial: 0,
            patience: RETRANSMISSION,
            attempts: ATTEMPTS,
        }
    }

    /// Sends a request, again where no answer comes, and lets `dialogue` read the answer.
    fn complete(
        &mut self,
        client: Ipv4Addr,
        dialogue: &mut Dialogue,
        request: Request,
    ) -> Result<Option<SocketAddrV4>, DialogueError> {
        self.serial += 1;
        let mut id = [0; 12];
        for (to, from) in id.iter_mut().zip(client.octets().into_iter().chain(self.serial.to_be_bytes())) {
            *to = from;
        }
        let id = TransactionId::new(id);
        for _ in 0..self.attempts {
            let mut written = Ok(0);
            self.out.push(SERVER, Some(client), |buffer| {
                written = dialogue.write(buffer, request, id);
                *written.as_ref().unwrap_or(&0)
            });
            written.map_err(|_| DialogueError::Nonsense(request.name()))?;
            self.out.send(self.sockets.clients())?;
            let deadline = Instant::now() + self.patience;
            while self.wait(deadline)? {
                self.inbox.receive(self.sockets.clients())?;
                let answers = self.inbox.iter().filter_map(|datagram| Message::parse(datagram.bytes).ok());
                for answer in answers {
                    if answer.transaction_id() == id {
                        return dialogue.read(request, &answer);
                    }
                }
            }
        }
        Err(DialogueError::Silence(request.name()))
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
