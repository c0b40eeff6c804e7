//! What an attack must leave as it was.

use std::time::Duration;

use testbed::eventually_true;

use crate::client::Client;
use crate::network::Network;
use crate::peer::Peer;
use crate::relay::Relay;

/// A relay's memory, allocations and connections before an attack.
#[derive(Debug)]
pub struct Steady<'r> {
    network: &'r Network,
    relay: &'r Relay<'r>,
    resident: u64,
    allocations: u64,
    connections: u64,
}

impl<'r> Steady<'r> {
    /// Looks at a relay that has already served a client, so that its buffers are in place.
    pub fn before(network: &'r Network, relay: &'r Relay<'r>) -> Self {
        good_client_works(network, relay);
        Self {
            network,
            relay,
            resident: relay.resident_bytes(),
            allocations: relay.allocations(),
            connections: relay.connections(),
        }
    }

    /// Asserts that resident memory has grown by no more than `bound` bytes so far.
    pub fn memory_holds(&self, bound: u64) {
        let resident = self.relay.resident_bytes();
        let grown = resident.saturating_sub(self.resident);
        assert!(grown <= bound, "resident memory grew by {grown} bytes, from {}", self.resident);
    }

    /// Asserts that resident memory has grown by no more than `bound` bytes, that there are as many
    /// allocations as before and, in time, as many connections, and that a good client is served.
    pub fn holds(&self, bound: u64) {
        self.memory_holds(bound);
        assert_eq!(self.relay.allocations(), self.allocations, "allocations");
        eventually_true(Duration::from_secs(20), "connections to go back to what they were", || {
            self.relay.connections() == self.connections
        });
        good_client_works(self.network, self.relay);
    }
}

/// A round trip of a client that does everything right, over UDP.
pub fn good_client_works(network: &Network, relay: &Relay<'_>) {
    let peer = Peer::new(&network.peer.namespace, network.peer.v4.into());
    let mut client = Client::udp(&network.alice, relay.plain(), relay.credential("good"));
    let relayed = client.allocate().expect("a good client gets an allocation");
    client.permit(peer.address()).expect("the peer's address is public");
    client.send_to(peer.address(), b"to the peer");
    assert_eq!(peer.receive(), Some((relayed, b"to the peer".to_vec())));
    peer.send(relayed, b"to the client");
    assert_eq!(client.data(), Some((peer.address(), b"to the client".to_vec())));
    client.refresh(0).expect("a client may end its allocation");
}
