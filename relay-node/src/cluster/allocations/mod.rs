//! Each node's allocations in Redis: what the fleet lists and ends from, and what a node goes on from whose own records
//! are gone.
//!
//! A hash `calls:NODE` has a field for each allocation: its [`Name`], and [all of it](record), sealed for just that
//! name and node. Nothing waits for it. What changes is marked by the workers at its place, once however often it
//! changes; [`publish`] takes what is marked several times a second and writes it as it is then. So no more is ever
//! kept than a mark for each allocation, however long Redis is away, and what is there after that is written again.
//!
//! The hash lives an hour longer than its node: as long as an allocation can live without a refresh. After that there
//! is nothing in it to go on from.
//!
//! What is read is trusted as far as its seal goes: only the fleet can have written it, as an allocation of this name
//! on this node. Whoever can write to Redis can still put an older state of it back, or one that has ended since. All
//! times are in what is sealed, so that brings back nothing that would be over by itself: until its lifetime is over
//! a relayed address, and for five minutes the permissions that there were, for the client that had them.

#[cfg(test)]
pub(crate) mod example;
mod moment;
mod name;
mod publish;
mod recall;
mod record;
mod sessions;
mod shelf;

pub use moment::Moment;
pub use name::Name;
pub use publish::run;
pub use record::Written;
pub use sessions::{Filter, Session, find, list};
pub use shelf::Shelf;
