//! Files that are damaged, of elsewhere, or made by somebody else.

use std::fs::{self, File, OpenOptions, Permissions};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::PathBuf;

use proptest::collection::vec;
use proptest::prelude::*;
use turn::record::VERSION;

use crate::recovery::example::{example, reservation};
use crate::recovery::records::format::{
    ALLOCATIONS, CHANNELS, Header, Owner, PERMISSIONS, RESERVATIONS, SEGMENT,
};
use crate::recovery::records::{Records, Unusable, read};
use crate::recovery::{Vault, boot};

/// A generation of one worker with a few records.
struct Files {
    directory: tempfile::TempDir,
    vault: Vault,
}

impl Files {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let vault = Vault::in_directory(&directory.path().join("vault")).unwrap();
        let mut records = Records::create(&vault, 7, 1).unwrap();
        for slot in 0..3 {
            let of = example(slot);
            let changes = [
                of.change(),
                of.permission(slot, [203, 0, 113, 1]),
                of.channel(slot, 0x4000, ([203, 0, 113, 1], 9)),
                reservation(1000 + slot as u16, "alice"),
            ];
            changes.iter().for_each(|change| records[0].write(change).unwrap());
        }
        Self { directory, vault }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join("vault").join(name)
    }

    fn file(&self, name: &str) -> File {
        OpenOptions::new().read(true).write(true).open(self.path(name)).unwrap()
    }

    fn set_header(&self, change: impl FnOnce(&mut Header)) -> String {
        let clock = boot::clock().unwrap();
        let mut header = Header { version: VERSION, generation: 7, owner: Owner::Worker(0), clock };
        change(&mut header);
        self.file("records.7.0").write_all_at(&header.to_bytes(), 0).unwrap();
        self.refusal()
    }

    fn refusal(&self) -> String {
        read(&self.vault, 7).unwrap_err().to_string()
    }
}

#[test]
fn a_header_that_was_changed_anywhere_is_refused_and_its_file_named() {
    let files = Files::new();
    let file = files.file("records.7.0");
    for place in 0..Header::LEN as u64 {
        let mut byte = [0];
        file.read_exact_at(&mut byte, place).unwrap();
        file.write_all_at(&[byte[0] ^ 0x20], place).unwrap();
        let refusal = files.refusal();
        assert!(refusal.starts_with(files.path("records.7.0").to_str().unwrap()), "{refusal}");
        file.write_all_at(&byte, place).unwrap();
    }
    assert_eq!(read(&files.vault, 7).unwrap().survivors.len(), 3);
}

#[test]
fn what_is_of_elsewhere_is_refused_in_a_sentence() {
    let files = Files::new();
    let refusal = files.set_header(|header| header.clock.boot ^= 1);
    assert!(
        refusal.ends_with("is of an earlier boot of the system, with which its calls ended"),
        "{refusal}"
    );
    let refusal = files.set_header(|header| header.clock.namespace ^= 1);
    assert!(refusal.contains("is of another time namespace"), "{refusal}");
    let refusal = files.set_header(|header| header.version = VERSION + 1);
    let versions =
        format!("holds records of version {}, this relay reads versions up to {VERSION}", VERSION + 1);
    assert!(refusal.contains(&versions) && refusal.contains("start the relay that wrote it"), "{refusal}");
    let refusal = files.set_header(|header| header.generation = 8);
    assert!(refusal.contains("was written under another name"), "{refusal}");
    let refusal = files.set_header(|header| header.owner = Owner::Worker(1));
    assert!(refusal.contains("was written under another name"), "{refusal}");
}

#[test]
fn what_others_may_write_is_refused() {
    let files = Files::new();
    fs::set_permissions(files.path("records.7.0"), Permissions::from_mode(0o660)).unwrap();
    assert!(files.refusal().contains("has another mode than 0600"), "{}", files.refusal());
}

#[test]
fn a_generation_without_files_is_refused() {
    let files = Files::new();
    assert!(matches!(read(&files.vault, 8), Err(Unusable::Missing { generation: 8, .. })));
}

#[test]
fn of_a_file_that_was_cut_short_the_rest_is_read() {
    let files = Files::new();
    let file = files.file("records.7.0");
    // Permissions and channels are gone, and two allocations.
    file.set_len(ALLOCATIONS.faces.start + ALLOCATIONS.faces.cell_len as u64).unwrap();
    let estate = read(&files.vault, 7).unwrap();
    assert_eq!((estate.survivors.len(), estate.reservations.len(), estate.damaged), (1, 3, 0));
    assert!(estate.survivors[0].permissions.is_empty());
    // In the midst of the first one.
    file.set_len(ALLOCATIONS.faces.start + 100).unwrap();
    let estate = read(&files.vault, 7).unwrap();
    assert_eq!((estate.survivors.len(), estate.damaged), (0, 1));
    file.set_len(10).unwrap();
    assert!(files.refusal().contains("has a damaged header"));
}

#[test]
fn what_stands_behind_the_end_is_not_read() {
    let files = Files::new();
    let file = files.file("records.7.0");
    file.set_len(1 << 40).unwrap();
    file.write_all_at(&[0xAA; 4096], (1 << 40) - 4096).unwrap();
    let estate = read(&files.vault, 7).unwrap();
    assert_eq!((estate.survivors.len(), estate.damaged), (3, 0));
}

#[test]
fn a_record_in_another_place_than_its_own_is_left_out() {
    let files = Files::new();
    for (name, shape) in [("records.7.0", &ALLOCATIONS), ("records.7.node", &RESERVATIONS)] {
        let (file, length) = (files.file(name), shape.faces.cell_len as u64);
        let mut cell = vec![0; length as usize];
        let first = if name == "records.7.0" { 0 } else { 1000 };
        file.read_exact_at(&mut cell, shape.faces.start + first * length).unwrap();
        file.write_all_at(&cell, shape.faces.start + (first + 5) * length).unwrap();
    }
    let estate = read(&files.vault, 7).unwrap();
    assert_eq!((estate.survivors.len(), estate.reservations.len(), estate.damaged), (3, 3, 2));
}

#[test]
fn a_record_of_another_kind_than_its_place_is_left_out() {
    let files = Files::new();
    let file = files.file("records.7.0");
    let mut permission = vec![0; PERMISSIONS.faces.cell_len];
    file.read_exact_at(&mut permission, PERMISSIONS.faces.start).unwrap();
    file.write_all_at(&permission, CHANNELS.faces.start).unwrap();
    let estate = read(&files.vault, 7).unwrap();
    assert_eq!(estate.damaged, 1);
    assert!(estate.survivors.iter().any(|survivor| survivor.channels.is_empty()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn whatever_is_overwritten_no_record_becomes_another(
        changes in vec((0..3_u64, 0..1_600_u64, vec(any::<u8>(), 1..200)), 1..20),
    ) {
        let files = Files::new();
        let before = read(&files.vault, 7).unwrap();
        let file = files.file("records.7.0");
        for (area, place, bytes) in changes {
            let area = [ALLOCATIONS, PERMISSIONS, CHANNELS][area as usize].faces.start;
            file.write_all_at(&bytes, area + place).unwrap();
        }
        let after = read(&files.vault, 7).unwrap();
        for survivor in &after.survivors {
            let former = before.survivors.iter().find(|it| it.allocation == survivor.allocation).unwrap();
            prop_assert!(survivor.permissions.iter().all(|it| former.permissions.contains(it)));
            prop_assert!(survivor.channels.iter().all(|it| former.channels.contains(it)));
        }
    }

    #[test]
    fn garbage_is_left_out_and_counted(bytes in vec(any::<u8>(), SEGMENT)) {
        let files = Files::new();
        let file = files.file("records.7.0");
        for shape in [ALLOCATIONS, PERMISSIONS, CHANNELS] {
            file.write_all_at(&bytes, shape.faces.start).unwrap();
        }
        let estate = read(&files.vault, 7).unwrap();
        prop_assert!(estate.survivors.is_empty());
        prop_assert_eq!(estate.damaged as usize, 128 + 512 + 512);
    }
}
