//! The built programs.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The relay: `RELAY_UNDER_TEST`, or built now, in the profile of the tests.
pub fn relay() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| named("RELAY_UNDER_TEST").unwrap_or_else(|| build(&[])))
}

/// A relay that writes the records of the next version, as an upgrade would: `NEXT_RELAY_UNDER_TEST`, or built now,
/// in a folder of its own so that each stays where it is.
pub fn next_relay() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        named("NEXT_RELAY_UNDER_TEST").unwrap_or_else(|| {
            let folder = relay().ancestors().nth(2).expect("it is in a folder of a profile").join("next");
            build(&["--features".into(), "next-record-version".into(), "--target-dir".into(), folder.into()])
        })
    })
}

fn named(variable: &str) -> Option<PathBuf> {
    std::env::var_os(variable).map(PathBuf::from)
}

fn build(options: &[OsString]) -> PathBuf {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--package", "edgerelay", "--bin", "edgerelay", "--message-format", "json"]);
    cargo.args(options);
    if !cfg!(debug_assertions) {
        cargo.arg("--release");
    }
    let output = cargo.current_dir(env!("CARGO_MANIFEST_DIR")).output().expect("cargo runs this test");
    assert!(output.status.success(), "the relay does not build: {}", String::from_utf8_lossy(&output.stderr));
    let messages = String::from_utf8(output.stdout).expect("cargo writes JSON");
    let messages = messages.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let mut executables = messages.filter_map(|message| message["executable"].as_str().map(PathBuf::from));
    executables.next_back().expect("cargo names the executable it has built")
}
