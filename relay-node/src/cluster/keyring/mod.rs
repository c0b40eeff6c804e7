//! The secrets and nonce keys that all nodes share: made by the fleet, changed every few hours, and known to every
//! node before they are used.
//!
//! [`ring`] says what follows from what, [`member`] what a node does about it; [`driver`] looks at Redis twice a second,
//! and writes by compare-and-set.

mod driver;
mod member;
pub mod ring;

pub(super) use driver::now;
pub use driver::{AllLives, Keyrings};
