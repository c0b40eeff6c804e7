//! Where a relay shows which relayed addresses it has: one page table of bits for each generation, which other
//! relays of this node see while they serve beside it.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::ptr::null_mut;

use rustix::fs::{fstat, ftruncate};
use rustix::mm::{MapFlags, ProtFlags, mmap};
use turn::ledger::OpenPorts;

use super::Vault;

/// What the names of these pieces begin with.
const PREFIX: &str = "ports.";

/// Makes those of `generation`, without any that is open.
pub fn create(vault: &Vault, generation: u64) -> io::Result<(OwnedFd, &'static OpenPorts)> {
    let piece = vault.create(&format!("{PREFIX}{generation}"))?;
    ftruncate(&piece, size_of::<OpenPorts>() as u64)?;
    let open = map(&piece)?;
    Ok((piece, open))
}

/// Those in `piece`, which may be another process's. They stay mapped for good: 16 KiB for each relay that this
/// one has ever been beside.
///
/// # Errors
/// When there is less in it.
pub fn map(piece: impl AsFd) -> io::Result<&'static OpenPorts> {
    let length = size_of::<OpenPorts>();
    if fstat(&piece)?.st_size.cast_unsigned() < length as u64 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let (protection, flags) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED);
    // SAFETY: a new mapping at a place of the kernel's choice touches no memory that is in use.
    let start = unsafe { mmap(null_mut(), length, protection, flags, piece, 0)? };
    // SAFETY: the mapping is as long, aligned to pages, and never unmapped; the ports are atomic numbers, of which
    // every bit pattern is one, and all who touch them do so atomically.
    Ok(unsafe { &*start.cast() })
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
