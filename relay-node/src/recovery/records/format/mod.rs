//! What stands where in a file of records, and how it is read: from any bytes, whoever wrote them.
//!
//! Nothing here knows a file or a process, and nothing comes from the rest of the relay, so that the fuzz
//! target takes in these sources alone.
//!
//! A file has a [`Header`] and areas of cells, each at a fixed place in the file, which is sparse. A cell has
//! two [faces](face), of which the one with the higher sequence number counts.

mod cell;
mod contents;
pub mod face;
mod header;
mod layout;
#[cfg(test)]
mod tests;

pub use contents::{Contents, Source, header};
pub use header::{Clock, Header, Owner, Stranger};
pub use layout::{
    ALLOCATIONS, Area, CHANNELS, DELETIONS, PERMISSIONS, RESERVATIONS, SEGMENT, Shape, TALLIES, reservation,
};
