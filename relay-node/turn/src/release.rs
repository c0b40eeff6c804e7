//! Letting go of what a later process has taken in.

use std::net::SocketAddr;

use crate::address::{RelayId, Transport};
use crate::server::Turn;
use crate::table::Slot;

impl Turn {
    /// The relayed addresses of clients that send datagrams, with what each one's socket is bound to: what a
    /// later process can serve, other than a client's stream.
    pub fn datagram_relays(&self) -> Vec<(RelayId, SocketAddr)> {
        let mut relays = Vec::new();
        for slot in self.datagram_clients() {
            let Some(allocation) = self.table.get(slot) else { continue };
            let open = allocation.relayed.present().filter(|(_, relayed)| relayed.open);
            relays.extend(
                open.map(|(family, relayed)| (self.table.relay_id(slot, family), relayed.port.local())),
            );
        }
        relays
    }

    /// Forgets the allocations of clients that send datagrams, since a later process goes on with them. Their
    /// sockets are to be closed; but they did not end, and so nobody is told so. What ends from now on is
    /// not written down any more: the later process does that.
    pub fn release_datagram_clients(&mut self) {
        self.stop_recording();
        for slot in self.datagram_clients() {
            let was_open = self.remove(slot).is_some_and(|allocation| allocation.opening.is_none());
            self.stats.allocations_released += u64::from(was_open);
        }
    }

    fn datagram_clients(&self) -> Vec<Slot> {
        let sends_datagrams =
            |slot: &Slot| self.table.get(*slot).is_some_and(|it| it.five_tuple.transport == Transport::Udp);
        self.table.slots().into_iter().filter(sends_datagrams).collect()
    }
}
