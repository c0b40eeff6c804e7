use std::fs::{self, File, Permissions};
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, PermissionsExt, symlink};

use super::*;

/// Runs a test with a vault of each kind.
pub(in crate::recovery) fn with_both(test: impl Fn(&Vault)) {
    test(&Vault::in_memory());
    let settled = Vault::in_memory();
    settled.settle().unwrap();
    test(&settled);
    let directory = tempfile::tempdir().unwrap();
    test(&Vault::in_directory(&directory.path().join("of/vaults")).unwrap());
}

fn sorted(mut names: Vec<String>) -> Vec<String> {
    names.sort();
    names
}

#[test]
fn a_piece_is_found_by_its_name_until_it_is_removed() {
    with_both(|vault| {
        assert!(vault.open("state").unwrap().is_none());
        let made = File::from(vault.create("state").unwrap());
        made.write_all_at(b"here", 0).unwrap();
        drop(made);
        let mut text = String::new();
        File::from(vault.open("state").unwrap().unwrap()).read_to_string(&mut text).unwrap();
        assert_eq!(text, "here");
        vault.create("other").unwrap();
        assert_eq!(sorted(vault.names().unwrap()), ["other", "state"]);
        vault.remove("state").unwrap();
        vault.remove("state").unwrap();
        assert_eq!(vault.names().unwrap(), ["other"]);
    });
}

#[test]
fn a_new_piece_is_empty_even_where_the_former_one_is_still_open() {
    with_both(|vault| {
        let former = File::from(vault.create("state").unwrap());
        former.write_all_at(b"former", 0).unwrap();
        vault.create("state").unwrap();
        assert_eq!(File::from(vault.open("state").unwrap().unwrap()).metadata().unwrap().len(), 0);
    });
}

#[test]
fn pieces_in_memory_are_all_that_the_table_has_to_keep() {
    let vault = Vault::in_memory();
    let copies = [vault.create("one").unwrap(), vault.open("one").unwrap().unwrap()];
    let pieces = vault.descriptors().unwrap();
    assert_eq!(pieces.len(), 1);
    assert!(copies.iter().all(|copy| copy.as_raw_fd() != pieces[0]));
    vault.remove("one").unwrap();
    assert!(vault.descriptors().unwrap().is_empty() && vault.open("one").unwrap().is_none());
}

#[test]
fn what_is_kept_last_is_what_is_found() {
    with_both(|vault| {
        assert_eq!(vault.kept("keys").unwrap(), None);
        for bytes in [&b"one"[..], b"", b"three"] {
            vault.keep("keys", bytes).unwrap();
            vault.keep("keys.of.others", b"not these").unwrap();
            assert_eq!(vault.kept("keys").unwrap().unwrap(), bytes);
        }
        assert_eq!(sorted(vault.names().unwrap()), ["keys.2", "keys.of.others.2"]);
    });
}

#[test]
fn what_was_cut_short_or_changed_gives_way_to_what_was_before() {
    with_both(|vault| {
        vault.keep("keys", b"before").unwrap();
        let whole = {
            let mut bytes = Vec::new();
            File::from(vault.open("keys.0").unwrap().unwrap()).read_to_end(&mut bytes).unwrap();
            bytes
        };
        for length in 0..whole.len() {
            let mut file = File::from(vault.create("keys.1").unwrap());
            file.write_all(&whole[..length]).unwrap();
            assert_eq!(vault.kept("keys").unwrap().unwrap(), b"before");
        }
        for place in 0..whole.len() {
            let mut changed = whole.clone();
            changed[place] ^= 0x40;
            File::from(vault.create("keys.1").unwrap()).write_all(&changed).unwrap();
            assert_eq!(vault.kept("keys").unwrap().unwrap(), b"before");
        }
        vault.remove("keys.0").unwrap();
        assert_eq!(vault.kept("keys").unwrap(), None);
    });
}

#[test]
fn nobody_else_can_look_into_a_directory_or_its_pieces() {
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("vault");
    let vault = Vault::in_directory(&path).unwrap();
    vault.create("state").unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!((mode(&path), mode(&path.join("state"))), (0o700, 0o600));
    fs::set_permissions(&path, Permissions::from_mode(0o750)).unwrap();
    let refused = Vault::in_directory(&path).unwrap_err().to_string();
    assert!(refused.contains("(mode 0750)") && refused.ends_with("chmod 0700 it"), "{refused}");
}

#[test]
fn what_is_no_file_of_ours_is_not_opened() {
    let directory = tempfile::tempdir().unwrap();
    let vault = Vault::in_directory(&directory.path().join("vault")).unwrap();
    let path = directory.path().join("vault/state");
    let refused = || vault.open("state").unwrap_err().to_string();

    symlink("/etc/hostname", &path).unwrap();
    assert!(refused().contains("is not a regular file"), "{}", refused());
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    assert!(refused().contains("is not a regular file"), "{}", refused());
    fs::remove_dir(&path).unwrap();
    vault.create("state").unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
    assert!(refused().contains("has another mode than 0600"), "{}", refused());
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    fs::hard_link(&path, directory.path().join("elsewhere")).unwrap();
    assert!(refused().contains("has a second name elsewhere"), "{}", refused());
}

#[test]
fn a_directory_that_cannot_be_made_is_named() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let refused = Vault::in_directory(&file.path().join("vault")).unwrap_err().to_string();
    assert!(
        refused.starts_with("cannot make the directory") && refused.contains("recovery.directory"),
        "{refused}"
    );
}
