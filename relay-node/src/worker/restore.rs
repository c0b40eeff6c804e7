//! Going on with what the relay before this one had, before any worker runs.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;

use turn::record::{ReservationRecord, Survivor};
use turn::{PathId, ServerAddr, Transport, Unrestorable};

use crate::recovery::state::{State, Touched};
use crate::recovery::survivors::{Share, Shares};

use super::clock;
use super::inheritance::ListenerDescriptors;
use super::run::Worker;
use super::token::Path;

/// What became of what the relay before this one had.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Restored {
    /// Allocations that go on.
    pub allocations: usize,
    /// Sockets of relayed addresses that were still open.
    pub sockets: usize,
    /// Allocations that ended while nobody was there to end them.
    pub expired: usize,
    /// Allocations that are lost with their relayed addresses, which somebody else has, or which are no more.
    pub addresses_lost: usize,
    /// Allocations on a listener that is no more.
    pub without_listener: usize,
    /// Allocations whose records contradict one another.
    pub contradictory: usize,
    /// Reserved ports that somebody else has now.
    pub reservations_lost: usize,
}

/// Gives each worker its part.
pub(super) fn restore(
    workers: &mut [Worker],
    listeners: &[ListenerDescriptors],
    state: Option<&State>,
    relays: HashMap<SocketAddr, OwnedFd>,
    shares: Shares,
) -> Restored {
    let mut restored = Restored::default();
    let Shares { workers: parts, reservations, .. } = shares;
    let (found, mut relays) = (relays.len(), relays);
    let mut deletions = Vec::new();
    for (worker, Share { survivors, deletions: deleted }) in workers.iter_mut().zip(parts) {
        worker.datagrams.relays.inherit(relays);
        for survivor in survivors {
            match path(listeners, survivor.allocation.five_tuple.server) {
                Some(path) => worker.restore(survivor, path, state, &mut restored),
                None => restored.without_listener += 1,
            }
        }
        relays = worker.datagrams.relays.disinherit();
        deletions.push(deleted);
    }
    restored.sockets = found - relays.len();
    if let Some(worker) = workers.first_mut() {
        worker.restore_reservations(reservations, &mut restored);
    }
    for (worker, deletions) in workers.iter_mut().zip(deletions) {
        let now = clock::now();
        worker.turn.restore_deletions(now, deletions);
        worker.follow_outputs(now);
        worker.publish();
    }
    restored
}

/// The way to clients of this address of the relay: by the listener that is bound to it, or to the port on
/// all addresses.
pub(super) fn path(listeners: &[ListenerDescriptors], server: ServerAddr) -> Option<PathId> {
    let server = server.get();
    let is_there = |bound: SocketAddr| {
        move |it: &ListenerDescriptors| it.transport == Transport::Udp && it.address == bound
    };
    let anywhere: IpAddr = match server {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let anywhere = SocketAddr::new(anywhere, server.port());
    let place = listeners.iter().position(is_there(server));
    let place = place.or_else(|| listeners.iter().position(is_there(anywhere)))?;
    Some(Path::Listener(place).pack())
}

impl Worker {
    /// Goes on with one allocation.
    pub(super) fn restore(
        &mut self,
        survivor: Survivor,
        path: PathId,
        state: Option<&State>,
        restored: &mut Restored,
    ) {
        if let Some(state) = state {
            state.touch(self.index, Touched::of(&survivor.allocation));
        }
        let five_tuple = survivor.allocation.five_tuple;
        let now = clock::now();
        match self.turn.restore(now, survivor, path) {
            Ok(()) => {
                self.follow_outputs(now);
                if self.turn.has_allocation(&five_tuple) {
                    restored.allocations += 1;
                } else {
                    restored.addresses_lost += 1;
                }
            }
            // Over before its time, and so over.
            Err(Unrestorable::Expired | Unrestorable::Revoked) => restored.expired += 1,
            Err(Unrestorable::AddressLost(_)) => restored.addresses_lost += 1,
            Err(Unrestorable::FiveTupleTaken | Unrestorable::Contradiction) => restored.contradictory += 1,
        }
    }

    fn restore_reservations(&mut self, reservations: Vec<ReservationRecord>, restored: &mut Restored) {
        let now = clock::now();
        let lost = self.turn.restore_reservations(now, reservations);
        self.follow_outputs(now);
        restored.reservations_lost = lost.len();
    }
}
