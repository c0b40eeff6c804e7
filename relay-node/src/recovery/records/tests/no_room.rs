//! A tmpfs that is full.

use std::env;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use super::again::through;
use crate::recovery::Vault;
use crate::recovery::example::{Example, example};
use crate::recovery::records::{Records, read};

/// Makes a mount namespace, hence as root.
#[test]
fn without_room_a_record_is_refused_and_nothing_else_happens() {
    if let Some(directory) = env::var_os("EDGERELAY_TEST_FILLS") {
        return fill(Path::new(&directory));
    }
    let directory = tempfile::tempdir().unwrap();
    let mount =
        "mount -t tmpfs -o size=512k,mode=700 edgerelay-test \"$EDGERELAY_TEST_FILLS\" && exec \"$@\"";
    let status = through(
        &["unshare", "--mount", "sh", "-c", mount, "sh"],
        module_path!(),
        "without_room_a_record_is_refused_and_nothing_else_happens",
        ("EDGERELAY_TEST_FILLS", directory.path()),
    )
    .status()
    .unwrap();
    assert!(status.success(), "{status}");
    // It was mounted there alone.
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
}

fn fill(directory: &Path) {
    let vault = Vault::in_directory(directory).unwrap();
    let mut records = Records::create(&vault, 1, 1).unwrap();
    let written = (0..100_000).find(|slot| {
        let full = records[0].write(&example(*slot).change()).err();
        full.is_some_and(|error| {
            assert_eq!(error.kind(), ErrorKind::StorageFull);
            true
        })
    });
    let written = written.unwrap();
    assert!(written > 100, "{written} allocations had room");
    // Whoever has a place keeps it, and gets what it says anew.
    let changed = Example { created: 77, ..example(1) };
    records[0].write(&changed.change()).unwrap();
    assert!(records[0].write(&example(1).permission(0, [203, 0, 113, 1])).is_err());
    // Packets go on, of those without a place too.
    let tallies = records[0].tallies();
    tallies.iter().for_each(|tally| tally.write(&tallies[0].read()));
    assert!(vault.keep("keys", &[7; 100_000]).is_err());
    assert_eq!(vault.kept("keys").unwrap(), None);
    let estate = read(&vault, 1).unwrap();
    assert_eq!((estate.survivors.len(), estate.damaged), (written as usize, 0));
    assert_eq!(estate.survivors[1].allocation, changed.record());
}
