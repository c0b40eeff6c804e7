//! An Allocate that waits until the fleet has said whether its user may have one more.

use stun::attribute::{AddressFamily, ReservationToken};

use crate::opening::{CameFor, Opening};
use crate::record::AllocationId;
use crate::refusal::Refusal;
use crate::server::Turn;
use crate::table::Slot;
use crate::time::{Monotonic, Now};

/// Names the Allocate that a question is about. Opaque, and never used twice for long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct QuotaTicket(pub u64);

impl From<AllocationId> for QuotaTicket {
    fn from(AllocationId { slot, generation }: AllocationId) -> Self {
        Self(u64::from(generation) << 32 | u64::from(slot))
    }
}

impl Turn {
    /// The answer to an [`Output::AskQuota`](crate::Output::AskQuota): the Allocate goes on, or is refused by 486
    /// with all given back. Nothing happens where its client is gone meanwhile, or at a second answer.
    ///
    /// Whoever drives the core has to answer soon whatever the fleet says: the client waits.
    pub fn quota_answered(&mut self, now: Now, ticket: QuotaTicket, granted: bool) {
        let slot = Slot(ticket.0 as u32);
        if QuotaTicket::from(self.table.id(slot)) != ticket {
            return;
        }
        let opening = self.table.get_mut(slot).and_then(|allocation| allocation.opening.as_deref_mut());
        let Some(Opening::Allocate(waiting)) = opening else { return };
        if !std::mem::take(&mut waiting.asks_quota) {
            return;
        }
        if granted {
            return self.open_sockets(slot);
        }
        let (reply, came_for) = (waiting.reply.clone(), waiting.came_for);
        if let CameFor::Reserved(token, until) = came_for {
            self.keep_again(slot, token, until);
            self.ledger.expire(now.monotonic);
        }
        self.give_up_allocating(slot, &reply, Refusal::AllocationQuotaReached);
    }

    /// Keeps the reserved port of an Allocate that is refused as it was kept before. Nothing was written down of
    /// its having been taken.
    fn keep_again(&mut self, slot: Slot, ReservationToken(token): ReservationToken, until: Monotonic) {
        let Some(allocation) = self.table.get_mut(slot) else { return };
        let user = allocation.owner.user.clone();
        for family in AddressFamily::BOTH {
            if let Some(relayed) = allocation.relayed.get_mut(family).take() {
                self.ledger.reserve(token, relayed.port, user.clone(), until);
            }
        }
    }
}
