//! What lives, for whoever tells others of it.

use crate::address::FiveTuple;
use crate::allocation::Allocation;
use crate::credentials::UserId;
use crate::record::{AllocationId, ChannelRecord, PermissionRecord, Survivor, Tallied};
use crate::server::Turn;
use crate::table::Slot;
use crate::time::Monotonic;

/// What a live allocation has relayed, and whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metered {
    /// Its name among those of its worker.
    pub id: AllocationId,
    /// Whose packets it takes.
    pub five_tuple: FiveTuple,
    /// Whose quota it counts against.
    pub user: UserId,
    /// When it came to be.
    pub created: Monotonic,
    /// What packets have changed of it.
    pub tallied: Tallied,
}

impl Turn {
    /// The allocation at this place ([`AllocationId::index`]) with all that belongs to it, as another core would
    /// take it in; none where there is none, or its client was not told of it yet.
    pub fn survivor(&self, place: usize) -> Option<Survivor> {
        let slot = Slot(u32::try_from(place).ok()?);
        let allocation = self.announced(slot)?;
        let id = self.table.id(slot);
        let permission = |(peer, expires)| PermissionRecord { allocation: id, peer, expires };
        let channel = |(number, peer, expires)| ChannelRecord { allocation: id, number, peer, expires };
        Some(Survivor {
            allocation: allocation.record(id),
            tallied: allocation.tallied(&self.settings.limits),
            permissions: allocation.peers.permissions().map(permission).collect(),
            channels: allocation.peers.channels().map(channel).collect(),
        })
    }

    /// The live allocations from this place on, in the order of their places.
    pub fn metered_from(&self, place: usize) -> impl Iterator<Item = Metered> {
        self.table.slots_from(place).filter_map(|slot| {
            let allocation = self.announced(slot)?;
            Some(Metered {
                id: self.table.id(slot),
                five_tuple: allocation.five_tuple,
                user: allocation.owner.user.clone(),
                created: allocation.created,
                tallied: allocation.tallied(&self.settings.limits),
            })
        })
    }

    fn announced(&self, slot: Slot) -> Option<&Allocation> {
        self.table.get(slot).filter(|allocation| allocation.opening.is_none())
    }
}
