//! Child processes that go on in this program where their parent is.
//!
//! Both ways copy the one thread that calls them, so nobody else may run in this process: another thread's
//! locks would never open in the child.
#![allow(unsafe_code, reason = "fork and clone")]

use std::io;

use rustix::process::Pid;

/// Which of two processes this is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Side {
    /// The one that asked, and its child.
    Parent(Pid),
    /// The new one.
    Child,
}

/// A child that shares this process's descriptor table: what either opens or closes, both have opened or closed.
/// Nothing of it is closed when one of them ends.
pub(super) fn sharing_descriptors() -> io::Result<Side> {
    let flags = libc::c_long::from(libc::CLONE_FILES | libc::SIGCHLD);
    // SAFETY: without CLONE_VM and with no stack given this is a fork: the child has its own copy of all memory
    // and goes on with the same stack. The one thing that fork does beyond, and that is needed here, is to let
    // no lock stay taken, and nobody else takes any (above). Pointers are all null, so their order, which
    // differs between architectures, does not matter.
    side_of(unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) })
}

/// A child with a descriptor table of its own, a copy.
pub(super) fn copying_descriptors() -> io::Result<Side> {
    // SAFETY: this process has one thread, so that the child may do everything that it may.
    side_of(libc::c_long::from(unsafe { libc::fork() }))
}

fn side_of(returned: libc::c_long) -> io::Result<Side> {
    match i32::try_from(returned).ok().and_then(Pid::from_raw) {
        Some(child) if returned > 0 => Ok(Side::Parent(child)),
        _ if returned == 0 => Ok(Side::Child),
        _ => Err(io::Error::last_os_error()),
    }
}
