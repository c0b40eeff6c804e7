//! Refresh (RFC 8656 section 8.2).

use std::time::Duration;

use stun::attribute::{AddressFamily, Lifetime, RequestedAddressFamily};

use crate::address::Family;
use crate::answer::Refusal;
use crate::authentication::Authenticated;
use crate::event::CloseReason;
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
        let family = request.message.get::<RequestedAddressFamily>().map_err(|_| Refusal::BadRequest)?;
        let five_tuple = &request.reply.client.five_tuple;
        let deletes = requested == Some(Lifetime(0));
        // A deletion whose answer was lost is answered again as it was, and deletes nothing more.
        if deletes && self.closed.was_closed_by(five_tuple, request.reply.transaction) {
            return Ok(0);
        }
        let allocation = self.owned_allocation(request)?;
        let slot = request.slot.ok_or(Refusal::AllocationMismatch)?;
        // "If REQUESTED-ADDRESS-FAMILY does not match the address family of the allocation: 443."
        let family = match family.map(|RequestedAddressFamily(family)| family) {
            None => None,
            Some(AddressFamily::V4) => Some(Family::V4),
            Some(AddressFamily::V6) => Some(Family::V6),
            Some(AddressFamily::Other(_)) => return Err(Refusal::PeerAddressFamilyMismatch),
        };
        if family.is_some_and(|family| allocation.relayed.get(family).is_none()) {
            return Err(Refusal::PeerAddressFamilyMismatch);
        }
        if deletes {
            match family.filter(|family| allocation.relayed.get(family.other()).is_some()) {
                Some(family) => self.close_family(slot, family),
                None => self.close(now, slot, CloseReason::Deleted),
            }
            self.closed.remember(now.monotonic, *five_tuple, request.reply.transaction);
            return Ok(0);
        }
        let lifetime = self.settings.lifetimes.grant(requested.map(|Lifetime(seconds)| seconds));
        if let Some(allocation) = self.table.get_mut(slot) {
            let expires = now.monotonic.after(Duration::from_secs(lifetime.into()));
            // "If there is no REQUESTED-ADDRESS-FAMILY, the request applies to all" (section 8.1).
            for refreshed in Family::BOTH.into_iter().filter(|it| family.is_none_or(|family| family == *it)) {
                if let Some(relayed) = allocation.relayed.slot(refreshed) {
                    relayed.expires = expires;
                }
            }
            // A shorter lifetime than before ends earlier; a longer one is seen when the timer fires.
            self.timers.set_earlier(slot.0, expires);
        }
        Ok(lifetime)
    }
}
