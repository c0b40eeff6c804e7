//! Ten thousand allocations, of which some are used afterwards.

use std::net::SocketAddr;

use edgerelay_e2e::Network;
use edgerelay_e2e::client::Client;
use edgerelay_e2e::cores;
use edgerelay_e2e::peer::Peer;
use edgerelay_e2e::relay::Relay;

pub(crate) const COUNT: usize = 10_000;
/// What a relay has to be started with for them.
pub(crate) const LIMITS: [(&str, &str); 4] = [
    ("limits.user.allocations", "10000"),
    ("limits.user.permissions", "10000"),
    ("limits.answers.per_source_bytes_per_second", "10000000"),
    ("limits.answers.total_bytes_per_second", "10000000"),
];
/// Of how many each is used.
const SAMPLE: usize = 50;

/// The clients, with their relayed addresses, and the peer of all.
pub(crate) struct Multitude {
    pub(crate) clients: Vec<(Client, SocketAddr)>,
    peer: Peer,
}

impl Multitude {
    pub(crate) fn begin(network: &Network, relay: &Relay<'_>) -> Self {
        let peer = Peer::new(&network.peer.namespace, network.peer.v4.into());
        let clients = (0..COUNT).map(|_| {
            let mut client = Client::udp(&network.alice, relay.plain(), relay.credential("alice"));
            let relayed = client.allocate().expect("within the limits");
            client.permit(peer.address()).expect("the peer's address is public");
            (client, relayed)
        });
        let clients = clients.collect();
        cores::leave_the_relays();
        Self { clients, peer }
    }

    /// All are there, and those that are tried can be used.
    pub(crate) fn assert_on(&mut self, relay: &Relay<'_>) {
        assert_eq!(relay.allocations(), COUNT as u64);
        for (client, relayed) in self.clients.iter_mut().step_by(SAMPLE) {
            self.peer.send(*relayed, b"still there?");
            assert_eq!(client.data(), Some((self.peer.address(), b"still there?".to_vec())));
        }
    }
}
