use std::collections::{BTreeMap, HashSet, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use turn::{
    AnswerBudget, AnswerLimits, Client, DropReason, Event, Forward, HEADROOM, IcmpError, Ledger, Lifetimes,
    Limits, Monotonic, Now, OpenError, Output, PeerAddr, PeerPolicy, Quota, QuotaTicket, Realm, Redirect,
    RelayAddress, RelayAddresses, RelayId, Settings, Shortcut, Span, TAILROOM, Turn, UnixSeconds, WorkerId,
};

use turn::credentials::{Secret, UserId};

use super::store::{Remains, Store};
use super::{REALM, at};

/// When every test begins.
pub const START: Now =
    Now { monotonic: Monotonic::from_nanos(1_000_000_000), unix: UnixSeconds::new(1_800_000_000) };

/// The secret of time-limited credentials in every test.
pub const SECRET: &str = "a secret of the tests, long enough";

/// Settings that refuse nothing that a well-behaved client does.
pub fn settings() -> Settings {
    let plenty = Quota { allocations: 1000, permissions: 1000, channels: 1000, bits_per_second: None };
    Settings {
        realm: Realm::new(REALM).unwrap(),
        software: None,
        credentials: credentials(&[SECRET]),
        nonces: turn::Nonces::new(vec![[7; 32]], 600, true),
        lifetimes: Lifetimes::default(),
        policy: PeerPolicy::new(vec![], vec![], vec!["203.0.113.1".parse().unwrap()]),
        limits: Limits { user: plenty, total: plenty, answers: AnswerLimits::default() },
        redirect: Redirect::default(),
        revocations: Arc::default(),
        asks_quota: false,
    }
}

/// Alice, Bob, and whoever has a name under one of `secrets`.
pub fn credentials(secrets: &[&str]) -> turn::Credentials {
    turn::Credentials::new(
        &Realm::new(REALM).unwrap(),
        &[("alice", "wonderland"), ("bob", "builder")],
        secrets.iter().map(|secret| Secret::new(secret.as_bytes()).unwrap()).collect(),
    )
    .unwrap()
}

/// Where relayed addresses are, unless a test says otherwise.
pub fn relay_addresses() -> RelayAddresses {
    let same = |ip| RelayAddress { bind: ip, advertised: ip };
    let [v4, v6] = ["203.0.113.1:0", "[2001:db8:1::1]:0"].map(|address| Some(same(at(address).ip())));
    RelayAddresses { v4, v6 }
}

/// Something that left the relay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// A datagram to a peer, from a relayed address as it was bound.
    AtPeer {
        from: SocketAddr,
        peer: SocketAddr,
        payload: Vec<u8>,
        dont_fragment: bool,
        shortcut: Option<Shortcut>,
    },
    /// A packet to a client.
    AtClient { client: SocketAddr, packet: Vec<u8> },
}

/// A datagram from a peer as the client gets it: nothing, or the bytes of one packet.
pub type FromPeer = Option<(SocketAddr, Vec<u8>)>;

/// One worker's core and the driver around it.
pub struct Relay {
    pub turn: Turn,
    id: WorkerId,
    pub ledger: Arc<Ledger>,
    pub now: Now,
    /// Sockets that are open, by their bound address.
    pub sockets: BTreeMap<SocketAddr, RelayId>,
    /// The same the other way round, at the place that each one's index says, as a driver keeps them.
    bound: Vec<Option<(RelayId, SocketAddr)>>,
    /// Ports that something else on the node holds.
    pub busy: HashSet<u16>,
    /// Set to fail every further socket.
    pub exhausted: bool,
    /// How the next sockets fail, on IPv4 and on IPv6 addresses.
    pub failing: [VecDeque<OpenError>; 2],
    pub events: Vec<Event>,
    /// What the fleet answers at once, if it does.
    pub fleet: Option<bool>,
    /// What the fleet was asked, and has not answered yet.
    pub questions: Vec<(QuotaTicket, UserId)>,
    /// What its driver keeps of it.
    store: Arc<Mutex<Store>>,
}

impl Seen {
    /// What went to a peer, as (relayed address, peer, payload).
    pub fn at_peer(&self) -> (SocketAddr, SocketAddr, &[u8]) {
        match self {
            Self::AtPeer { from, peer, payload, .. } => (*from, *peer, payload),
            Self::AtClient { .. } => panic!("went to a client: {self:?}"),
        }
    }

    /// What went to a client.
    pub fn at_client(&self) -> (SocketAddr, &[u8]) {
        match self {
            Self::AtClient { client, packet } => (*client, packet),
            Self::AtPeer { .. } => panic!("went to a peer: {self:?}"),
        }
    }

    /// The way past the kernel of what went to a relayed address of another worker.
    pub fn by_shortcut(&self) -> Shortcut {
        match self {
            Self::AtPeer { shortcut: Some(shortcut), .. } => *shortcut,
            _ => panic!("went to no other worker: {self:?}"),
        }
    }
}

/// What stands around packets before the core writes there.
const ROOM: u8 = 0xAA;

/// A packet as a driver hands it in, and its place.
pub fn with_room(packet: &[u8]) -> (Vec<u8>, Span) {
    let buffer = [&[ROOM; HEADROOM], packet, &[ROOM; TAILROOM]].concat();
    (buffer, Span { start: HEADROOM, end: HEADROOM + packet.len() })
}

impl Relay {
    pub fn new() -> Self {
        Self::with(settings())
    }

    pub fn with(settings: Settings) -> Self {
        Self::on_ports(settings, 50000..=59999)
    }

    pub fn on_ports(settings: Settings, ports: std::ops::RangeInclusive<u16>) -> Self {
        Self::beside(settings, Arc::new(Ledger::new(relay_addresses(), ports)), 1)
    }

    /// On other addresses.
    pub fn on_addresses(settings: Settings, addresses: RelayAddresses) -> Self {
        Self::beside(settings, Arc::new(Ledger::new(addresses, 50000..=59999)), 1)
    }

    /// Worker number `worker` of the node that has `ledger`.
    pub fn beside(settings: Settings, ledger: Arc<Ledger>, worker: u8) -> Self {
        let budget = Arc::new(AnswerBudget::new([worker; 32]));
        Self::sharing(settings, ledger, budget, worker)
    }

    /// Worker number `worker` of the node that has `ledger` and `budget`.
    pub fn sharing(settings: Settings, ledger: Arc<Ledger>, budget: Arc<AnswerBudget>, worker: u8) -> Self {
        let id = WorkerId(worker.into());
        Self {
            turn: Turn::new(Arc::new(settings), Arc::clone(&ledger), budget, id, [worker; 32]),
            id,
            ledger,
            now: START,
            sockets: BTreeMap::new(),
            bound: Vec::new(),
            busy: HashSet::new(),
            exhausted: false,
            failing: Default::default(),
            events: Vec::new(),
            fleet: None,
            questions: Vec::new(),
            store: Arc::default(),
        }
    }

    /// The same, and its driver keeps what it says in `store`.
    pub fn recording(self, store: &Arc<Mutex<Store>>) -> Self {
        let tallies = store.lock().unwrap().add(self.id);
        Self { turn: self.turn.recording(tallies), store: Arc::clone(store), ..self }
    }

    /// What its node would leave behind if it were killed now.
    pub fn left_behind(&self) -> Remains {
        self.store.lock().unwrap().remains()
    }

    /// Lets time pass, with the timers that run out.
    pub fn wait(&mut self, duration: Duration) -> Vec<Seen> {
        self.now = self.now.after(duration);
        let mut seen = Vec::new();
        loop {
            self.turn.timeout(self.now);
            seen.extend(self.drain());
            if self.turn.next_timeout().is_none_or(|due| due > self.now.monotonic) {
                return seen;
            }
        }
    }

    /// Goes on under other settings.
    pub fn apply(&mut self, settings: Settings) {
        self.turn.apply(self.now, Arc::new(settings));
    }

    /// A packet from a client.
    pub fn packet(&mut self, client: &Client, packet: &[u8]) -> Vec<Seen> {
        let (mut buffer, span) = with_room(packet);
        let forward = self.turn.client_packet(self.now, client, &mut buffer, span);
        let padded = span.start + packet.len().next_multiple_of(4);
        assert!(buffer[padded..].iter().all(|byte| *byte == ROOM), "a stream's next frame lies there");
        let mut seen = self.drain();
        match forward {
            Forward::Nothing => {}
            Forward::ToPeer { relay, peer, payload, dont_fragment, shortcut } => seen.push(Seen::AtPeer {
                from: self.local(relay),
                peer: peer.get(),
                payload: buffer[payload.range()].to_vec(),
                dont_fragment,
                shortcut,
            }),
            Forward::ToClient { client, packet } => seen.push(Seen::AtClient {
                client: client.five_tuple.client.get(),
                packet: buffer[packet.range()].to_vec(),
            }),
        }
        seen
    }

    /// A packet from a client, without doing what the core asks for next.
    pub fn packet_alone(&mut self, client: &Client, packet: &[u8]) {
        let (mut buffer, span) = with_room(packet);
        assert_eq!(self.turn.client_packet(self.now, client, &mut buffer, span), Forward::Nothing);
    }

    /// A datagram from `peer` to the relayed address `relayed`.
    pub fn peer_sends(&mut self, peer: SocketAddr, relayed: SocketAddr, payload: &[u8]) -> FromPeer {
        let relay = *self.sockets.get(&relayed)?;
        let (mut buffer, span) = with_room(payload);
        let forward = self.turn.peer_packet(self.now, relay, PeerAddr::new(peer), &mut buffer, span);
        self.at_client(forward, &buffer)
    }

    /// What another worker's relayed address sends past the kernel.
    pub fn shortcut(&mut self, shortcut: Shortcut, payload: &[u8]) -> FromPeer {
        assert_eq!(shortcut.worker(), self.id);
        let (mut buffer, span) = with_room(payload);
        let forward = self.turn.shortcut_packet(self.now, shortcut, &mut buffer, span);
        self.at_client(forward, &buffer)
    }

    fn at_client(&mut self, forward: Forward, buffer: &[u8]) -> FromPeer {
        assert!(self.drain().is_empty(), "a relayed packet has no other output");
        match forward {
            Forward::ToClient { client, packet } => {
                Some((client.five_tuple.client.get(), buffer[packet.range()].to_vec()))
            }
            Forward::Nothing => None,
            Forward::ToPeer { .. } => panic!("a peer's packet went to a peer"),
        }
    }

    /// Whether every socket, timer, port, user and peer of the past is gone.
    pub fn is_empty(&self) -> bool {
        let stats = self.turn.stats();
        (self.turn.allocations(), self.sockets.len(), self.ledger.users()) == (0, 0, 0)
            && self.turn.next_timeout().is_none()
            && (stats.permissions, stats.channels) == (0, 0)
            && stats.allocations_created + stats.allocations_restored == stats.allocations_closed
    }

    /// How often something was dropped for `reason`.
    pub fn dropped(&self, reason: DropReason) -> u64 {
        self.turn.stats().dropped(reason)
    }

    /// An ICMP error for a packet from `relayed` to `peer`.
    pub fn icmp(&mut self, peer: SocketAddr, relayed: SocketAddr, error: IcmpError) -> Vec<Seen> {
        let relay = self.sockets[&relayed];
        self.turn.peer_icmp(self.now, relay, PeerAddr::new(peer), error);
        self.drain()
    }

    /// Where a socket is bound that is open.
    fn local(&self, relay: RelayId) -> SocketAddr {
        let bound = self.bound.get(relay.index()).copied().flatten();
        bound.filter(|(id, _)| *id == relay).expect("an open socket").1
    }

    /// Does what the core asks for.
    pub fn drain(&mut self) -> Vec<Seen> {
        let mut seen = Vec::new();
        loop {
            let opened = match self.turn.poll_output() {
                None => return seen,
                Some(Output::ToClient { client, packet }) => {
                    seen.push(Seen::AtClient {
                        client: client.five_tuple.client.get(),
                        packet: packet.to_vec(),
                    });
                    continue;
                }
                Some(Output::AskQuota { ticket, user }) => {
                    match self.fleet {
                        Some(granted) => self.turn.quota_answered(self.now, ticket, granted),
                        None => self.questions.push((ticket, user)),
                    }
                    continue;
                }
                Some(Output::Record(change)) => {
                    self.store.lock().unwrap().keep(self.id, change);
                    continue;
                }
                Some(Output::Event(event)) => {
                    self.events.push(event);
                    continue;
                }
                Some(Output::CloseRelay { relay }) => {
                    let local = self.local(relay);
                    self.bound[relay.index()] = None;
                    self.sockets.remove(&local);
                    continue;
                }
                Some(Output::OpenRelay { relay, local }) => (relay, local),
            };
            let (relay, local) = opened;
            let failing = &mut self.failing[usize::from(local.is_ipv6())];
            let result = if let Some(error) = failing.pop_front() {
                Err(error)
            } else if self.exhausted {
                Err(OpenError::Exhausted)
            } else if self.busy.contains(&local.port()) || self.sockets.contains_key(&local) {
                Err(OpenError::InUse)
            } else {
                self.sockets.insert(local, relay);
                if self.bound.len() <= relay.index() {
                    self.bound.resize(relay.index() + 1, None);
                }
                self.bound[relay.index()] = Some((relay, local));
                Ok(())
            };
            self.turn.relay_opened(self.now, relay, result);
        }
    }
}
