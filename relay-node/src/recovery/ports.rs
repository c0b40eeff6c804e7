//! Where a relay shows which relayed addresses it has: one page table of bits for each generation, which other
//! relays of this node see while they serve beside it.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{FallocateFlags, fallocate};
use turn::ledger::OpenPorts;

use super::{Vault, memory};

/// What the names of these pieces begin with.
const PREFIX: &str = "ports.";

/// Makes those of `generation`, without any that is open.
pub fn create(vault: &Vault, generation: u64) -> io::Result<(OwnedFd, &'static OpenPorts)> {
    let piece = vault.create(&format!("{PREFIX}{generation}"))?;
    // Room is taken now: to write where there is none would be a fatal signal.
    fallocate(&piece, FallocateFlags::empty(), 0, size_of::<OpenPorts>() as u64)?;
    let open = map(&piece)?;
    Ok((piece, open))
}

/// Those in `piece`, which may be another process's. They stay mapped for good: 16 KiB for each relay that this
/// one has ever been beside.
///
/// # Errors
/// When there is less in it.
pub fn map(piece: impl AsFd) -> io::Result<&'static OpenPorts> {
    memory::open_ports(piece)
}

/// Removes those of all generations but `kept`.
pub fn remove_all_but(vault: &Vault, kept: &[u64]) -> io::Result<()> {
    let generation = |name: &str| name.strip_prefix(PREFIX)?.parse::<u64>().ok();
    for name in vault.names()? {
        if generation(&name).is_some_and(|generation| !kept.contains(&generation)) {
            vault.remove(&name)?;
        }
    }
    Ok(())
}
