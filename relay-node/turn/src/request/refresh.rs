//! Refresh (RFC 8656 section 8.2).

use std::time::Duration;

use stun::attribute::{Lifetime, RequestedAddressFamily};

use super::or_unknown;
use crate::authentication::Authenticated;
use crate::event::CloseReason;
use crate::recently_closed;
use crate::record::DeletionRecord;
use crate::refusal::Refusal;
use crate::server::Turn;
use crate::time::Now;

impl Turn {
    /// Prolongs an allocation, or deletes it (lifetime 0), or one of its two relayed addresses.
    pub(super) fn refresh(&mut self, now: Now, request: &Authenticated<'_>) {
        let lifetime = match self.try_refresh(now, request) {
            Ok(lifetime) => lifetime,
            Err(refusal) => return self.refuse(request, refusal),
        };
        let software = self.settings.software.as_deref();
        request.reply.success(&mut self.outbox, &mut self.stats, software, |writer| {
            writer.attribute(&Lifetime(lifetime)).map(drop)
        });
    }

    fn try_refresh(&mut self, now: Now, request: &Authenticated<'_>) -> Result<u32, Refusal> {
        let requested = request.message.get::<Lifetime>().map_err(|_| Refusal::BadRequest)?;
        let unknown = or_unknown(Refusal::PeerAddressFamilyMismatch);
        let family = request.message.get::<RequestedAddressFamily>().map_err(unknown);
        let five_tuple = &request.reply.client.five_tuple;
        let deletes = requested == Some(Lifetime(0));
        // A deletion whose answer was lost is answered again as it was, and deletes nothing more.
        if deletes && self.closed.was_closed_by(now.monotonic, five_tuple, request.reply.transaction) {
            return Ok(0);
        }
        let (slot, allocation) = self.table.owned_by(request)?;
        // "If REQUESTED-ADDRESS-FAMILY does not match the address family of the allocation: 443."
        let family = family?.map(|RequestedAddressFamily(family)| family);
        if family.is_some_and(|family| allocation.relayed.get(family).is_none()) {
            return Err(Refusal::PeerAddressFamilyMismatch);
        }
        if deletes {
            match family.filter(|family| allocation.relayed.get(family.other()).is_some()) {
                Some(family) => {
                    self.close_family(slot, family);
                    self.record_allocation(slot);
                }
                None => self.close(now, slot, CloseReason::Deleted),
            }
            let (five_tuple, transaction) = (*five_tuple, request.reply.transaction);
            let until = now.monotonic.after(recently_closed::MEMORY);
            self.remember_deletion(now.monotonic, DeletionRecord { five_tuple, transaction, until });
            return Ok(0);
        }
        let lifetime = self.settings.lifetimes.grant(requested.map(|Lifetime(seconds)| seconds));
        allocation.refresh(family, now.monotonic.after(Duration::from_secs(lifetime.into())));
        self.timers.set(slot.0, allocation.next_deadline());
        self.record_allocation(slot);
        Ok(lifetime)
    }
}
