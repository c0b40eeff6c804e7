//! What is left of an allocation whose process is gone.

use std::collections::BTreeMap;

use super::{AllocationId, AllocationRecord, ChannelRecord, PermissionRecord, Tallied};

/// An allocation with all that belongs to it, to be taken in by [`Turn::restore`](crate::Turn::restore).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Survivor {
    /// The allocation itself.
    pub allocation: AllocationRecord,
    /// What packets had changed of it.
    pub tallied: Tallied,
    /// Its permissions, those included that are over.
    pub permissions: Vec<PermissionRecord>,
    /// Its channels, likewise.
    pub channels: Vec<ChannelRecord>,
}

/// Puts the records of one worker together. Permissions and channels whose allocation is gone are left out:
/// nobody wrote their end down.
pub fn gather(
    allocations: impl IntoIterator<Item = (AllocationRecord, Tallied)>,
    permissions: impl IntoIterator<Item = PermissionRecord>,
    channels: impl IntoIterator<Item = ChannelRecord>,
) -> Vec<Survivor> {
    let alone = |(allocation, tallied): (AllocationRecord, Tallied)| {
        let survivor = Survivor { tallied, permissions: Vec::new(), channels: Vec::new(), allocation };
        (survivor.allocation.id, survivor)
    };
    let mut survivors: BTreeMap<AllocationId, Survivor> = allocations.into_iter().map(alone).collect();
    for permission in permissions {
        if let Some(survivor) = survivors.get_mut(&permission.allocation) {
            survivor.permissions.push(permission);
        }
    }
    for channel in channels {
        if let Some(survivor) = survivors.get_mut(&channel.allocation) {
            survivor.channels.push(channel);
        }
    }
    survivors.into_values().collect()
}
