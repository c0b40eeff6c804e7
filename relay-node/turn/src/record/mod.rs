//! What outlives a process: everything that a later answer depends on, as plain data.
//!
//! A core that is told so ([`Turn::recording`](crate::Turn::recording)) tells of every change that a client
//! is told of, before it is, by an [`Output::Record`](crate::Output::Record): one [`Change`], of which each
//! names its place among others of its kind by a small number that is used again, and is of bounded size
//! whatever the allocation has. What packets change, counters and meters, stands in a [`Tally`] that the core
//! writes itself. Another core takes all of it in again by [`Turn::restore`](crate::Turn::restore) and its
//! like, whichever worker it is, and goes on as if nothing had been. It tells of all that anew, to places of
//! its own that have to be empty at first: what another core had left there would be taken for its own.
//!
//! Not here are nonce keys, which are the driver's ([`Settings`](crate::Settings)); quotas, which are counted
//! again; what [`AnswerBudget`](crate::AnswerBudget) knows of strangers; and what allocations that are gone had
//! used of their users' bandwidth, which is paid for within a second.
//!
//! | record | its place | given up by |
//! | --- | --- | --- |
//! | [`AllocationRecord`] | the allocation's slot | [`Change`] without a record |
//! | [`PermissionRecord`], [`ChannelRecord`] | a number of its own | its time, or its allocation's end |
//! | [`ReservationRecord`] | the reserved port | its time, or [`Change`] without a record |
//! | [`DeletionRecord`] | a place in a ring | its time |

mod allocation;
mod change;
mod codec;
mod deletion;
#[cfg(feature = "next-record-version")]
mod next_version;
mod owner;
mod peer;
mod place;
mod reservation;
mod survivor;
mod tally;
#[cfg(test)]
mod tests;

pub use allocation::{AllocationId, AllocationRecord, RelayedRecord};
pub use change::Change;
pub use codec::{Record, Unreadable, VERSION, is_known};
pub use deletion::DeletionRecord;
#[cfg(feature = "next-record-version")]
pub use next_version::Novelty;
pub use peer::{ChannelRecord, PermissionRecord};
pub use place::Place;
pub use reservation::ReservationRecord;
pub use survivor::{Survivor, gather};
pub use tally::{Tallied, Tally};

pub(crate) use place::Places;
