//! The physical memory of a program, however many processes it is.

use std::collections::HashMap;
use std::fs;
use std::os::linux::fs::MetadataExt as _;

use procfs::ProcResult;
use procfs::process::{FDTarget, Process};

/// What `stat(2)` counts blocks in.
const BLOCK: u64 = 512;

/// Bytes that these processes occupy, where each page that several of them have counts once, and memory without a
/// name (memfd_create(2)) that they have open with all its pages, also those that nobody has touched yet.
pub fn of(processes: &[Process]) -> ProcResult<u64> {
    let mapped = processes.iter().map(own).sum::<ProcResult<u64>>()?;
    let mut unnamed = HashMap::new();
    for process in processes {
        for file in process.fd()?.filter_map(Result::ok) {
            // It may be closed by now.
            let link = format!("/proc/{}/fd/{}", process.pid, file.fd);
            if matches!(file.target, FDTarget::MemFD(_))
                && let Ok(metadata) = fs::metadata(link)
            {
                unnamed.insert(metadata.st_ino(), metadata.st_blocks() * BLOCK);
            }
        }
    }
    Ok(mapped + unnamed.values().sum::<u64>())
}

/// Bytes that a process has mapped beside shared memory: its share of each page that others have too.
pub fn own(process: &Process) -> ProcResult<u64> {
    let rollup = process.smaps_rollup()?;
    let mapped = rollup.memory_map_rollup.0.iter();
    Ok(mapped
        .flat_map(|map| ["Pss_Anon", "Pss_File"].map(|kind| map.extension.map.get(kind)))
        .flatten()
        .sum())
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use rustix::fs::{FallocateFlags, MemfdFlags, fallocate, memfd_create};

    use super::*;

    #[test]
    fn memory_without_a_name_counts_once_however_often_it_is_open() {
        const SIZE: u64 = 64 << 20;
        let all = || of(&[Process::myself().unwrap()]).unwrap();
        let before = all();
        let shared = File::from(memfd_create("shared", MemfdFlags::empty()).unwrap());
        fallocate(&shared, FallocateFlags::empty(), 0, SIZE).unwrap();
        let again = shared.try_clone().unwrap();
        let grown = all() - before;
        drop((shared, again));
        // The test's own memory is not quite the same all the time.
        assert!((SIZE - SIZE / 4..SIZE + SIZE / 4).contains(&grown), "{grown} bytes");
    }
}
