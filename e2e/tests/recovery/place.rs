//! Where a relay keeps its records: a directory of the test's in memory, as `recovery.directory` is best.

use std::path::PathBuf;

use tempfile::TempDir;

pub(crate) struct Place {
    directory: TempDir,
    setting: String,
}

impl Place {
    pub(crate) fn new() -> Self {
        let directory = TempDir::with_prefix_in("edgerelay-", "/dev/shm").expect("there is a tmpfs");
        let setting = format!("{:?}", directory.path().join("vault"));
        Self { directory, setting }
    }

    /// `recovery.directory`.
    pub(crate) fn vault(&self) -> PathBuf {
        self.directory.path().join("vault")
    }

    /// These settings, and that directory.
    pub(crate) fn settings<'s>(&'s self, others: &[(&'s str, &'s str)]) -> Vec<(&'s str, &'s str)> {
        [others, &[("recovery.directory", &self.setting)]].concat()
    }
}
