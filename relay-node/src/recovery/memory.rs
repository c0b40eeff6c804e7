//! Memory that is shared with other processes, and descriptors that are named by their number: what the
//! compiler cannot check, in one place.
#![allow(unsafe_code)]

use std::ffi::c_void;
use std::io::{self, ErrorKind};
use std::mem::ManuallyDrop;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr::{NonNull, null_mut};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{OFlags, fcntl_getfl, fstat};
use rustix::mm::{
    Advice, MapFlags, MremapFlags, ProtFlags, madvise, mmap, mmap_anonymous, mremap_fixed, munmap,
};
use turn::ledger::OpenPorts;
use turn::record::Tally;

/// Bytes in a word.
pub(super) const WORD: usize = size_of::<u64>();

/// A part of a file as memory, shared with whoever else maps it. Not in core dumps.
#[derive(Debug)]
pub(super) struct Mapping {
    start: NonNull<AtomicU64>,
    words: usize,
}

impl Mapping {
    /// The `len` bytes of `file` from `offset` on, a multiple of any system's page size.
    ///
    /// # Errors
    /// When the file ends before that, since to touch what is not there is a fatal signal. The caller has
    /// made sure that what is there has its room on the disk, or in the tmpfs.
    pub(super) fn of(file: impl AsFd, offset: u64, len: usize) -> io::Result<Self> {
        check_length(file.as_fd(), offset, len)?;
        // SAFETY: a new mapping at a place of the kernel's choice touches no memory that is in use.
        let start = unsafe { mmap(null_mut(), len, READ_AND_WRITE, MapFlags::SHARED, file, offset)? };
        let start = NonNull::new(start.cast()).ok_or(ErrorKind::OutOfMemory)?;
        let mapping = Self { start, words: len / WORD };
        leave_out_of_core_dumps(start.as_ptr().cast(), len)?;
        Ok(mapping)
    }

    /// The memory. Others may write it at any time: hence words that are read and written as one.
    pub(super) fn words(&self) -> &[AtomicU64] {
        // SAFETY: `start` and `words` are those of a mapping that lives as long as `self`; pages are aligned
        // for words, every bit pattern is one, and all who touch it in this program do so atomically.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.words) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: it is the mapping that `of` made, and no reference to it outlives `self`.
        let unmapped = unsafe { munmap(self.start.as_ptr().cast(), self.words * WORD) };
        debug_assert!(unmapped.is_ok(), "a whole mapping can be given back");
    }
}

// SAFETY: a mapping is of the process, not of a thread, and is only read and written atomically.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

/// Tallies that lie next to each other for as long as the process lives: plain memory at first, of which parts
/// become parts of a file once that has room for them. So all can be written at any time.
#[derive(Debug)]
pub(super) struct Tallies(&'static [Tally]);

impl Tallies {
    /// So many, all zero.
    pub(super) fn new(count: usize) -> io::Result<Self> {
        let len = count * size_of::<Tally>();
        let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
        // SAFETY: a new mapping at a place of the kernel's choice touches no memory that is in use.
        let start = unsafe { mmap_anonymous(null_mut(), len, READ_AND_WRITE, flags)? };
        leave_out_of_core_dumps(start, len)?;
        // SAFETY: the mapping is as long, zeroed, and aligned to pages, which is enough for a tally; a tally
        // is made of atomic numbers, of which every bit pattern is one. It is never unmapped: leaked.
        Ok(Self(unsafe { std::slice::from_raw_parts(start.cast(), count) }))
    }

    /// All of them.
    pub(super) const fn all(&self) -> &'static [Tally] {
        self.0
    }

    /// Makes `len` bytes of them from `at` on those of `file` from `offset` on, all multiples of any system's
    /// page size. What they said, the file says then: by the thread that writes them, since what it wrote
    /// meanwhile would be lost.
    ///
    /// # Errors
    /// As for [`Mapping::of`]. Then they stay what they were.
    pub(super) fn share(&self, at: usize, file: impl AsFd, offset: u64, len: usize) -> io::Result<()> {
        assert!(at + len <= size_of_val(self.0), "{len} bytes from {at} on are tallies");
        let shared = Mapping::of(file, offset, len)?;
        let start = self.0.as_ptr().cast::<u8>().cast_mut().wrapping_add(at);
        // SAFETY: the range lies within the tallies, as was checked, which are words of eight bytes.
        let words = unsafe { std::slice::from_raw_parts(start.cast::<AtomicU64>(), len / WORD) };
        for (from, to) in words.iter().zip(shared.words()) {
            to.store(from.load(Ordering::Relaxed), Ordering::Relaxed);
        }
        let (shared, flags) = (ManuallyDrop::new(shared), MremapFlags::MAYMOVE);
        // SAFETY: the range is part of the mapping that `new` made, is never unmapped, and holds the same
        // values afterwards; references into it stay valid since all access is atomic. What moves there is
        // not used where it was: it is not dropped. Unlike mmap, mremap refuses a mapping too many before it
        // takes away what is there.
        let moved = unsafe { mremap_fixed(shared.start.as_ptr().cast(), len, len, flags, start.cast()) };
        if moved.is_err() {
            drop(ManuallyDrop::into_inner(shared));
        }
        moved?;
        Ok(())
    }
}

/// Open ports that lie in `file`, shared with whoever else maps it: never unmapped.
///
/// # Errors
/// As for [`Mapping::of`].
pub(super) fn open_ports(file: impl AsFd) -> io::Result<&'static OpenPorts> {
    let mapping = ManuallyDrop::new(Mapping::of(file, 0, size_of::<OpenPorts>())?);
    // SAFETY: the mapping is as long, aligned to pages, and not unmapped since it is not dropped; the ports are
    // made of atomic numbers, of which every bit pattern is one.
    Ok(unsafe { mapping.start.cast().as_ref() })
}

/// The flags that a descriptor of this process was opened with.
pub(super) fn flags(descriptor: RawFd) -> io::Result<OFlags> {
    // SAFETY: it is used for one system call, which refuses a number that is no descriptor.
    let borrowed = unsafe { BorrowedFd::borrow_raw(descriptor) };
    Ok(fcntl_getfl(borrowed)?)
}

/// Closes a descriptor that no value of this process owns, as those of a vault in memory.
pub(super) fn close(descriptor: RawFd) {
    // SAFETY: nobody else owns it, says the caller.
    drop(unsafe { OwnedFd::from_raw_fd(descriptor) });
}

const READ_AND_WRITE: ProtFlags = ProtFlags::READ.union(ProtFlags::WRITE);

fn check_length(file: BorrowedFd<'_>, offset: u64, len: usize) -> io::Result<()> {
    let there = fstat(file)?.st_size.cast_unsigned();
    match offset.checked_add(len as u64) {
        Some(end) if end <= there => Ok(()),
        _ => Err(ErrorKind::UnexpectedEof.into()),
    }
}

fn leave_out_of_core_dumps(start: *mut c_void, len: usize) -> io::Result<()> {
    // SAFETY: the advice changes nothing that the process itself can see.
    let advised = unsafe { madvise(start, len, Advice::LinuxDontDump) };
    Ok(advised?)
}
