//! How often credentials may be wrong: what bounds the guessing of passwords, and its cost.

use super::sketch::Sketch;
use crate::rate::NANOS_PER_SECOND;
use crate::time::Monotonic;

/// What one network may get wrong in a second before its clients are told apart.
const PER_NETWORK: u64 = 100;
/// What one client, an address and a port, may get wrong in a second from there on.
const PER_CLIENT: u64 = 10;
/// A second's worth at once.
const BURST: u64 = NANOS_PER_SECOND;

/// Wrong credentials, by the networks and the clients that they came from.
///
/// Only what was wrong counts, so nobody with good credentials is ever limited for what it does itself. And
/// not for its neighbours either: clients behind one NAT have ports of their own. Clients are told
/// apart only where their network is over its limit, so that many ports of one host fill no cells of others.
#[derive(Debug, Default)]
pub(super) struct Guesses {
    networks: Sketch,
    clients: Sketch,
}

impl Guesses {
    /// Whether credentials from there are looked at.
    pub(super) fn hears(&self, now: Monotonic, network: u64, client: u64) -> bool {
        self.networks.ahead(now, network) < BURST || self.clients.ahead(now, client) < BURST
    }

    /// Counts what was wrong.
    pub(super) fn note_wrong(&self, now: Monotonic, network: u64, client: u64) {
        if self.networks.ahead(now, network) < BURST {
            self.networks.charge(now, network, NANOS_PER_SECOND / PER_NETWORK);
        } else {
            self.clients.charge(now, client, NANOS_PER_SECOND / PER_CLIENT);
        }
    }
}
