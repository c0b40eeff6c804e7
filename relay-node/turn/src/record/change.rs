//! One change of what is recorded.

use stun::attribute::AddressFamily;

use super::{
    AllocationId, AllocationRecord, ChannelRecord, DeletionRecord, PermissionRecord, Place, ReservationRecord,
};
use crate::address::RelayPort;

/// What a record is from now on. Each is bounded in size, and one at a time is enough: whoever stops between
/// two of them has what was, or what is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Of an allocation.
    Allocation {
        /// Which; its slot is its place.
        id: AllocationId,
        /// All of it, or nothing: then it is gone, and all permissions and channels that name it.
        record: Option<Box<AllocationRecord>>,
    },
    /// Of a permission.
    Permission {
        /// Its place. What stood there belongs to nobody any more.
        place: Place,
        /// All of it.
        record: PermissionRecord,
    },
    /// Of a channel.
    Channel {
        /// Its place. What stood there belongs to nobody any more.
        place: Place,
        /// All of it.
        record: ChannelRecord,
    },
    /// Of a reserved port. Any worker of a node may tell of any port, but no two of one at a time.
    Reservation {
        /// The address that it is on.
        family: AddressFamily,
        /// The port: there is at most one reservation of each.
        port: RelayPort,
        /// All of it, or nothing: then somebody came for it.
        record: Option<Box<ReservationRecord>>,
    },
    /// A Refresh that deleted something.
    Deletion {
        /// Its place. What stood there is not remembered any more.
        place: Place,
        /// All of it.
        record: DeletionRecord,
    },
}
