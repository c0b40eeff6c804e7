//! Ending allocations that nobody asked to end: by command, and of users who were revoked.

use crate::address::FiveTuple;
use crate::allocation::Allocation;
use crate::credentials::UserId;
use crate::event::CloseReason;
use crate::record::AllocationId;
use crate::server::Turn;
use crate::time::{Monotonic, Now};

/// A live allocation, as a command sees it.
#[derive(Clone, Copy, Debug)]
pub struct Session<'a> {
    /// Its name among those of its worker.
    pub id: AllocationId,
    /// Whose packets it takes.
    pub five_tuple: &'a FiveTuple,
    /// Whose quota it counts against.
    pub user: &'a UserId,
    /// When it came to be.
    pub created: Monotonic,
}

impl Turn {
    /// Ends every allocation.
    pub fn end_all(&mut self, now: Now) {
        self.end_where(now, CloseReason::Stopped, |_, _| true);
    }

    /// Ends the allocations that a command means, and tells how many.
    pub fn end(&mut self, now: Now, is_meant: &dyn Fn(&Session<'_>) -> bool) -> u64 {
        self.end_where(now, CloseReason::Ended, |id, allocation| {
            // One that its client was not told of yet is none.
            allocation.opening.is_none()
                && is_meant(&Session {
                    id,
                    five_tuple: &allocation.five_tuple,
                    user: &allocation.owner.user,
                    created: allocation.created,
                })
        })
    }

    /// Ends the allocations of those who are revoked, and those that they are about to get.
    pub(crate) fn end_revoked(&mut self, now: Now) {
        let revocations = std::sync::Arc::clone(&self.settings.revocations);
        self.end_where(now, CloseReason::Revoked, |_, allocation| revocations.hits_owner(&allocation.owner));
    }

    fn end_where(
        &mut self,
        now: Now,
        reason: CloseReason,
        is_meant: impl Fn(AllocationId, &Allocation) -> bool,
    ) -> u64 {
        let mut ended = 0;
        for slot in self.table.slots() {
            if self.table.get(slot).is_some_and(|allocation| is_meant(self.table.id(slot), allocation)) {
                self.close(now, slot, reason);
                ended += 1;
            }
        }
        ended
    }
}
