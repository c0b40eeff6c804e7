//! Pieces that are memory without a name in any directory (memfd). What knows them is the descriptor table
//! itself, which the keeper holds: a relay that starts in it finds them there, whoever made them.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd, RawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::fs::{MemfdFlags, OFlags, memfd_create};
use rustix::io::Errno;

use crate::recovery::memory;

/// One of several in a process, as tests have; a relay and all after it in one table have the keeper's.
#[derive(Debug)]
pub(super) struct Anonymous {
    number: u64,
    /// What there is, once nobody else changes that.
    known: Mutex<Option<Pieces>>,
}

/// Descriptors by name.
type Pieces = BTreeMap<String, RawFd>;

impl Anonymous {
    pub(super) fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self { number: NEXT.fetch_add(1, Ordering::Relaxed), known: Mutex::default() }
    }

    pub(super) fn settle(&self) -> io::Result<()> {
        let pieces = self.look_around()?;
        *self.known() = Some(pieces);
        Ok(())
    }

    pub(super) fn create(&self, name: &str) -> io::Result<OwnedFd> {
        self.remove(name)?;
        let label = format!("{}{name}", self.prefix());
        let flags = MemfdFlags::CLOEXEC;
        let piece = match memfd_create(&label, flags | MemfdFlags::NOEXEC_SEAL) {
            // Before Linux 6.3.
            Err(Errno::INVAL) => memfd_create(&label, flags)?,
            made => made?,
        };
        // From here on it is the table's.
        let piece = piece.into_raw_fd();
        self.note(name, piece);
        copy_of(piece)
    }

    pub(super) fn open(&self, name: &str) -> io::Result<Option<OwnedFd>> {
        self.pieces()?.get(name).copied().map(copy_of).transpose()
    }

    pub(super) fn remove(&self, name: &str) -> io::Result<()> {
        if let Some(piece) = self.pieces()?.get(name) {
            memory::close(*piece);
        }
        if let Some(known) = &mut *self.known() {
            known.remove(name);
        }
        Ok(())
    }

    /// Makes memory of another table, which has its name there, one of this one's, unless that has it already.
    pub(super) fn adopt(&self, name: &str, piece: OwnedFd) -> io::Result<()> {
        if !self.pieces()?.contains_key(name) {
            let piece = reopen(piece.as_raw_fd(), OFlags::empty())?;
            self.note(name, piece.into_raw_fd());
        }
        Ok(())
    }

    pub(super) fn names(&self) -> io::Result<Vec<String>> {
        Ok(self.pieces()?.into_keys().collect())
    }

    pub(super) fn descriptors(&self) -> io::Result<Vec<RawFd>> {
        Ok(self.pieces()?.into_values().collect())
    }

    fn pieces(&self) -> io::Result<Pieces> {
        if let Some(known) = &*self.known() {
            return Ok(known.clone());
        }
        self.look_around()
    }

    fn known(&self) -> MutexGuard<'_, Option<Pieces>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, name: &str, piece: RawFd) {
        if let Some(known) = &mut *self.known() {
            known.insert(name.to_owned(), piece);
        }
    }

    /// A call for each descriptor there is.
    fn look_around(&self) -> io::Result<Pieces> {
        let mut pieces = Pieces::new();
        let prefix = format!("/memfd:{}", self.prefix());
        for entry in fs::read_dir("/proc/self/fd")? {
            let entry = entry?;
            // Whoever closes a descriptor meanwhile takes its link away.
            let Ok(link) = fs::read_link(entry.path()) else { continue };
            let name = link.to_str().and_then(|link| link.strip_prefix(&prefix)?.strip_suffix(" (deleted)"));
            let descriptor = entry.file_name().to_str().and_then(|text| text.parse().ok());
            if let (Some(name), Some(descriptor)) = (name, descriptor)
                && memory::flags(descriptor).is_ok_and(|flags| !flags.contains(COPY))
            {
                pieces.insert(name.to_owned(), descriptor);
            }
        }
        Ok(pieces)
    }

    fn prefix(&self) -> String {
        format!("edgerelay:{}:", self.number)
    }
}

/// Tells the copies that are given out, and that a killed relay leaves open, from the pieces. It changes nothing
/// about memory.
const COPY: OFlags = OFlags::NONBLOCK;

fn copy_of(piece: RawFd) -> io::Result<OwnedFd> {
    reopen(piece, COPY)
}

fn reopen(piece: RawFd, flags: OFlags) -> io::Result<OwnedFd> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).custom_flags(flags.bits().cast_signed());
    Ok(options.open(format!("/proc/self/fd/{piece}"))?.into())
}
