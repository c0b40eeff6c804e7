//! Where a relay shows which relayed addresses it has: a table of bits, which other relays of this node see while
//! they serve beside it.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{MemfdFlags, ftruncate, memfd_create};
use turn::ledger::OpenPorts;

use super::memory;

/// An empty one, as memory that goes to others by its descriptor.
pub fn create() -> io::Result<OwnedFd> {
    let memory = memfd_create("open ports", MemfdFlags::CLOEXEC)?;
    ftruncate(&memory, size_of::<OpenPorts>() as u64)?;
    Ok(memory)
}

/// What is in `memory`, which may be another process's. It stays mapped for good: 16 KiB for each relay that this
/// one has ever been beside.
///
/// # Errors
/// When there is less in it.
pub fn map(memory: impl AsFd) -> io::Result<&'static OpenPorts> {
    memory::open_ports(memory)
}
