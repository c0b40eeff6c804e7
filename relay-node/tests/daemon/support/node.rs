use std::net::{SocketAddr, UdpSocket};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use edgerelay::recovery::records::Records;
use edgerelay::tls::Certificates;
use edgerelay::worker::{
    self, FleetPlan, Inheritance, ListenerPlan, Plan, Prepared, SocketStats, StartError, StreamLimits,
    Workers,
};
use turn::{
    AnswerLimits, Credentials, Entrance, Ledger, Lifetimes, Limits, Nonces, PeerPolicy, Quota, Realm,
    Redirect, RelayAddress, RelayAddresses, Settings, Transport,
};

use super::Client;

/// A relay that is to be.
pub struct NodePlan {
    pub workers: usize,
    pub steering: bool,
    pub pin: bool,
    pub listeners: Vec<ListenerPlan>,
    pub settings: Settings,
    pub ports: RangeInclusive<u16>,
    pub streams: StreamLimits,
    pub records: Option<Vec<Records>>,
    pub fleet: Option<FleetPlan>,
    pub inheritance: Inheritance,
}

/// A running relay. Dropping it stops it.
pub struct Node {
    pub workers: Workers,
}

/// Settings that allow loopback and refuse nothing that a well-behaved client does.
pub fn settings() -> Settings {
    let plenty =
        Quota { allocations: 100_000, permissions: 100_000, channels: 100_000, bits_per_second: None };
    let realm = Realm::new("example.org").unwrap();
    Settings {
        credentials: Credentials::new(&realm, &[("alice", "wonderland")], vec![]).unwrap(),
        realm,
        software: None,
        nonces: Nonces::new(vec![[7; 32]], 600, true),
        lifetimes: Lifetimes::default(),
        policy: PeerPolicy::new(
            ["127.0.0.1/32", "127.0.0.2/32", "::1/128"].map(|range| range.parse().unwrap()).to_vec(),
            vec![],
            vec![],
        ),
        limits: Limits {
            user: plenty,
            total: plenty,
            answers: AnswerLimits {
                per_source_bytes_per_second: 10_000_000,
                total_bytes_per_second: 100_000_000,
            },
        },
        redirect: Redirect::default(),
        revocations: Arc::default(),
        asks_quota: false,
    }
}

fn loopback() -> RelayAddresses {
    let same = |ip: &str| Some(RelayAddress { bind: ip.parse().unwrap(), advertised: ip.parse().unwrap() });
    RelayAddresses { v4: same("127.0.0.1"), v6: same("::1") }
}

/// Limits that a well-behaved client never meets.
pub fn stream_limits() -> StreamLimits {
    StreamLimits {
        connections: 1000,
        connections_per_source: 1000,
        handshake_deadline: Duration::from_secs(60),
        idle_deadline: Duration::from_secs(60),
        frame_deadline: Duration::from_secs(60),
        write_buffer: 256 * 1024,
        buffers: 64 * 1024 * 1024,
    }
}

impl NodePlan {
    /// One worker and no listener.
    pub fn new() -> Self {
        Self {
            workers: 1,
            steering: true,
            pin: false,
            listeners: Vec::new(),
            settings: settings(),
            ports: 50_000..=59_999,
            streams: stream_limits(),
            records: None,
            fleet: None,
            inheritance: Inheritance::default(),
        }
    }

    /// One worker with a UDP listener on 127.0.0.1.
    pub fn udp() -> Self {
        Self::new().listen(Transport::Udp, "127.0.0.1:0")
    }

    /// One worker with a TCP listener on 127.0.0.1.
    pub fn tcp() -> Self {
        Self::new().listen(Transport::Tcp, "127.0.0.1:0")
    }

    /// One worker with a TLS listener on 127.0.0.1.
    pub fn tls(certificates: Certificates) -> Self {
        let mut plan = Self::new().listen(Transport::Tls, "127.0.0.1:0");
        plan.listeners[0].tls = Some(certificates);
        plan
    }

    pub fn listen(mut self, transport: Transport, bind: &str) -> Self {
        let bind = bind.parse().unwrap();
        let entrance = Entrance::Direct;
        self.listeners.push(ListenerPlan { transport, bind, entrance, proxies: vec![], tls: None });
        self
    }

    pub fn streams(mut self, streams: StreamLimits) -> Self {
        self.streams = streams;
        self
    }

    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = workers;
        self
    }

    /// Everything but its threads.
    pub fn prepare(self) -> Result<Prepared, StartError> {
        worker::prepare(Plan {
            workers: self.workers,
            pin: self.pin,
            steering: self.steering,
            listeners: self.listeners,
            settings: Arc::new(self.settings),
            ledger: Arc::new(Ledger::new(loopback(), self.ports)),
            streams: self.streams,
            records: self.records,
            state: None,
            fleet: self.fleet,
            inheritance: self.inheritance,
        })
    }

    pub fn try_start(self) -> Result<Node, StartError> {
        Ok(Node { workers: self.prepare()?.start()? })
    }

    pub fn start(self) -> Node {
        self.try_start().unwrap()
    }
}

impl Node {
    /// Where the first listener is.
    pub fn address(&self) -> SocketAddr {
        self.workers.bound()[0].address
    }

    /// Where the listener at `place` in the plan is.
    pub fn address_of(&self, place: usize) -> SocketAddr {
        self.workers.bound()[place].address
    }

    /// So many clients with their relayed addresses. By `channel` each reaches the next one's, and by the channel
    /// after it the one's before.
    pub fn ring(&self, count: usize, channel: u16) -> Vec<(Client<UdpSocket>, SocketAddr)> {
        let mut ring: Vec<_> = (0..count)
            .map(|_| {
                let mut client = Client::udp(self.address());
                let relayed = client.allocate();
                (client, relayed)
            })
            .collect();
        for number in 0..count {
            let [next, last] = [1, count - 1].map(|step| ring[(number + step) % count].1);
            ring[number].0.bind(channel, next);
            ring[number].0.bind(channel + 1, last);
        }
        ring
    }

    /// What the sockets of all workers have counted of one thing.
    pub fn count(&self, of: impl Fn(SocketStats) -> u64) -> u64 {
        self.workers.counters().iter().map(|counters| of(counters.sockets())).sum()
    }
}
