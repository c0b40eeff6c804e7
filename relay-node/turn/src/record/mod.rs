//! What outlives a process: everything that a later answer depends on, as plain data.
//!
//! Not here are nonce keys, which are the driver's ([`Settings`](crate::Settings)); quotas, which are counted
//! again; what [`AnswerBudget`](crate::AnswerBudget) knows of strangers; and what allocations that are gone had
//! used of their users' bandwidth, which is paid for within a second.

mod allocation;
mod codec;
mod deletion;
mod owner;
mod peer;
mod reservation;
#[cfg(test)]
mod tests;

pub use allocation::{AllocationId, AllocationRecord, RelayedRecord};
pub use codec::{Record, Unreadable, VERSION};
pub use deletion::DeletionRecord;
pub use peer::{ChannelRecord, PermissionRecord};
pub use reservation::ReservationRecord;
