//! Random operations on the core and, beside it, on a model so simple that it is obviously right:
//! the same answers, the same packets forwarded, and in the end nothing left of either.

mod model;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::support::{Answer, Relay, Seen, TestClient, at, channel_data, data_indication, settings};
use model::{Forwarded, LIMIT, Model};
use proptest::prelude::*;
use stun::Method;
use stun::attribute::{Lifetime, RequestedTransport, XorPeerAddress, XorRelayedAddress};
use turn::{Settings, Transport};

/// What can happen. Clients, peers and channels go by their place in [`clients`], [`peers`], [`CHANNELS`].
#[derive(Clone, Debug)]
enum Step {
    Allocate { client: usize, lifetime: Option<u32> },
    Refresh { client: usize, lifetime: Option<u32> },
    Permit { client: usize, peers: Vec<usize> },
    Bind { client: usize, channel: usize, peer: usize },
    Send { client: usize, peer: usize },
    ChannelData { client: usize, channel: usize },
    FromPeer { client: usize, peer: usize },
    Wait { seconds: u64 },
}

const CHANNELS: [u16; 4] = [0x4000, 0x4001, 0x4002, 0x4FFF];

/// Three of Alice's, over two transports and from one address twice, and two of Bob's.
fn clients() -> Vec<TestClient> {
    let bob = |address| TestClient::new(address).named("bob", "builder");
    vec![
        TestClient::new("198.51.100.7:1"),
        TestClient::new("198.51.100.7:2"),
        TestClient::over(Transport::Tcp, "198.51.100.7:1"),
        bob("198.51.100.7:3"),
        bob("198.51.100.8:1"),
    ]
}

/// Two ports of one host, two more hosts, one that is forbidden, one of another family.
fn peers() -> [SocketAddr; 6] {
    ["192.0.2.1:1", "192.0.2.1:2", "192.0.2.2:1", "192.0.2.3:1", "10.0.0.1:1", "[2001:db8:2::1]:1"].map(at)
}

fn step() -> impl Strategy<Value = Step> {
    let client = || 0..clients().len();
    let peer = || 0..peers().len();
    let channel = || 0..CHANNELS.len();
    let lifetime = || proptest::option::of(prop_oneof![Just(0), Just(1), 500..4000_u32]);
    prop_oneof![
        3 => (client(), lifetime()).prop_map(|(client, lifetime)| Step::Allocate { client, lifetime }),
        2 => (client(), lifetime()).prop_map(|(client, lifetime)| Step::Refresh { client, lifetime }),
        3 => (client(), proptest::collection::vec(peer(), 0..3))
            .prop_map(|(client, peers)| Step::Permit { client, peers }),
        4 => (client(), channel(), peer())
            .prop_map(|(client, channel, peer)| Step::Bind { client, channel, peer }),
        3 => (client(), peer()).prop_map(|(client, peer)| Step::Send { client, peer }),
        3 => (client(), channel()).prop_map(|(client, channel)| Step::ChannelData { client, channel }),
        3 => (client(), peer()).prop_map(|(client, peer)| Step::FromPeer { client, peer }),
        3 => prop_oneof![1..10_u64, 100..350_u64].prop_map(|seconds| Step::Wait { seconds }),
    ]
}

fn limited() -> Settings {
    let mut limited = settings();
    limited.limits.user = LIMIT.user;
    limited.limits.total = LIMIT.total;
    limited.nonces = turn::Nonces::new(vec![[7; 32]], 1_000_000, true);
    limited
}

/// The core, its driver and the clients.
struct System {
    relay: Relay,
    clients: Vec<TestClient>,
    relayed: Vec<Option<SocketAddr>>,
}

impl System {
    fn new() -> Self {
        let clients = clients();
        Self { relay: Relay::with(limited()), relayed: vec![None; clients.len()], clients }
    }

    fn allocate(&mut self, client: usize, lifetime: Option<u32>) -> Answer {
        let answer = self.clients[client].ask(&mut self.relay, Method::ALLOCATE, |writer| {
            writer.attribute(&RequestedTransport::UDP)?;
            lifetime.map_or(Ok(()), |seconds| writer.attribute(&Lifetime(seconds)).map(drop))
        });
        if answer.code() == 0 {
            self.relayed[client] = answer.get::<XorRelayedAddress>().map(|it| it.0);
        }
        answer
    }

    fn refresh(&mut self, client: usize, lifetime: Option<u32>) -> Answer {
        self.clients[client].ask(&mut self.relay, Method::REFRESH, |writer| {
            lifetime.map_or(Ok(()), |seconds| writer.attribute(&Lifetime(seconds)).map(drop))
        })
    }

    fn permit(&mut self, client: usize, peers: &[SocketAddr]) -> Answer {
        self.clients[client].ask(&mut self.relay, Method::CREATE_PERMISSION, |writer| {
            peers.iter().try_for_each(|peer| writer.attribute(&XorPeerAddress(*peer)).map(drop))
        })
    }

    fn peer_sends(&mut self, client: usize, peer: SocketAddr) -> Forwarded {
        let arrived = self.relayed[client].and_then(|relayed| self.relay.peer_sends(peer, relayed, b"back"));
        let Some((to, packet)) = arrived else { return Forwarded::Nothing };
        assert_eq!(to, self.clients[client].address());
        match CHANNELS.into_iter().find(|number| packet.starts_with(&channel_data(*number, b"back"))) {
            Some(number) => Forwarded::OnChannel(number),
            None => {
                assert_eq!(data_indication(&packet), (peer, b"back".as_slice()));
                Forwarded::AsIndication
            }
        }
    }

    fn to_peer(&self, client: usize, seen: &[Seen]) -> Forwarded {
        match seen {
            [] => Forwarded::Nothing,
            [one] => {
                let (from, peer, payload) = one.at_peer();
                assert_eq!((Some(from), payload), (self.relayed[client], b"there".as_slice()));
                Forwarded::ToPeer(peer)
            }
            more => panic!("one packet became {more:?}"),
        }
    }
}

/// Does one step to both, and compares what came of it.
fn compare(system: &mut System, model: &mut Model, step: &Step) -> Result<(), TestCaseError> {
    match step {
        Step::Allocate { client, lifetime } => {
            let answer = system.allocate(*client, *lifetime);
            let expected = model.allocate(*client, *lifetime);
            prop_assert_eq!(answer.code(), expected.err().unwrap_or(0));
            prop_assert_eq!(answer.get(), expected.ok().map(Lifetime));
        }
        Step::Refresh { client, lifetime } => {
            let answer = system.refresh(*client, *lifetime);
            let expected = model.refresh(*client, *lifetime);
            prop_assert_eq!(answer.code(), expected.err().unwrap_or(0));
            prop_assert_eq!(answer.get(), expected.ok().map(Lifetime));
        }
        Step::Permit { client, peers: which } => {
            let peers: Vec<_> = which.iter().map(|peer| peers()[*peer]).collect();
            let answer = system.permit(*client, &peers);
            prop_assert_eq!(answer.code(), model.permit(*client, &peers).err().unwrap_or(0));
        }
        Step::Bind { client, channel, peer } => {
            let (number, peer) = (CHANNELS[*channel], peers()[*peer]);
            let answer = system.clients[*client].bind(&mut system.relay, number, peer);
            prop_assert_eq!(answer.code(), model.bind(*client, number, peer).err().unwrap_or(0));
        }
        Step::Send { client, peer } => {
            let peer = peers()[*peer];
            let seen = system.clients[*client].send(&mut system.relay, peer, b"there");
            prop_assert_eq!(system.to_peer(*client, &seen), model.send(*client, peer));
        }
        Step::ChannelData { client, channel } => {
            let number = CHANNELS[*channel];
            let seen = system.clients[*client].channel_data(&mut system.relay, number, b"there");
            prop_assert_eq!(system.to_peer(*client, &seen), model.channel_data(*client, number));
        }
        Step::FromPeer { client, peer } => {
            let peer = peers()[*peer];
            prop_assert_eq!(system.peer_sends(*client, peer), model.peer_sends(*client, peer));
        }
        Step::Wait { seconds } => {
            prop_assert_eq!(system.relay.wait(Duration::from_secs(*seconds)), vec![]);
            model.wait(*seconds);
        }
    }
    let relay = &system.relay;
    let stats = relay.turn.stats();
    let real = [relay.turn.allocations(), stats.permissions as usize, stats.channels as usize];
    prop_assert_eq!(real, model.counts());
    prop_assert_eq!(relay.sockets.len(), model.counts()[0]);
    prop_assert_eq!(relay.ledger.users(), model.users());
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn the_core_behaves_like_the_model(steps in proptest::collection::vec(step(), 1..150)) {
        let (mut system, mut model) = (System::new(), Model::new(clients().iter().map(|it| it.username.clone())));
        for step in &steps {
            compare(&mut system, &mut model, step)?;
        }
        // Everything expires, and all that was counted is given back.
        system.relay.wait(Duration::from_secs(4000));
        model.wait(4000);
        prop_assert!(system.relay.is_empty());
        prop_assert_eq!(model.counts(), [0, 0, 0]);
        let ledger = Arc::clone(&system.relay.ledger);
        let mut afresh = System { relay: Relay::beside(limited(), ledger, 2), ..System::new() };
        let mut model = Model::new(clients().iter().map(|it| it.username.clone()));
        for client in 0..clients().len() {
            compare(&mut afresh, &mut model, &Step::Allocate { client, lifetime: None })?;
            for peer in 0..4 {
                compare(&mut afresh, &mut model, &Step::Bind { client, channel: peer, peer })?;
            }
        }
    }
}
