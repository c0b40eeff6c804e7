//! One at a time: of those who want to serve in a directory, and of those who do.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};
use rustix::io::fcntl_dupfd_cloexec;

use crate::net::descriptors;

/// Above all descriptors that a relay has, of which each family's ports take one and each connection; a table takes
/// eight bytes for each number below its highest one.
const HIGHEST: u64 = 1 << 17;
/// Who has it is about to serve, or to find out that it may not.
const STARTING: &str = "starting.lock";
/// Who serves has a part of it, and whoever holds the sockets of one that was killed.
const SERVING: &str = "serving.lock";

/// The right to start, until it is dropped.
#[derive(Debug)]
pub struct Starting(#[expect(dead_code, reason = "dropping it unlocks")] File);

/// What shows that somebody serves, for as long as it or another descriptor of it is open.
#[derive(Debug)]
pub struct Serving(File);

impl Starting {
    /// The right to start in `directory`, if nobody else has it.
    pub fn try_begin(directory: &Path) -> io::Result<Option<Self>> {
        let file = open(directory, STARTING)?;
        Ok(lock(&file, FlockOperation::NonBlockingLockExclusive)?.then_some(Self(file)))
    }
}

impl Serving {
    /// Shows that this process serves in `directory`.
    pub fn show(directory: &Path) -> io::Result<Self> {
        let file = open(directory, SERVING)?;
        flock(&file, FlockOperation::LockShared)?;
        // The kernel closes what a killed process has by number: who sees this closed finds all sockets closed too.
        let last = fcntl_dupfd_cloexec(&file, last_numbers());
        Ok(Self(last.map_or(file, File::from)))
    }

    /// Makes the table of descriptors as long as [`Self::show`] needs it, which takes milliseconds: for whoever has
    /// no time for that later.
    pub fn make_room(directory: &Path) -> io::Result<()> {
        let file = open(directory, SERVING)?;
        // Where both numbers are taken the table is that long.
        let _ = fcntl_dupfd_cloexec(&file, last_numbers());
        Ok(())
    }

    /// Shows it no more, whoever has another descriptor of it.
    pub fn hide(self) {
        // It cannot fail for a file that is locked.
        let _ = flock(&self.0, FlockOperation::Unlock);
    }

    /// Whether somebody serves in `directory`, or will again at once.
    pub fn is_somebody(directory: &Path) -> io::Result<bool> {
        let file = open(directory, SERVING)?;
        Ok(!lock(&file, FlockOperation::NonBlockingLockExclusive)?)
    }
}

impl AsRawFd for Serving {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

/// The first of two numbers behind all others: the one is this process's, the other may still be that of the one that
/// was killed before it in the same table.
fn last_numbers() -> RawFd {
    descriptors::raise_limit().min(HIGHEST) as RawFd - 2
}

fn open(directory: &Path, name: &str) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).mode(0o600).custom_flags(libc::O_NOFOLLOW);
    options.open(directory.join(name))
}

fn lock(file: &File, how: FlockOperation) -> io::Result<bool> {
    match flock(file, how) {
        Ok(()) => Ok(true),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_starts_at_a_time() {
        let directory = tempfile::tempdir().unwrap();
        let first = Starting::try_begin(directory.path()).unwrap();
        assert!(first.is_some());
        assert!(Starting::try_begin(directory.path()).unwrap().is_none());
        drop(first);
        assert!(Starting::try_begin(directory.path()).unwrap().is_some());
    }

    #[test]
    fn each_process_of_a_table_has_a_number_behind_all_others() {
        let directory = tempfile::tempdir().unwrap();
        let mut killed = Serving::show(directory.path()).unwrap();
        for _ in 0..3 {
            let next = Serving::show(directory.path()).unwrap();
            Serving::make_room(directory.path()).unwrap();
            for serving in [&killed, &next] {
                assert!(serving.as_raw_fd() >= last_numbers());
            }
            killed = next;
        }
    }

    #[test]
    fn who_serves_is_seen_until_its_last_descriptor_is_closed_or_it_says_so() {
        let directory = tempfile::tempdir().unwrap();
        let is_somebody = || Serving::is_somebody(directory.path()).unwrap();
        assert!(!is_somebody());
        let old = Serving::show(directory.path()).unwrap();
        let keepers = old.0.try_clone().unwrap();
        drop(old);
        assert!(is_somebody(), "its keeper has its sockets");
        let reborn = Serving::show(directory.path()).unwrap();
        drop(keepers);
        assert!(is_somebody());
        let new = Serving::show(directory.path()).unwrap();
        let keepers = reborn.0.try_clone().unwrap();
        reborn.hide();
        assert!(is_somebody());
        drop(new);
        assert!(!is_somebody(), "the one that hides it has predecessors' business");
        drop(keepers);
    }
}
