//! From an allocation that is decided upon to one whose sockets are open, or cannot be had.

use rand::Rng;
use stun::attribute::{AddressFamily, ReservationToken};

use crate::address::RelayId;
use crate::allocation::Allocation;
use crate::answer::ReplyTo;
use crate::event::Event;
use crate::io::OpenError;
use crate::ledger::{Holder, PortKind, PortLoss};
use crate::record::{ChannelRecord, PermissionRecord};
use crate::refusal::Refusal;
use crate::server::Turn;
use crate::table::Slot;
use crate::time::{Monotonic, Now};

/// What waits for the sockets.
#[derive(Debug)]
pub(crate) enum Opening {
    /// An Allocate.
    Allocate(Waiting),
    /// What a restored one had, for as many relayed addresses as it still has then.
    Restore { permissions: Vec<PermissionRecord>, channels: Vec<ChannelRecord> },
}

/// An Allocate that waits for its sockets.
#[derive(Debug)]
pub(crate) struct Waiting {
    /// What it is answered by.
    pub(crate) reply: ReplyTo,
    pub(crate) came_for: CameFor,
    pub(crate) tries_left: u8,
    /// Whether it has yet to hear what the fleet says: none of its sockets is asked for before.
    pub(crate) asks_quota: bool,
}

/// Which port an Allocate came for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum CameFor {
    /// Any that is free, of a kind.
    Fresh(PortKind),
    /// The one that was kept for it under a token, until then.
    Reserved(ReservationToken, Monotonic),
}

impl Turn {
    /// Writes an allocation down and asks for its sockets, or first whether its user may have them.
    pub(crate) fn begin(&mut self, allocation: Allocation) {
        let slot = self.table.insert(allocation);
        let Some(allocation) = self.table.get(slot) else { return };
        self.timers.set(slot.0, allocation.next_deadline());
        self.recording.tally(slot, allocation, &self.settings.limits);
        match allocation.opening.as_deref() {
            Some(Opening::Allocate(Waiting { asks_quota: true, .. })) => {
                self.outbox.ask_quota(self.table.id(slot).into(), allocation.owner.user.clone());
            }
            _ => self.open_sockets(slot),
        }
    }

    pub(crate) fn open_sockets(&mut self, slot: Slot) {
        let Some(allocation) = self.table.get(slot) else { return };
        for (family, relayed) in allocation.relayed.present() {
            self.outbox.open_relay(self.table.relay_id(slot, family), relayed.port.local());
        }
    }

    /// How an [`Output::OpenRelay`](crate::Output::OpenRelay) went: what waits for it goes on.
    pub fn relay_opened(&mut self, now: Now, relay: RelayId, result: Result<(), OpenError>) {
        let Some((slot, family)) = self.table.owner_of(relay) else {
            // Its client went away meanwhile.
            if result.is_ok() {
                self.outbox.close_relay(relay);
            }
            return;
        };
        match result {
            Ok(()) => {
                let allocation = self.table.get_mut(slot);
                if let Some(relayed) = allocation.and_then(|it| it.relayed.get_mut(family).as_mut()) {
                    relayed.open = true;
                    relayed.port.is_held_by(Holder { worker: self.worker, index: relay.index });
                }
            }
            Err(OpenError::InUse) if self.try_another_port(now, slot, family) => return,
            Err(error) => self.go_on_without(slot, family, error),
        }
        let Some(allocation) = self.table.get_mut(slot) else { return };
        if allocation.relayed.present().any(|(_, relayed)| !relayed.open) {
            return;
        }
        let in_vain = allocation.relayed.present().next().is_none();
        match allocation.opening.take().map(|opening| *opening) {
            Some(Opening::Allocate(Waiting { reply, .. })) if in_vain => {
                self.give_up_allocating(slot, &reply, Refusal::InsufficientCapacity);
            }
            Some(Opening::Allocate(waiting)) => self.finish_allocating(slot, &waiting),
            Some(Opening::Restore { .. }) if in_vain => self.give_up_restoring(now, slot),
            Some(Opening::Restore { permissions, channels }) => {
                self.finish_restoring(slot, permissions, channels);
            }
            None => {}
        }
    }

    /// One of the relayed addresses cannot be had.
    fn go_on_without(&mut self, slot: Slot, family: AddressFamily, error: OpenError) {
        self.record_redemption_in_vain(slot);
        let Some(allocation) = self.table.get_mut(slot) else { return };
        let Some(relayed) = allocation.relayed.get_mut(family).take() else { return };
        match allocation.opening.as_deref() {
            Some(Opening::Restore { .. }) => self.outbox.event(Event::RelayedAddressLost {
                five_tuple: allocation.five_tuple,
                user: allocation.owner.user.clone(),
                address: relayed.port.advertised(),
                reason: PortLoss::NoSocket(error),
            }),
            _ => allocation.origin.refused = Some((family, Refusal::InsufficientCapacity)),
        }
    }

    /// Somebody else has the port: asks for another one of the same kind.
    fn try_another_port(&mut self, now: Now, slot: Slot, family: AddressFamily) -> bool {
        let random = self.random.next_u64();
        let Some(allocation) = self.table.get_mut(slot) else { return false };
        let Some(Opening::Allocate(Waiting { came_for: CameFor::Fresh(kind), tries_left, .. })) =
            allocation.opening.as_deref_mut()
        else {
            return false;
        };
        let Some(relayed) = allocation.relayed.get_mut(family) else { return false };
        if *tries_left == 0 {
            return false;
        }
        *tries_left -= 1;
        // Taken before the old one is given back, so that it is another one.
        let Some((port, next)) = self.ledger.take_port(family, *kind, random) else { return false };
        let local = port.local();
        relayed.port = port;
        let (token, user) = (allocation.origin.reservation, allocation.owner.user.clone());
        if let (Some(ReservationToken(token)), Some(next)) = (token, next) {
            self.reserve(now, token, next, user);
        }
        self.outbox.open_relay(self.table.relay_id(slot, family), local);
        true
    }
}
