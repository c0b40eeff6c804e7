//! Refresh (RFC 8656 section 8.2).

use std::time::Duration;

use stun::attribute::{Lifetime, RequestedAddressFamily};

use super::or_unknown;
use crate::allocation::Allocation;
use crate::authentication::Authenticated;
use crate::event::CloseReason;
use crate::recently_closed;
use crate::record::DeletionRecord;
use crate::refusal::Refusal;
use crate::server::Turn;
use crate::time::{Monotonic, Now};

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
        let known = deletes.then_some(request.reply.transaction);
        let known = known.and_then(|it| self.closed.known_until(now.monotonic, five_tuple, it));
        let owned = self.table.owned_by(request);
        // A deletion whose answer was lost is answered again as it was, and deletes nothing more.
        if let Some(until) = known
            && !owned.as_ref().is_ok_and(|(_, it)| was_cut_short(it, family.as_ref().ok(), until))
        {
            return Ok(0);
        }
        let (slot, allocation) = owned?;
        // "If REQUESTED-ADDRESS-FAMILY does not match the address family of the allocation: 443."
        let family = family?.map(|RequestedAddressFamily(family)| family);
        if family.is_some_and(|family| allocation.relayed.get(family).is_none()) {
            return Err(Refusal::PeerAddressFamilyMismatch);
        }
        if deletes {
            let partial = family.filter(|family| allocation.relayed.get(family.other()).is_some());
            // Before what it deletes: who is killed in between can be told of it again.
            if known.is_none() {
                let (five_tuple, transaction) = (*five_tuple, request.reply.transaction);
                let until = now.monotonic.after(recently_closed::MEMORY);
                self.remember_deletion(now.monotonic, DeletionRecord { five_tuple, transaction, until });
            }
            match partial {
                Some(family) => {
                    self.close_family(slot, family);
                    self.record_allocation(slot);
                }
                None => self.close(now, slot, CloseReason::Deleted),
            }
            return Ok(0);
        }
        let lifetime = self.settings.lifetimes.grant(requested.map(|Lifetime(seconds)| seconds));
        allocation.refresh(family, now.monotonic.after(Duration::from_secs(lifetime.into())));
        self.timers.set(slot.0, allocation.next_deadline());
        self.record_allocation(slot);
        Ok(lifetime)
    }
}

/// Whether a deletion of `family`, or of all, that is known until then was of this allocation: it is there all the
/// same if the process was killed in the midst.
fn was_cut_short(
    allocation: &Allocation,
    family: Option<&Option<RequestedAddressFamily>>,
    until: Monotonic,
) -> bool {
    let is_older = allocation.created.after(recently_closed::MEMORY) < until;
    let is_there = |family: &Option<RequestedAddressFamily>| {
        family.is_none_or(|RequestedAddressFamily(family)| allocation.relayed.get(family).is_some())
    };
    is_older && family.is_some_and(is_there)
}
