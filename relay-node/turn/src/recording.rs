//! Writing down what has to outlive the process: what [`record`](crate::record) says, in the order in which
//! clients are told.

use std::net::IpAddr;

use stun::attribute::{AddressFamily, ChannelNumber, ReservationToken};

use crate::allocation::Allocation;
use crate::opening::{CameFor, Opening, Waiting};
use crate::record::{Change, ChannelRecord, DeletionRecord, PermissionRecord, Places, Tally};
use crate::server::Turn;
use crate::settings::Limits;
use crate::table::Slot;
use crate::time::Monotonic;

/// What is kept to write things down.
#[derive(Debug, Default)]
pub(crate) struct Recording {
    /// Whether anybody reads it.
    on: bool,
    /// By slot; none for slots above.
    tallies: &'static [Tally],
    pub(crate) places: Places,
}

impl Recording {
    /// Writes down what packets have changed of an allocation.
    #[inline]
    pub(crate) fn tally(&self, slot: Slot, allocation: &Allocation, limits: &Limits) {
        if !self.tallies.is_empty() {
            self.write_tally(slot, allocation, limits);
        }
    }

    /// Not inlined, so that a packet that is not recorded pays for one comparison.
    #[inline(never)]
    fn write_tally(&self, Slot(slot): Slot, allocation: &Allocation, limits: &Limits) {
        if let Some(tally) = self.tallies.get(slot as usize) {
            tally.write(&allocation.tallied(limits));
        }
    }
}

impl Turn {
    /// The same, but from now on it tells of every change by [`Output::Record`](crate::Output::Record), and
    /// packets are counted in `tallies`, one for each slot, which nobody else writes to. What has a slot
    /// above their number is not counted there.
    pub fn recording(mut self, tallies: &'static [Tally]) -> Self {
        self.recording.on = true;
        self.recording.tallies = tallies;
        self
    }

    /// From now on it tells of no change any more, and counts nowhere else.
    pub(crate) fn stop_recording(&mut self) {
        self.recording.on = false;
        self.recording.tallies = &[];
    }

    /// Writes down the allocation in `slot` as it is now, or that there is none any more.
    pub(crate) fn record_allocation(&mut self, slot: Slot) {
        if self.recording.on {
            let id = self.table.id(slot);
            let record = self.table.get(slot).map(|allocation| Box::new(allocation.record(id)));
            self.outbox.record(Change::Allocation { id, record });
        }
    }

    /// Writes down a permission that was installed or refreshed.
    pub(crate) fn record_permission(&mut self, slot: Slot, peer: IpAddr) {
        if self.recording.on
            && let Some((place, expires)) = self.table.get(slot).and_then(|it| it.peers.permission(peer))
        {
            let record = PermissionRecord { allocation: self.table.id(slot), peer, expires };
            self.outbox.record(Change::Permission { place, record });
        }
    }

    /// Writes down a channel that was bound or refreshed.
    pub(crate) fn record_channel(&mut self, slot: Slot, number: ChannelNumber) {
        if self.recording.on
            && let Some((peer, place, expires)) = self.table.get(slot).and_then(|it| it.peers.channel(number))
        {
            let record = ChannelRecord { allocation: self.table.id(slot), number, peer, expires };
            self.outbox.record(Change::Channel { place, record });
        }
    }

    /// Writes down the reservation that an allocation made, if it made one.
    pub(crate) fn record_reservation_of(&mut self, slot: Slot) {
        if let Some(token) = self.table.get(slot).and_then(|allocation| allocation.origin.reservation) {
            self.record_reservation(token);
        }
    }

    /// Writes down what `token` stands for. Of one that gives way to it, as its user has too many, nothing is
    /// told: it would give way again.
    pub(crate) fn record_reservation(&mut self, token: ReservationToken) {
        if self.recording.on
            && let Some(record) = self.ledger.reservation(token)
        {
            let (family, port) = (AddressFamily::of(record.address.bind), record.port);
            self.outbox.record(Change::Reservation { family, port, record: Some(Box::new(record)) });
        }
    }

    /// Writes down that somebody came for the reserved port that an allocation has: while it has it, so that no
    /// change of another worker's comes in between.
    pub(crate) fn record_redemption_of(&mut self, slot: Slot) {
        let Some(allocation) = self.table.get(slot).filter(|_| self.recording.on) else { return };
        for (family, relayed) in allocation.relayed.present() {
            let port = relayed.port.number();
            self.outbox.record(Change::Reservation { family, port, record: None });
        }
    }

    /// The same of one whose sockets did not open.
    pub(crate) fn record_redemption_in_vain(&mut self, slot: Slot) {
        let opening = self.table.get(slot).and_then(|allocation| allocation.opening.as_deref());
        if matches!(opening, Some(Opening::Allocate(Waiting { came_for: CameFor::Reserved(..), .. }))) {
            self.record_redemption_of(slot);
        }
    }

    /// Remembers what a Refresh deleted, and writes it down.
    pub(crate) fn remember_deletion(&mut self, now: Monotonic, record: DeletionRecord) {
        let place = self.closed.remember(now, &record);
        if self.recording.on {
            self.outbox.record(Change::Deletion { place, record });
        }
    }
}
