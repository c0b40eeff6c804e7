//! What outlives a relay's process, and how the next one goes on with it.
//!
//! | what | where | lives as long as |
//! | --- | --- | --- |
//! | open sockets | the descriptor table that keeper and relay share | the keeper |
//! | records of allocations | [`records`], shared memory, a file for each worker | the vault |
//! | which relayed addresses are open | [`ports`], for other relays of the node to see | the process |
//! | which records count, crashes, suspects | [`state`], one page of shared memory | the vault |
//! | [`listeners`], [`keys`], the last good configuration | pieces that are [kept](Vault::keep) whole | the vault |
//!
//! A [`Vault`] is `recovery.directory`, or, where none is set, memory without a name that the keeper holds.

pub(crate) mod boot;
pub mod configuration;
#[cfg(test)]
pub(crate) mod example;
pub mod keys;
pub mod listeners;
mod memory;
pub mod ports;
pub mod records;
pub mod state;
pub mod superseded;
pub mod survivors;
mod vault;

pub use vault::{Vault, VaultError};

/// The name of the socket in a vault's directory by which a relay can be taken over that serves.
pub const SOCKET: &str = "relay.sock";
