//! What each user has used of the fleet, and each tenant: allocations, bytes each way, time.
//!
//! A hash `usage:USER` has the sums, and what they have of each allocation that lives. Nodes tell absolute numbers of
//! an allocation, by its name; a script (`write.lua`) adds what is new. So what a killed node had told is not counted again
//! by the one that goes on with its allocations, and what it had not told yet is. A call that was repeated since nobody
//! knows whether it was done changes nothing the second time.
//!
//! It is written behind, every few seconds for what lives and at once for what has ended. While Redis is away
//! [`Meter`] keeps what has ended one by one, up to a bound, then the sum for each user, up to another one; what it
//! has no room for is counted and lost.
//!
//! Sums are not sealed, since Redis adds to them: whoever can write there can falsify usage, and nothing else by it.
//!
//! Sorted sets `users:0` ... `users:f` have the keys of all users, those of a tenant in one of them: Redis is never
//! asked for all its keys. Usage that nobody has added to for 35 days is forgotten.

mod accounts;
mod meter;
mod write;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use accounts::{Accounts, Usage};
pub use meter::{Line, Meter, Over, Used, millis};
pub use write::run;

/// What is still to be written, for those who learn of it and the one who writes it.
#[derive(Clone, Debug, Default)]
pub struct Shared(Arc<Mutex<Meter>>);

impl Shared {
    /// For a moment, in which nobody waits for anything.
    pub fn lock(&self) -> MutexGuard<'_, Meter> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
