//! In which boot this process is, and by which clock it tells the time.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;

use super::records::format::Clock;

/// The clock of this process.
pub(crate) fn clock() -> io::Result<Clock> {
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
    let hexadecimal: String = text.trim().chars().filter(|c| *c != '-').collect();
    let boot = u128::from_str_radix(&hexadecimal, 16).map_err(|_| ErrorKind::InvalidData)?;
    // A kernel without them has one clock.
    let namespace = fs::metadata("/proc/self/ns/time").map_or(0, |namespace| namespace.ino());
    Ok(Clock { boot, namespace })
}
