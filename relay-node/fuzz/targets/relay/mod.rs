//! A node of two workers, each a core with its driver, for targets that feed it: it does what the cores
//! ask for and checks that they ask for nothing odd.

#![allow(dead_code, reason = "each target uses its own part")]

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use stun::attribute::{AlternateServer, ChannelNumber, ErrorCode, ReservationToken, XorPeerAddress};
use stun::{ChannelData, Class, Message, MessageWriter, Method, TransactionId};
use turn::credentials::{Secret, UserId};
use turn::nonce::NonceKind;
use turn::{
    AddressFamily, Alternate, Alternates, AnswerBudget, AnswerLimits, Client, ClientAddr, Credentials,
    DropReason, Entrance, FiveTuple, Forward, HEADROOM, Ledger, Lifetimes, Limits, Monotonic, Nonces, Now,
    OpenError, Output, PathId, PeerAddr, PeerPolicy, Quota, QuotaTicket, Realm, Redirect, RelayAddress,
    RelayAddresses, RelayId, Revoked, ServerAddr, Settings, Shortcut, Span, TAILROOM, Transport, Turn,
    UnixSeconds, WorkerId,
};

/// When everything begins.
pub const START: Now =
    Now { monotonic: Monotonic::from_nanos(1_000_000_000), unix: UnixSeconds::new(1_800_000_000) };
/// The realm of the credentials.
pub const REALM: &str = "example.org";
/// The secret of time-limited names.
pub const SECRET: &[u8] = b"a secret of sixteen";
/// Allocations that the quota leaves room for.
pub const MOST_ALLOCATIONS: usize = 3;
/// Ports for relayed addresses: few, so that they run out.
const PORTS: std::ops::RangeInclusive<u16> = 50000..=50007;

static SETTINGS: LazyLock<Arc<Settings>> = LazyLock::new(|| settings(false, false));

/// The settings, of a node that asks the fleet about quotas or does not, with a user revoked or not.
pub fn settings(asks_quota: bool, without_carol: bool) -> Arc<Settings> {
    let realm = Realm::new(REALM).expect("a realm");
    let secrets = vec![Secret::new(SECRET).expect("it is long enough")];
    let users = [("alice", "wonderland"), ("bob", "builder")];
    let quota =
        |allocations| Quota { allocations, permissions: 6, channels: 4, bits_per_second: Some(100_000) };
    Arc::new(Settings {
        credentials: Credentials::new(&realm, &users, secrets).expect("plain names"),
        realm,
        software: Some("edgerelay".to_owned()),
        nonces: Nonces::new(vec![[7; 32]], 600, false),
        lifetimes: Lifetimes::default(),
        policy: PeerPolicy::new(vec![], vec![], vec!["203.0.113.1".parse().expect("an address")]),
        limits: Limits {
            user: quota(2),
            total: quota(MOST_ALLOCATIONS as u32),
            answers: AnswerLimits { per_source_bytes_per_second: 5_000, total_bytes_per_second: 10_000 },
        },
        redirect: Redirect::default(),
        revocations: Arc::new(
            without_carol.then(|| Revoked::User(UserId::time_limited("carol"))).into_iter().collect(),
        ),
        asks_quota,
    })
}

/// Two nodes that clients may be sent to, one of which is this one.
pub fn alternates() -> Arc<Alternates> {
    let node = |ip: &str, own| Alternate {
        addresses: [Transport::Udp, Transport::Tcp, Transport::Tls]
            .map(|transport| (transport, SocketAddr::new(ip.parse().expect("an address"), 3478)))
            .to_vec(),
        domain: Some("relay.example.org".into()),
        certificate_covers: vec![ip.parse().expect("an address")],
        room: 3,
        chosen: Arc::default(),
        own,
    };
    Arc::new(Alternates::new(vec![
        node("203.0.113.99", true),
        node("203.0.113.11", false),
        node("2001:db8:1::11", false),
    ]))
}

fn relay_addresses() -> RelayAddresses {
    let at = |ip: &str| {
        let ip = ip.parse().expect("an address");
        Some(RelayAddress { bind: ip, advertised: ip })
    };
    RelayAddresses { v4: at("203.0.113.1"), v6: at("2001:db8:1::1") }
}

/// Packets between workers that wait at most; one more is lost.
const MOST_MAIL: usize = 8;

/// What workers share, and what is on its way from one to the other.
pub struct Node {
    pub workers: [Relay; 2],
    mail: VecDeque<Mail>,
    ledger: Arc<Ledger>,
}

/// A packet from a relayed address of one worker to one of the other.
struct Mail {
    shortcut: Shortcut,
    from: SocketAddr,
    to: SocketAddr,
    payload: Vec<u8>,
}

impl Node {
    pub fn new() -> Self {
        let ledger = Arc::new(Ledger::new(relay_addresses(), PORTS));
        let budget = Arc::new(AnswerBudget::new([1; 32]));
        let workers = [0, 1].map(|number| Relay::new(number, Arc::clone(&ledger), Arc::clone(&budget)));
        Self { workers, mail: VecDeque::new(), ledger }
    }

    /// A packet from a client to one of the workers.
    pub fn client_packet(&mut self, worker: usize, client: &Client, packet: &[u8]) {
        let mail = self.workers[worker].client_packet(client, packet);
        self.mail.extend(mail);
        self.mail.truncate(MOST_MAIL);
        assert!(self.allocations() <= MOST_ALLOCATIONS);
    }

    /// The oldest packet between workers arrives.
    pub fn deliver(&mut self) {
        if let Some(mail) = self.mail.pop_front() {
            self.workers[usize::from(mail.shortcut.worker().0)].deliver(&mail);
        }
    }

    /// Lets time pass.
    pub fn wait(&mut self, duration: Duration) {
        self.workers.iter_mut().for_each(|worker| worker.wait(duration));
    }

    pub fn allocations(&self) -> usize {
        self.workers.iter().map(|worker| worker.turn.allocations()).sum()
    }

    /// The last token for a reserved port that was given out.
    pub fn token(&self) -> Option<ReservationToken> {
        self.workers.iter().find_map(|worker| worker.token)
    }

    /// Sockets that are open, each with its worker, in an order that a run repeats.
    pub fn open(&self) -> Vec<(usize, RelayId, SocketAddr)> {
        let all = self.workers.iter().enumerate();
        let all = all.flat_map(|(number, worker)| worker.open.iter().map(move |(id, at)| (number, *id, *at)));
        let mut all: Vec<_> = all.collect();
        all.sort_unstable();
        all.into_iter().map(|(number, id, at)| (number, RelayId::from_u64(id), at)).collect()
    }

    /// Ends everything and checks that nothing is left.
    pub fn end(mut self) {
        self.workers.iter_mut().for_each(Relay::end);
        while !self.mail.is_empty() {
            self.deliver();
        }
        assert_eq!(self.ledger.users(), 0, "quotas");
        self.ledger.expire(self.workers[0].now.monotonic);
        for port in PORTS {
            for family in AddressFamily::BOTH {
                let kept = self.ledger.holder(family, turn::RelayPort::new(port)).is_some();
                assert!(!kept, "port {port}");
            }
        }
    }
}

/// A worker's core, its time, and the sockets that it has.
pub struct Relay {
    pub turn: Turn,
    pub now: Now,
    /// Sockets that are open, by [`RelayId::to_u64`].
    pub open: HashMap<u64, SocketAddr>,
    /// The last token for a reserved port that was given out.
    token: Option<ReservationToken>,
    /// Sockets that are asked for.
    asked: Vec<(RelayId, SocketAddr)>,
    /// What the fleet was asked.
    questions: VecDeque<QuotaTicket>,
    number: WorkerId,
}

impl Relay {
    fn new(number: u16, ledger: Arc<Ledger>, budget: Arc<AnswerBudget>) -> Self {
        let number = WorkerId(number);
        Self {
            turn: Turn::new(Arc::clone(&SETTINGS), ledger, budget, number, [1; 32]),
            now: START,
            open: HashMap::new(),
            token: None,
            asked: Vec::new(),
            questions: VecDeque::new(),
            number,
        }
    }

    /// A packet from a client; what it becomes for the other worker, if anything.
    fn client_packet(&mut self, client: &Client, packet: &[u8]) -> Option<Mail> {
        let (mut buffer, span) = with_room(packet);
        let mut mail = None;
        match self.turn.client_packet(self.now, client, &mut buffer, span) {
            Forward::Nothing => {}
            Forward::ToPeer { relay, peer, payload, shortcut, .. } => {
                let from = *self.open.get(&relay.to_u64()).expect("from a socket that is open");
                assert!(
                    span.start <= payload.start && payload.start <= payload.end && payload.end <= span.end
                );
                let payload = buffer[payload.range()].to_vec();
                mail = shortcut.map(|shortcut| Mail { shortcut, from, to: peer.get(), payload });
                match shortcut {
                    None => assert!(SETTINGS.policy.check(peer.ip()).is_ok(), "to {peer}"),
                    Some(shortcut) => {
                        assert_ne!(shortcut.worker(), self.number, "its own goes to the client")
                    }
                }
            }
            // To a relayed address of this very worker.
            Forward::ToClient { client, packet } => self.check_for_client(&client, &buffer[packet.range()]),
        }
        let behind = span.start + packet.len().next_multiple_of(4);
        assert!(buffer[behind..].iter().all(|byte| *byte == ROOM), "a stream's next frame lies there");
        self.drain();
        mail
    }

    /// A packet of the other worker's, past the kernel and then once more through it: both end alike.
    fn deliver(&mut self, mail: &Mail) {
        let over_bandwidth = self.turn.stats().dropped(DropReason::Bandwidth);
        let (mut buffer, span) = with_room(&mail.payload);
        let forward = self.turn.shortcut_packet(self.now, mail.shortcut, &mut buffer, span);
        let past = self.taken_by_client(forward, &buffer, &mail.payload);
        let relay = self.open.iter().find(|(_, at)| **at == mail.to).map(|(id, _)| RelayId::from_u64(*id));
        let through = relay.and_then(|relay| self.peer_packet(relay, mail.from, &mail.payload));
        // The first one may have used up what the second one would have needed.
        if self.turn.stats().dropped(DropReason::Bandwidth) == over_bandwidth {
            assert_eq!(past, through);
        }
    }

    fn check_for_client(&self, client: &Client, packet: &[u8]) {
        assert!(self.turn.has_allocation(&client.five_tuple));
        assert!(Message::parse(packet).is_ok() || stun::ChannelData::parse(packet).is_ok());
        assert!(!client.five_tuple.transport.is_stream() || packet.len().is_multiple_of(4));
    }

    /// A datagram from a peer; who gets it, and as what.
    pub fn peer_packet(&mut self, relay: RelayId, peer: SocketAddr, payload: &[u8]) -> Option<Arrived> {
        let (mut buffer, span) = with_room(payload);
        let forward = self.turn.peer_packet(self.now, relay, PeerAddr::new(peer), &mut buffer, span);
        let arrived = self.taken_by_client(forward, &buffer, payload);
        self.drain();
        arrived
    }

    fn taken_by_client(&self, forward: Forward, buffer: &[u8], payload: &[u8]) -> Option<Arrived> {
        match forward {
            Forward::Nothing => None,
            Forward::ToClient { client, packet } => {
                assert_eq!(buffer[HEADROOM..][..payload.len()], *payload, "as it came");
                let packet = &buffer[packet.range()];
                self.check_for_client(&client, packet);
                let from = match Message::parse(packet) {
                    Ok(indication) => Err(indication.get().expect("a well-formed address")),
                    Err(_) => Ok(ChannelData::parse(packet).expect("it is no message").channel),
                };
                Some((client, from))
            }
            Forward::ToPeer { .. } => panic!("a peer's packet went to a peer"),
        }
    }

    fn wait(&mut self, duration: Duration) {
        self.now = self.now.after(duration);
        self.turn.timeout(self.now);
        assert!(self.turn.next_timeout().is_none_or(|next| next > self.now.monotonic));
        self.drain();
    }

    /// Says how the opening of every asked-for socket went.
    pub fn open_sockets(&mut self, mut how: impl FnMut() -> Result<(), OpenError>) {
        while let Some((relay, local)) = self.asked.pop() {
            let taken = self.open.values().any(|open| *open == local);
            let result = if taken { Err(OpenError::InUse) } else { how() };
            if result.is_ok() {
                assert!(self.open.insert(relay.to_u64(), local).is_none(), "one socket for each name");
            }
            self.turn.relay_opened(self.now, relay, result);
            self.drain();
        }
    }

    /// Answers the oldest question about a quota.
    pub fn answer_quota(&mut self, granted: bool) {
        if let Some(ticket) = self.questions.pop_front() {
            self.turn.quota_answered(self.now, ticket, granted);
            self.drain();
        }
    }

    /// Takes what the core has to say.
    pub fn drain(&mut self) {
        while let Some(output) = self.turn.poll_output() {
            match output {
                Output::OpenRelay { relay, local } => {
                    assert!(PORTS.contains(&local.port()));
                    self.asked.push((relay, local));
                }
                Output::CloseRelay { relay } => {
                    assert!(self.open.remove(&relay.to_u64()).is_some(), "it was open");
                }
                Output::AskQuota { ticket, .. } => self.questions.push_back(ticket),
                Output::ToClient { packet, client } => {
                    let message = Message::parse(packet).expect("answers are well formed");
                    assert_ne!(message.class(), Class::Request);
                    let sent_to = message.all::<AlternateServer>().map(|it| it.expect("well formed").0);
                    let sent_to: Vec<_> = sent_to.collect();
                    let code = message.get::<ErrorCode<'_>>().expect("well formed").map(|it| it.code);
                    assert_eq!(sent_to.len(), usize::from(code == Some(300)), "one address in a 300");
                    let own_family = client.five_tuple.client.get().is_ipv4();
                    assert!(sent_to.iter().all(|server| server.is_ipv4() == own_family));
                    assert!(code != Some(300) || message.integrity().is_some(), "a 300 is proved");
                    self.token = message.get().expect("answers are well formed").or(self.token);
                }
                Output::Record(change) => panic!("nobody asked for {change:?}"),
                Output::Event(event) => drop(format!("{event:?}")),
            }
        }
    }

    /// Ends everything and checks that nothing is left.
    fn end(&mut self) {
        while !self.questions.is_empty() {
            self.answer_quota(true);
        }
        self.open_sockets(|| Ok(()));
        self.turn.end_all(self.now);
        self.drain();
        self.wait(Duration::from_secs(4000));
        assert_eq!(self.turn.allocations(), 0);
        assert!(self.open.is_empty(), "sockets");
        assert_eq!((self.turn.stats().permissions, self.turn.stats().channels), (0, 0));
        assert_eq!(self.turn.stats().allocations_created, self.turn.stats().allocations_closed);
    }

    /// Whether sockets are asked for.
    pub fn is_opening(&self) -> bool {
        !self.asked.is_empty()
    }

    /// A nonce that this client may use now, as one that was sent here or as any other.
    pub fn nonce(&self, client: &Client, sent_here: bool) -> [u8; turn::nonce::NONCE_LEN] {
        let mut nonce = [0; turn::nonce::NONCE_LEN];
        let kind = match client.entrance {
            _ if sent_here => NonceKind::Redirected,
            Entrance::Direct => NonceKind::Bound,
            Entrance::FirstContact => NonceKind::Unbound,
        };
        SETTINGS.nonces.issue(self.now.unix, kind, client.five_tuple.client.ip(), &mut nonce);
        nonce
    }
}

/// Who got a packet: through a channel, or from whom.
type Arrived = (Client, Result<ChannelNumber, Option<XorPeerAddress>>);

/// What stands around packets before the core writes there.
const ROOM: u8 = 0xAA;

/// A packet as a driver hands it in, and its place.
fn with_room(packet: &[u8]) -> (Vec<u8>, Span) {
    let buffer = [&[ROOM; HEADROOM], packet, &[ROOM; TAILROOM]].concat();
    (buffer, Span { start: HEADROOM, end: HEADROOM + packet.len() })
}

/// A client at an address.
pub fn client(address: &str, transport: Transport) -> Client {
    let client: SocketAddr = address.parse().expect("an address");
    let server = SocketAddr::from(([203, 0, 113, 1], 3478));
    let five_tuple =
        FiveTuple { client: ClientAddr::new(client), server: ServerAddr::new(server), transport };
    Client { five_tuple, path: PathId(u32::from(client.port())), entrance: Entrance::Direct }
}

/// A message with what `fill` puts into it, as far as the buffer reaches.
pub fn message(class: Class, method: Method, id: u8, fill: impl FnOnce(&mut MessageWriter<'_>)) -> Vec<u8> {
    let mut buffer = vec![0; 4096];
    let mut writer =
        MessageWriter::new(&mut buffer, class, method, TransactionId::new([id; 12])).expect("a header fits");
    fill(&mut writer);
    let length = writer.finish();
    buffer.truncate(length);
    buffer
}
