//! The core under test: two workers, their drivers and the clients.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use stun::Method;
use stun::attribute::{
    AddressErrorCode, ChannelNumber, Lifetime, Realm, RequestedAddressFamily, ReservationToken,
    XorRelayedAddress,
};
use turn::{DropReason, Unrestorable};

use super::model::Asked;
use super::node::{CHANNELS, CLIENTS, Node, Rules, WORKERS, clients, worker_of};
use super::outcome::{Counts, Forwarded, Said};
use super::step::{Failures, Request};
use crate::support::{Answer, Relay, Seen, Store, TestClient, channel_data, data_indication};

pub(crate) struct System {
    node: Node,
    rules: Rules,
    pub(crate) workers: Vec<Relay>,
    store: Arc<Mutex<Store>>,
    /// How many workers there were ever.
    numbers: u8,
    clients: [TestClient; CLIENTS],
    /// Where peers know each client.
    relayed: [Vec<SocketAddr>; CLIENTS],
    /// Every request of each client, as it was sent.
    sent: [Vec<(Asked, Vec<u8>)>; CLIENTS],
    /// Every token that was given out.
    pub(crate) tokens: Vec<[u8; 8]>,
}

impl System {
    pub(crate) fn new(node: &Node, rules: &Rules) -> Self {
        let store = Arc::default();
        let numbers = WORKERS as u8;
        let mut workers = node.workers(rules, 0..numbers, &store);
        let mut clients = clients();
        for (client, it) in clients.iter_mut().enumerate() {
            it.learn_nonce(&mut workers[worker_of(client, WORKERS)]);
        }
        Self {
            node: node.clone(),
            rules: rules.clone(),
            workers,
            store,
            numbers,
            clients,
            relayed: Default::default(),
            sent: Default::default(),
            tokens: Vec::new(),
        }
    }

    /// The user of each client.
    pub(crate) fn users(&self) -> Vec<Vec<u8>> {
        self.clients.iter().map(|client| client.username.clone()).collect()
    }

    /// Sends a new request.
    pub(crate) fn ask(&mut self, client: usize, request: Request, failures: &Failures) -> (Asked, Said) {
        let packet = write(&mut self.clients[client], &request);
        let realm = self.clients[client].realm.clone();
        let asked = Asked { client, transaction: self.sent[client].len(), realm, request };
        self.sent[client].push((asked.clone(), packet));
        (asked, self.send_request(client, self.sent[client].len() - 1, failures))
    }

    /// Sends one of a client's requests once more, if it has sent any.
    pub(crate) fn ask_again(
        &mut self,
        client: usize,
        which: proptest::sample::Index,
    ) -> Option<(Asked, Said)> {
        let sent = self.sent[client].len();
        let place = (sent > 0).then(|| which.index(sent))?;
        let asked = self.sent[client][place].0.clone();
        Some((asked, self.send_request(client, place, &Failures::default())))
    }

    fn send_request(&mut self, client: usize, place: usize, failures: &Failures) -> Said {
        let worker = self.worker_of(client);
        let worker = &mut self.workers[worker];
        worker.failing = failures.clone().map(Into::into);
        let answer = self.clients[client].exchange(worker, &self.sent[client][place].1);
        worker.failing = Default::default();
        let said = read(&answer);
        if !said.relayed.is_empty() {
            // A port that was another client's is this one's now.
            self.relayed.iter_mut().for_each(|known| known.retain(|it| !said.relayed.contains(it)));
            self.relayed[client] = said.relayed.clone();
        }
        if let Some(realm) = &said.realm {
            self.clients[client].realm = realm.clone();
        }
        self.tokens.extend(said.token.filter(|token| !self.tokens.contains(token)));
        said
    }

    pub(crate) fn send(&mut self, client: usize, peer: SocketAddr) -> Forwarded {
        let worker = self.worker_of(client);
        let before = self.workers[worker].turn.stats().dropped;
        let seen = self.clients[client].send(&mut self.workers[worker], peer, b"there");
        self.to_peer(client, &seen, before)
    }

    pub(crate) fn channel_data(&mut self, client: usize, number: u16) -> Forwarded {
        let worker = self.worker_of(client);
        let before = self.workers[worker].turn.stats().dropped;
        let seen = self.clients[client].channel_data(&mut self.workers[worker], number, b"there");
        self.to_peer(client, &seen, before)
    }

    /// A peer answers where it last saw the client.
    pub(crate) fn peer_sends(&mut self, client: usize, peer: SocketAddr) -> Forwarded {
        let relayed = self.relayed[client].iter().find(|it| it.is_ipv4() == peer.is_ipv4());
        let worker = self.worker_of(client);
        let worker = &mut self.workers[worker];
        let before = worker.turn.stats().dropped;
        let arrived = relayed.and_then(|relayed| worker.peer_sends(peer, *relayed, b"back"));
        let Some((to, packet)) = arrived else { return dropped_since(before, worker) };
        assert_eq!(to, self.clients[client].address());
        match CHANNELS.into_iter().find(|number| packet.starts_with(&channel_data(*number, b"back"))) {
            Some(number) => Forwarded::OnChannel(number),
            None => {
                assert_eq!(data_indication(&packet), (peer, b"back".as_slice()));
                Forwarded::AsIndication
            }
        }
    }

    /// Time passes. As in a worker's loop, timers run only when the core has asked for it.
    pub(crate) fn wait(&mut self, seconds: u64, late: Option<usize>) {
        for (place, worker) in self.workers.iter_mut().enumerate() {
            worker.now = worker.now.after(Duration::from_secs(seconds));
            let due = worker.turn.next_timeout().is_some_and(|due| due <= worker.now.monotonic);
            if due && late != Some(place) {
                worker.turn.timeout(worker.now);
                assert_eq!(worker.drain(), []);
            }
        }
    }

    /// The node dies, and another one takes in what it left.
    pub(crate) fn restart(&mut self, workers: usize) {
        let remains = std::mem::take(&mut self.store).lock().unwrap().remains();
        let now = self.workers[0].now;
        let numbers = self.numbers..self.numbers + workers as u8;
        self.numbers = numbers.end;
        self.workers = self.node.workers(&self.rules, numbers, &self.store);
        self.workers.iter_mut().for_each(|worker| worker.now = now);
        let refused = remains.restore(&mut self.workers, |five_tuple| {
            let client = self.clients.iter().position(|it| it.path.five_tuple == *five_tuple).unwrap();
            (worker_of(client, workers), self.clients[client].path.path)
        });
        assert!(refused.iter().all(|why| *why == Unrestorable::Expired), "{refused:?}");
    }

    pub(crate) fn swap(&mut self, rules: &Rules) {
        self.rules = rules.clone();
        for worker in &mut self.workers {
            worker.apply(self.node.settings(rules));
            worker.fleet = rules.fleet;
            assert_eq!(worker.drain(), []);
        }
    }

    /// Ends a client's allocation, and tells whether there was one.
    pub(crate) fn end(&mut self, client: usize) -> bool {
        let worker = self.worker_of(client);
        let worker = &mut self.workers[worker];
        let five_tuple = self.clients[client].path.five_tuple;
        let ended = worker.turn.end(worker.now, &|session| *session.five_tuple == five_tuple);
        assert_eq!(worker.drain(), []);
        ended == 1
    }

    pub(crate) fn counts(&self, worker: usize) -> Counts {
        let relay = &self.workers[worker];
        let stats = relay.turn.stats();
        Counts {
            allocations: relay.turn.allocations(),
            sockets: relay.sockets.len(),
            permissions: stats.permissions as usize,
            channels: stats.channels as usize,
        }
    }

    fn worker_of(&self, client: usize) -> usize {
        worker_of(client, self.workers.len())
    }

    fn to_peer(&self, client: usize, seen: &[Seen], before: Drops) -> Forwarded {
        match seen {
            [] => dropped_since(before, &self.workers[self.worker_of(client)]),
            [one] => {
                let (from, peer, payload) = one.at_peer();
                assert!(self.relayed[client].contains(&from), "from {from}");
                assert_eq!(payload, b"there");
                Forwarded::ToPeer(peer)
            }
            more => panic!("one packet became {more:?}"),
        }
    }
}

/// Packets dropped, by reason.
type Drops = [u64; DropReason::ALL.len()];

/// Why one packet more is dropped than `before`, if one is.
fn dropped_since(before: Drops, relay: &Relay) -> Forwarded {
    let now = relay.turn.stats().dropped;
    let more = |reason: &DropReason| now[*reason as usize] > before[*reason as usize];
    assert!(now.iter().sum::<u64>() <= before.iter().sum::<u64>() + 1);
    DropReason::ALL.into_iter().find(more).map_or(Forwarded::Nothing, Forwarded::Dropped)
}

fn write(client: &mut TestClient, request: &Request) -> Vec<u8> {
    let asked = match request {
        Request::Allocate(wish) => turn_client::Request::Allocate(wish.attributes()),
        Request::Permit { peers } => turn_client::Request::CreatePermission { peers: peers.clone() },
        Request::Bind { channel, peer } => {
            let channel = ChannelNumber::new(*channel).unwrap();
            turn_client::Request::ChannelBind { channel, peer: *peer }
        }
        Request::Refresh { family, lifetime } => {
            return client.signed(Method::REFRESH, |writer| {
                lifetime.map_or(Ok(()), |seconds| writer.attribute(&Lifetime(seconds)).map(drop))?;
                family.map_or(Ok(()), |family| writer.attribute(&RequestedAddressFamily(family)).map(drop))
            });
        }
    };
    client.signed_request(&asked)
}

fn read(answer: &Answer) -> Said {
    Said {
        code: answer.code(),
        lifetime: answer.get::<Lifetime>().map(|it| it.0),
        relayed: answer.message().all::<XorRelayedAddress>().map(|it| it.unwrap().0).collect(),
        token: answer.get::<ReservationToken>().map(|it| it.0),
        refused: answer.get::<AddressErrorCode<'_>>().map(|it| (it.family, it.code)),
        realm: answer.get::<Realm<'_>>().map(|it| String::from_utf8(it.0.to_vec()).unwrap()),
    }
}
