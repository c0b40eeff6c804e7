//! What one allocation has of its user's and the relay's quotas.

use std::sync::Arc;

use stun::attribute::AddressFamily;

use super::Ledger;
use super::usage::{PeerCount, Usage};
use crate::settings::{Limits, Quota};
use crate::time::Monotonic;

/// An allocation as the quotas see it, with its permissions and channels: all given back when it is dropped.
#[derive(Debug)]
pub struct Account {
    pub(super) ledger: Arc<Ledger>,
    pub(super) usage: Arc<Usage>,
    pub(super) peers: PeerCount,
}

impl Account {
    /// Counts permissions and channels, all or none.
    pub fn take_peers(&mut self, more: PeerCount, limits: &Limits) -> bool {
        if !self.usage.take_peers(more, &limits.user) {
            return false;
        }
        if !self.ledger.total.take_peers(more, &limits.total) {
            self.usage.release_peers(more);
            return false;
        }
        self.peers.permissions += more.permissions;
        self.peers.channels += more.channels;
        true
    }

    /// Counts permissions and channels that are there already, whatever the quotas are now.
    pub fn claim_peers(&mut self, more: PeerCount) {
        self.usage.claim_peers(more);
        self.ledger.total.claim_peers(more);
        self.peers.permissions += more.permissions;
        self.peers.channels += more.channels;
    }

    /// Counts permissions and channels no more. None are given back that it has not.
    pub fn give_back_peers(&mut self, less: PeerCount) {
        let less = PeerCount {
            permissions: less.permissions.min(self.peers.permissions),
            channels: less.channels.min(self.peers.channels),
        };
        self.peers.permissions -= less.permissions;
        self.peers.channels -= less.channels;
        self.usage.release_peers(less);
        self.ledger.total.release_peers(less);
    }

    /// The permissions and channels that it has.
    pub fn peers(&self) -> PeerCount {
        self.peers
    }

    /// Whether a packet with so much payload may pass now, to or from a peer of `family`. It costs its IP
    /// and UDP headers too, so that empty ones are not free. Takes no lock.
    #[inline]
    pub fn meter(&self, now: Monotonic, family: AddressFamily, payload: usize, limits: &Limits) -> bool {
        let (user, total) = (limits.user.bits_per_second, limits.total.bits_per_second);
        if user.is_none() && total.is_none() {
            return true;
        }
        self.meter_within(now, payload.saturating_add(headers(family)), user, total)
    }

    fn meter_within(&self, now: Monotonic, bytes: usize, user: Option<u64>, total: Option<u64>) -> bool {
        if !self.usage.meter.allow(now, bytes, user) {
            return false;
        }
        let passes = self.ledger.total.meter.allow(now, bytes, total);
        if !passes {
            self.usage.meter.give_back(bytes, user);
        }
        passes
    }

    /// When all that passed so far is paid for, as far as `limits` make anybody pay.
    pub fn paid_at(&self, limits: &Limits) -> PaidAt {
        let paid_at = |usage: &Usage, quota: &Quota| quota.bits_per_second.map(|_| usage.meter.paid_at());
        PaidAt {
            user: paid_at(&self.usage, &limits.user).unwrap_or_default(),
            total: paid_at(&self.ledger.total, &limits.total).unwrap_or_default(),
        }
    }

    /// Makes the user and all together pay at least until then.
    pub fn claim_debts(&self, now: Monotonic, paid_at: PaidAt) {
        self.usage.meter.claim(now, paid_at.user);
        self.ledger.total.meter.claim(now, paid_at.total);
    }
}

/// When somebody's packets are paid for at exactly the rate: never, or in the past, of who has nothing to pay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PaidAt {
    /// The user's own.
    pub user: Monotonic,
    /// Those of all users together.
    pub total: Monotonic,
}

/// The bytes of IP and UDP headers (RFC 791 without options, RFC 8200, RFC 768).
const fn headers(family: AddressFamily) -> usize {
    match family {
        AddressFamily::V4 => 20 + 8,
        AddressFamily::V6 => 40 + 8,
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        self.give_back_peers(self.peers);
        self.ledger.close(&self.usage);
    }
}
