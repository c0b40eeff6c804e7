//! The limit of open files: every allocation takes one. And copies of what others hold open.
#![allow(unsafe_code, reason = "a descriptor that somebody else holds is a number")]

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd, RawFd};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors that a process needs to look around in a table that another one has filled.
const SPARE: u64 = 64;

/// Raises the soft limit to the hard one; how many may be open now.
pub fn raise_limit() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum.unwrap_or(u64::MAX),
        Err(_) => limit.current.unwrap_or(u64::MAX),
    }
}

/// Takes the soft limit back a little: this process opens nothing any more that the next one in the same table
/// needs room for, until that has closed what it does not go on with.
pub fn spare_some() {
    let limit = getrlimit(Resource::Nofile);
    let spared = limit.maximum.map(|maximum| maximum.saturating_sub(SPARE).max(maximum / 2));
    // Where it cannot be, there is no next process that would miss them.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: spared, ..limit });
}

/// Another descriptor of what `held` is, which somebody of this process has open.
///
/// # Errors
/// When nobody has, or too few open files are allowed.
pub fn copy_of(held: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: it is used for one system call, which refuses a number that is no descriptor.
    let borrowed = unsafe { BorrowedFd::borrow_raw(held) };
    borrowed.try_clone_to_owned()
}
