//! Taking in what a former process had, so that it goes on as if it had never left.

use std::collections::BTreeSet;

use stun::attribute::AddressFamily;
use thiserror::Error;

use crate::address::PathId;
use crate::allocation::{Allocation, Relayed};
use crate::event::{CloseReason, Event};
use crate::ledger::PortLoss;
use crate::opening::Opening;
use crate::peers::Peers;
use crate::per_family::PerFamily;
use crate::record::{ChannelRecord, DeletionRecord, PermissionRecord, ReservationRecord, Survivor};
use crate::server::Turn;
use crate::table::Slot;
use crate::time::{Monotonic, Now};

/// Why something that was recorded is not taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Unrestorable {
    /// It ended while nobody was there to end it.
    #[error("its time is over")]
    Expired,
    /// Its client has another allocation already.
    #[error("there is another allocation of its 5-tuple")]
    FiveTupleTaken,
    /// Its user, or the credential that it was made with, was revoked meanwhile.
    #[error("its user or its credential is revoked")]
    Revoked,
    /// One of its peers or channels is there twice.
    #[error("its permissions or channels contradict each other")]
    Contradiction,
    /// None of its relayed addresses can be had.
    #[error("its relayed address is lost: {0}")]
    AddressLost(#[from] PortLoss),
}

impl Turn {
    /// Takes in an allocation with all that belongs to it, whatever the quotas are now. `path` leads to its
    /// client.
    ///
    /// Its sockets are asked for by [`Output::OpenRelay`](crate::Output::OpenRelay): the driver may still
    /// have them. A relayed address that cannot be had any more is lost, which an event tells, and with the
    /// last one the allocation. Of two that have a port or a 5-tuple in common, the one that is taken in
    /// first goes on: let that be the newer one, whose beginning was written down while the end of the other
    /// was not yet.
    ///
    /// # Errors
    /// Why it is not taken in. Then nothing has changed.
    pub fn restore(&mut self, now: Now, survivor: Survivor, path: PathId) -> Result<(), Unrestorable> {
        let Survivor { allocation: record, tallied, permissions, channels } = survivor;
        if self.table.find(&record.five_tuple).is_some() {
            return Err(Unrestorable::FiveTupleTaken);
        }
        if self.settings.revocations.hits_owner(&record.owner) {
            return Err(Unrestorable::Revoked);
        }
        let permissions = alive(permissions, now, |permission| permission.expires);
        let channels = alive(channels, now, |channel| channel.expires);
        let consistent = are_different(permissions.iter().map(|permission| permission.peer))
            && are_different(channels.iter().map(|channel| channel.number))
            && are_different(channels.iter().map(|channel| channel.peer.get()));
        if !consistent {
            return Err(Unrestorable::Contradiction);
        }
        let mut relayed = PerFamily::<Option<Relayed>>::default();
        let mut lost = Vec::new();
        for (family, it) in record.relayed.present().filter(|(_, it)| it.expires > now.monotonic) {
            match self.ledger.claim_port(it.address, it.port) {
                Ok(port) => {
                    *relayed.get_mut(family) = Some(Relayed { port, expires: it.expires, open: false })
                }
                Err(loss) => lost.push((it.advertised(), loss)),
            }
        }
        if relayed.present().next().is_none() {
            return Err(lost.first().map_or(Unrestorable::Expired, |(_, loss)| (*loss).into()));
        }
        let account = self.ledger.claim_account(record.user());
        account.claim_debts(now.monotonic, tallied.paid_at);
        for (address, reason) in lost {
            let (five_tuple, user) = (record.five_tuple, record.user().clone());
            self.outbox.event(Event::RelayedAddressLost { five_tuple, user, address, reason });
        }
        self.begin(Allocation {
            five_tuple: record.five_tuple,
            path,
            account,
            to_peers: tallied.to_peers,
            to_client: tallied.to_client,
            peers: Peers::new(),
            relayed,
            created: record.created,
            owner: record.owner,
            origin: record.origin,
            opening: Some(Box::new(Opening::Restore { permissions, channels })),
        });
        Ok(())
    }

    /// All sockets that can still be had are open: goes on with what belongs to them.
    pub(crate) fn finish_restoring(
        &mut self,
        slot: Slot,
        mut permissions: Vec<PermissionRecord>,
        mut channels: Vec<ChannelRecord>,
    ) {
        self.stats.allocations_restored += 1;
        let Some(allocation) = self.table.get_mut(slot) else { return };
        permissions.retain(|it| allocation.relayed.get(AddressFamily::of(it.peer)).is_some());
        channels.retain(|it| allocation.relayed.get(AddressFamily::of(it.peer.ip())).is_some());
        let places = &mut self.recording.places;
        self.stats.count_new(allocation.take_in(&permissions, &channels, places, &self.hasher));
        self.timers.set(slot.0, allocation.next_deadline());
        self.record_allocation(slot);
        permissions.iter().for_each(|permission| self.record_permission(slot, permission.peer));
        channels.iter().for_each(|channel| self.record_channel(slot, channel.number));
    }

    /// No socket could be had: it ends as one that was there.
    pub(crate) fn give_up_restoring(&mut self, now: Now, slot: Slot) {
        self.stats.allocations_restored += 1;
        self.close(now, slot, CloseReason::AddressLost);
    }

    /// Takes in the reserved ports of a node: on any worker, and after all allocations, which may have got
    /// them. Tells which cannot be had, and why.
    pub fn restore_reservations(
        &mut self,
        now: Now,
        reservations: Vec<ReservationRecord>,
    ) -> Vec<(ReservationRecord, PortLoss)> {
        let mut lost = Vec::new();
        for record in alive(reservations, now, |reservation| reservation.until) {
            match self.ledger.claim_port(record.address, record.port) {
                Ok(port) => {
                    self.ledger.reserve(record.token.0, port, record.user, record.until);
                    self.record_reservation(record.token);
                }
                Err(loss) => lost.push((record, loss)),
            }
        }
        lost
    }

    /// Takes in the deletions of clients that are this worker's now.
    pub fn restore_deletions(&mut self, now: Now, deletions: Vec<DeletionRecord>) {
        for deletion in alive(deletions, now, |deletion| deletion.until) {
            self.remember_deletion(now.monotonic, deletion);
        }
    }
}

/// Those that are not over, in the order in which they will be.
fn alive<R>(mut records: Vec<R>, now: Now, until: impl Fn(&R) -> Monotonic) -> Vec<R> {
    records.retain(|record| until(record) > now.monotonic);
    records.sort_by_key(until);
    records
}

fn are_different<K: Ord>(mut keys: impl Iterator<Item = K>) -> bool {
    let mut seen = BTreeSet::new();
    keys.all(|key| seen.insert(key))
}
