//! Other nodes, as the cluster tells of them.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use stun::attribute::{AlternateServer, Nonce};
use turn::{Alternate, Alternates, Entrance, Settings, Transport};

use super::{Answer, Relay, TestClient, at};

/// A node that is reached at `addresses`, port 3478 for UDP and TCP and 5349 for TLS, with room for a million.
pub fn node(addresses: &[&str]) -> Alternate {
    let ips = addresses.iter().map(|address| address.parse().unwrap());
    let ways = ips.flat_map(|ip: IpAddr| {
        [(Transport::Udp, 3478), (Transport::Tcp, 3478), (Transport::Tls, 5349)]
            .map(|(transport, port)| (transport, SocketAddr::new(ip, port)))
    });
    Alternate {
        addresses: ways.collect(),
        domain: None,
        certificate_covers: vec![],
        room: 1_000_000,
        chosen: Arc::new(AtomicU32::new(0)),
        own: false,
    }
}

/// How often a node was chosen.
pub fn chosen(node: &Alternate) -> u32 {
    node.chosen.load(Ordering::Relaxed)
}

impl Relay {
    /// A relay that knows these nodes.
    pub fn knowing(settings: Settings, nodes: &[Alternate]) -> Self {
        let mut relay = Self::with(settings);
        relay.know(nodes);
        relay
    }

    pub fn know(&mut self, nodes: &[Alternate]) {
        self.turn.set_alternates(Arc::new(Alternates::new(nodes.to_vec())));
    }
}

impl TestClient {
    /// The same, coming through a load balancer.
    pub fn through_balancer(mut self) -> Self {
        self.path.entrance = Entrance::FirstContact;
        self
    }

    /// The same at another relay, with what it was told so far.
    pub fn at_relay(&self, server: &str) -> Self {
        let mut moved = self.clone();
        moved.path.five_tuple.server = turn::ServerAddr::new(at(server));
        moved.path.entrance = Entrance::Direct;
        moved
    }

    /// An Allocate that is answered by 300, and where that leads to. Takes the nonce in it.
    #[track_caller]
    pub fn sent_to(&mut self, relay: &mut Relay) -> SocketAddr {
        let answer = self.try_allocate(relay);
        assert_eq!(answer.code(), 300);
        self.nonce = answer.get::<Nonce<'_>>().unwrap().0.to_vec();
        alternate(&answer)
    }
}

/// Where a 300 leads to: exactly one address.
#[track_caller]
pub fn alternate(answer: &Answer) -> SocketAddr {
    let all: Vec<_> = answer.message().all::<AlternateServer>().map(|it| it.unwrap().0).collect();
    assert_eq!(all.len(), 1, "{all:?}");
    all[0]
}
