//! An Allocate that waits until the fleet has said whether its user may have one more.

use crate::opening::Opening;
use crate::record::AllocationId;
use crate::refusal::Refusal;
use crate::server::Turn;
use crate::table::Slot;
use crate::time::Now;

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
    pub fn quota_answered(&mut self, _now: Now, ticket: QuotaTicket, granted: bool) {
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
        let reply = waiting.reply.clone();
        self.give_up_allocating(slot, &reply, Refusal::AllocationQuotaReached);
    }
}
