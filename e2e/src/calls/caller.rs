//! One client with its allocation, through which it talks with a peer, and every request that it makes.

use std::collections::HashSet;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use stun::attribute::{AddressFamily, ChannelNumber};
use turn_client::{
    Allocate, Client, Credential, Event, Path, Request, Success, channel_data, send_indication,
};

use super::flow::Flow;
use super::packet::{self, PAYLOAD};
use crate::credential;
use crate::network::{Family, Party};
use crate::relay::Relay;
use crate::request;
use crate::transport::Transport;

const CHANNEL: ChannelNumber = ChannelNumber::FIRST;
/// How long the setup of a call may wait for one answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a call is like.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    /// Through a channel, or else in indications.
    pub channel: bool,
    /// Of the client's address and of the relayed one.
    pub family: Family,
    /// Whether the client's socket is connected to the relay: then it is told of ICMP errors.
    pub connected: bool,
    /// Whether the client is older than RFC 8489, as browsers are.
    pub classic: bool,
}

/// A client in a call.
#[derive(Debug)]
pub struct Caller {
    kind: Kind,
    client: Client,
    socket: UdpSocket,
    relay: SocketAddr,
    peer: SocketAddr,
    relayed: SocketAddr,
    /// A packet to the peer but for what tells it from others, which stands at its end.
    packet: Vec<u8>,
    /// What it has sent to the peer.
    pub up: Flow,
    /// What the peer has sent to it.
    pub down: Flow,
    requests: Requests,
}

/// What a client has asked for since its call began.
#[derive(Clone, Debug, Default)]
pub struct Requests {
    /// Of all transactions, the ids.
    known: HashSet<Vec<u8>>,
    /// Requests that were due.
    pub planned: u32,
    /// Further transactions, such as another try with a new nonce.
    pub unplanned: u32,
    /// Requests that were sent again since no answer had come.
    pub repeated: u32,
    /// Requests that came to nothing, and why.
    pub failed: Vec<String>,
    /// ICMP errors that the socket has told.
    pub unreachable: u32,
}

impl Kind {
    /// The kinds in turn: half of the calls have a channel, of both half each family, and so on.
    pub(super) fn of(number: usize) -> Self {
        let bit = |place: usize| number >> place & 1 == 0;
        let family = if bit(1) { Family::V4 } else { Family::V6 };
        Self { channel: bit(0), family, connected: bit(2), classic: bit(3) }
    }
}

impl Caller {
    /// Allocates, and lets the peer in.
    pub(super) fn begin(
        kind: Kind,
        party: &Party,
        relay: &Relay<'_>,
        credential: &credential::Credential,
        peer: SocketAddr,
    ) -> Self {
        let relay = relay.address(Transport::Udp, kind.family);
        let socket = party.namespace.enter(|| UdpSocket::bind((party.address(kind.family), 0)));
        let socket = socket.expect("the party has this address");
        if kind.connected {
            socket.connect(relay).expect("it is routed");
        }
        let mut seed = [0; 32];
        seed[..12].copy_from_slice(request::next_id().as_bytes());
        let credential = Credential::new(&credential.username, &credential.password);
        let client = Client::new(Path::Datagrams, credential, seed);
        let client = if kind.classic { client.classic() } else { client };
        let packet = if kind.channel {
            channel_data(CHANNEL.get(), &[0; PAYLOAD], Path::Datagrams)
        } else {
            send_indication(request::next_id(), peer, &[0; PAYLOAD], false).expect("there is room")
        };
        let mut caller = Self {
            kind,
            client,
            socket,
            relay,
            peer,
            relayed: peer,
            packet,
            up: Flow::default(),
            down: Flow::default(),
            requests: Requests::default(),
        };
        let family = (kind.family == Family::V6).then_some(AddressFamily::V6);
        let allocated = caller.have(Request::Allocate(Allocate { family, ..Allocate::default() }));
        let Success::Allocated(allocation) = allocated else { panic!("it was an Allocate: {allocated:?}") };
        caller.relayed = allocation.relayed[0];
        for request in caller.upkeep().skip(1) {
            caller.have(request);
        }
        caller.socket.set_nonblocking(true).expect("a socket can be");
        caller.requests = Requests::default();
        caller
    }

    /// What has to be asked for from time to time while a call lasts.
    pub fn upkeep(&self) -> impl Iterator<Item = Request> + use<> {
        let peer = self.peer;
        let refresh = Request::Refresh { lifetime: 600 };
        let open = if self.kind.channel {
            Request::ChannelBind { channel: CHANNEL, peer }
        } else {
            Request::CreatePermission { peers: vec![peer] }
        };
        [refresh, open].into_iter()
    }

    /// What it is like.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The address that it sends from.
    pub fn local(&self) -> SocketAddr {
        self.socket.local_addr().expect("it is bound")
    }

    /// Where the peer sends to.
    pub fn relayed(&self) -> SocketAddr {
        self.relayed
    }

    /// What it has asked for.
    pub fn requests(&self) -> &Requests {
        &self.requests
    }

    pub(super) fn socket(&self) -> &UdpSocket {
        &self.socket
    }

    /// Sends the next packet of call `call` to the peer.
    pub(super) fn talk(&mut self, call: usize, now: Duration) {
        let number = self.up.send(now);
        let start = self.packet.len() - PAYLOAD;
        packet::write(&mut self.packet[start..], call, number);
        let packet = std::mem::take(&mut self.packet);
        self.transmit(&packet);
        self.packet = packet;
    }

    /// Takes in all that has come: packets of the call, and answers.
    pub(super) fn listen(&mut self, call: usize, begun: Instant) {
        let mut bytes = [0; 2048];
        loop {
            match self.socket.recv_from(&mut bytes) {
                Ok((length, from)) if from == self.relay => self.heard(call, begun, &bytes[..length]),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => self.requests.unreachable += 1,
            }
        }
    }

    fn heard(&mut self, call: usize, begun: Instant, bytes: &[u8]) {
        let payload = match self.client.receive(Instant::now(), bytes) {
            Some(Event::ChannelData { channel: CHANNEL, payload }) if self.kind.channel => payload,
            Some(Event::Data { peer, payload }) if peer == self.peer && !self.kind.channel => payload,
            Some(Event::Failed { request, failure }) => {
                return self.requests.failed.push(format!("{}: {failure}", request.name()));
            }
            Some(Event::Succeeded(_)) | None => {
                self.requests.unplanned += self.transmit_requests();
                return;
            }
            Some(other) => return self.requests.failed.push(format!("it was not asked for: {other:?}")),
        };
        let number = packet::number_in(payload, call);
        if !number.is_some_and(|number| self.down.arrive(begun.elapsed(), number)) {
            self.requests.failed.push("a packet of another call".to_owned());
        }
    }

    /// Asks for something that is due.
    pub(super) fn ask(&mut self, request: Request) {
        self.client.request(Instant::now(), request).expect("it fits into a packet");
        self.requests.planned += 1;
        self.requests.unplanned += self.transmit_requests() - 1;
    }

    /// Asks again what was not answered in time.
    pub(super) fn look_at_the_clock(&mut self) {
        while let Some(Event::Failed { request, failure }) = self.client.handle_timeout(Instant::now()) {
            self.requests.failed.push(format!("{}: {failure}", request.name()));
        }
        self.requests.unplanned += self.transmit_requests();
    }

    /// Sends the client's requests; how many of them are new transactions.
    fn transmit_requests(&mut self) -> u32 {
        let mut new = 0;
        while let Some(packet) = self.client.poll_packet() {
            let is_new = self.requests.known.insert(packet[8..20].to_vec());
            new += u32::from(is_new);
            self.requests.repeated += u32::from(!is_new);
            self.transmit(&packet);
        }
        new
    }

    fn transmit(&mut self, packet: &[u8]) {
        let send = || match self.kind.connected {
            true => self.socket.send(packet),
            false => self.socket.send_to(packet, self.relay),
        };
        // An ICMP error about an earlier datagram keeps this one back.
        if send().is_err() {
            self.requests.unreachable += 1;
            let _ = send();
        }
    }

    /// Asks and waits for what was asked for.
    fn have(&mut self, request: Request) -> Success {
        self.client.request(Instant::now(), request).expect("it fits into a packet");
        let end = Instant::now() + PATIENCE;
        let mut bytes = [0; 2048];
        loop {
            assert!(Instant::now() < end, "no answer in {PATIENCE:?}");
            self.transmit_requests();
            let due = self.client.next_timeout().expect("a request is under way");
            let wait = due.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
            self.socket.set_nonblocking(false).expect("a socket can be");
            self.socket.set_read_timeout(Some(wait)).expect("not zero");
            let event = match self.socket.recv(&mut bytes) {
                Ok(length) => self.client.receive(Instant::now(), &bytes[..length]),
                Err(_) => self.client.handle_timeout(Instant::now()),
            };
            match event {
                Some(Event::Succeeded(success)) => return success,
                Some(Event::Failed { request, failure }) => panic!("{request:?}: {failure}"),
                _ => {}
            }
        }
    }

    /// Ends the allocation.
    pub(super) fn leave(&mut self) {
        self.have(Request::Refresh { lifetime: 0 });
    }
}
