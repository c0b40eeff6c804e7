//! A process that writes records, and SIGKILL at any moment.

use std::env;
use std::fs::File;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Child;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use rand::RngExt;
use rustix::process::{Signal, set_parent_process_death_signal};

use super::again::again;
use crate::recovery::Vault;
use crate::recovery::example::{Example, example};
use crate::recovery::memory::Mapping;
use crate::recovery::records::{Records, read};

/// Places that are written in turn.
const SLOTS: u64 = 7;
/// After so many it begins again: with a short one, a long one or an end in each place in turn.
const ALL: u64 = 3 * 5 * SLOTS;

/// What is written as number `n`.
fn nth(n: u64) -> Example {
    let user = "x".repeat(if n.is_multiple_of(3) { 500 } else { 5 });
    Example { user, created: n % ALL, ..example((n % SLOTS) as u32) }
}

fn ends(n: u64) -> bool {
    n.is_multiple_of(5)
}

#[test]
fn whoever_is_killed_while_writing_leaves_what_was_or_what_is() {
    if let Some(directory) = env::var_os("EDGERELAY_TEST_WRITES_IN") {
        write_for_ever(Path::new(&directory));
    }
    for _ in 0..30 {
        let directory = tempfile::tempdir().unwrap();
        let progress = progress_in(directory.path());
        let mut writer = Killed(
            again(
                module_path!(),
                "whoever_is_killed_while_writing_leaves_what_was_or_what_is",
                ("EDGERELAY_TEST_WRITES_IN", directory.path()),
            )
            .spawn()
            .unwrap(),
        );
        let until = rand::rng().random_range(1..10_000_u64);
        while written(&progress) < until {
            assert_eq!(writer.0.try_wait().unwrap(), None);
            thread::sleep(Duration::from_micros(rand::rng().random_range(1..100)));
        }
        writer.0.kill().unwrap();
        assert_eq!(writer.0.wait().unwrap().signal(), Some(9));
        check(&Vault::in_directory(&directory.path().join("vault")).unwrap(), written(&progress));
    }
}

/// After number `done`, and maybe the one behind that.
fn check(vault: &Vault, done: u64) {
    let estate = read(vault, 1).unwrap();
    assert_eq!(estate.damaged, 0);
    for slot in 0..SLOTS {
        let found = estate.survivors.iter().find(|it| it.allocation.id.index() as u64 == slot);
        let found = found.map(|it| it.allocation.clone());
        let said = |n: u64| (n > 0 && !ends(n)).then(|| nth(n).record());
        let last = (0..=done).rev().find(|n| *n > 0 && n % SLOTS == slot).unwrap_or(0);
        let next = (done + 1) % SLOTS == slot;
        assert!(found == said(last) || next && found == said(done + 1), "place {slot} after {done}");
    }
}

fn write_for_ever(directory: &Path) -> ! {
    set_parent_process_death_signal(Some(Signal::KILL)).unwrap();
    let vault = Vault::in_directory(&directory.join("vault")).unwrap();
    let mut records = Records::create(&vault, 1, 1).unwrap();
    let progress = progress_in(directory);
    let changes: Vec<_> = (0..ALL).map(|n| if ends(n) { nth(n).end() } else { nth(n).change() }).collect();
    // Hardly anything but writing, so that most signals come in the midst of it.
    for n in 1.. {
        records[0].write(&changes[(n % ALL) as usize]).unwrap();
        progress.words()[0].store(n, Ordering::Release);
    }
    unreachable!("nobody counts so far")
}

/// A word that says how many were written.
fn progress_in(directory: &Path) -> Mapping {
    let file =
        File::options().create(true).truncate(false).read(true).write(true).open(directory.join("progress"));
    let file = file.unwrap();
    file.set_len(4096).unwrap();
    Mapping::of(file, 0, 4096).unwrap()
}

fn written(progress: &Mapping) -> u64 {
    progress.words()[0].load(Ordering::Acquire)
}

/// Also where the test fails.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
