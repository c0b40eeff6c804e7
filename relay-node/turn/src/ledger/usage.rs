//! How much one user, or all together, have of what is limited.

use std::sync::atomic::{AtomicU32, Ordering};

use super::meter::Meter;
use crate::credentials::UserId;
use crate::settings::Quota;

/// What somebody has at the moment. Counts are taken all or nothing and given back once.
#[derive(Debug, Default)]
pub(super) struct Usage {
    user: Option<UserId>,
    allocations: AtomicU32,
    permissions: AtomicU32,
    channels: AtomicU32,
    pub(super) meter: Meter,
}

/// Which quota stands in the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuotaReached {
    /// The user's own.
    User,
    /// That of the whole relay.
    Total,
}

/// A number of permissions and channels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PeerCount {
    /// Permissions.
    pub permissions: u32,
    /// Channels.
    pub channels: u32,
}

impl Usage {
    pub(super) fn of(user: UserId) -> Self {
        Self { user: Some(user), ..Self::default() }
    }

    pub(super) fn user(&self) -> Option<&UserId> {
        self.user.as_ref()
    }

    pub(super) fn allocations(&self) -> u32 {
        self.allocations.load(Ordering::Relaxed)
    }

    pub(super) fn take_allocation(&self, limit: u32) -> bool {
        take(&self.allocations, 1, limit)
    }

    pub(super) fn claim_allocation(&self) {
        claim(&self.allocations, 1);
    }

    /// Gives one back, and tells how many are left.
    pub(super) fn release_allocation(&self) -> u32 {
        release(&self.allocations, 1)
    }

    pub(super) fn take_peers(&self, more: PeerCount, quota: &Quota) -> bool {
        if !take(&self.permissions, more.permissions, quota.permissions) {
            return false;
        }
        let taken = take(&self.channels, more.channels, quota.channels);
        if !taken {
            release(&self.permissions, more.permissions);
        }
        taken
    }

    pub(super) fn claim_peers(&self, more: PeerCount) {
        claim(&self.permissions, more.permissions);
        claim(&self.channels, more.channels);
    }

    pub(super) fn release_peers(&self, less: PeerCount) {
        release(&self.permissions, less.permissions);
        release(&self.channels, less.channels);
    }
}

fn take(count: &AtomicU32, more: u32, limit: u32) -> bool {
    let update = |has: u32| has.checked_add(more).filter(|sum| more == 0 || *sum <= limit);
    count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, update).is_ok()
}

/// Counts what is there already.
fn claim(count: &AtomicU32, more: u32) {
    count.fetch_add(more, Ordering::Relaxed);
}

fn release(count: &AtomicU32, less: u32) -> u32 {
    let before = count.fetch_sub(less, Ordering::Relaxed);
    debug_assert!(before >= less, "more was given back than taken");
    before.wrapping_sub(less)
}
