//! Secrets, passwords and keys are in no core dump, no log line and no file that others can read.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE};
use edgerelay_e2e::Network;
use edgerelay_e2e::client::Client;
use edgerelay_e2e::credential::Credential;
use edgerelay_e2e::relay::{REALM, Relay, SECRET};
use md5::{Digest as _, Md5};
use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, setrlimit};
use testbed::eventually_true;

use crate::place::Place;
use crate::scene::{SETTINGS, SOON};

#[test]
fn are_in_nothing_that_others_can_read() {
    let unlimited = Rlimit { current: None, maximum: None };
    setrlimit(Resource::Core, unlimited).expect("root may");
    let network = Network::new();
    let place = Place::new();
    let trace = ("telemetry.log_level", "\"trace\"");
    let relay = Relay::undisturbed(&network, &place.settings(&[SETTINGS[0], SETTINGS[1], trace]));
    let credentials = [relay.credential("alice"), relay.long_term()];
    let clients = credentials.clone().map(|credential| {
        let mut client = Client::udp(&network.alice, relay.plain(), credential);
        client.allocate().expect("within the limits");
        client
    });
    let secrets = Secrets::of(&credentials);
    is_the_users_alone(&place.vault());
    another_program_leaves_a_core_dump();

    // What a wild pointer ends with, and what a panic does.
    for signal in [Signal::SEGV, Signal::ABORT] {
        let child = relay.child();
        // The first SIGSEGV goes to a handler of Rust's, which takes itself away and waits for the fault to be repeated.
        eventually_true(SOON, "the relay to end", || {
            kill_process(child, signal).is_err() || relay.child() != child
        });
        eventually_true(SOON, "the next relay to serve", || relay.is_ready());
    }
    for mut client in clients {
        client.refresh(600).expect("its call goes on");
    }
    is_the_users_alone(&place.vault());
    let dumps: Vec<PathBuf> = files_in(relay.folder()).filter(|file| is_core(file)).collect();
    println!("{} core dumps", dumps.len());
    for dump in dumps {
        secrets.are_not_in(&fs::read(&dump).expect("root may"), &dump.display().to_string());
    }
    secrets.are_not_in(relay.log().as_bytes(), "the log");
    secrets.are_not_in(relay.metrics().as_bytes(), "the metrics");
}

/// Asserts that this machine makes core dumps where a program may have them: else there would be nothing to see.
fn another_program_leaves_a_core_dump() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut sleep =
        Command::new("sleep").arg("60").current_dir(&folder).spawn().expect("it is in every system");
    kill_process(Pid::from_child(&sleep), Signal::ABORT).expect("it runs");
    sleep.wait().expect("it is ours");
    assert!(files_in(folder.path()).any(|file| is_core(&file)), "no program leaves a core dump: see core(5)");
}

/// Asserts that nobody else gets at what is in the directory.
fn is_the_users_alone(vault: &Path) {
    let mode = |path: &Path| fs::symlink_metadata(path).expect("it is there").permissions().mode() & 0o7777;
    assert_eq!(mode(vault), 0o700);
    let mut files = files_in(vault).peekable();
    assert!(files.peek().is_some());
    for file in files {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
}

fn files_in(folder: &Path) -> impl Iterator<Item = PathBuf> {
    fs::read_dir(folder).expect("it is there").map(|file| file.expect("it is ours").path())
}

/// As /proc/sys/kernel/core_pattern says by default.
fn is_core(file: &Path) -> bool {
    file.file_name().is_some_and(|name| name.to_string_lossy().starts_with("core"))
}

/// What nobody is to find: each secret with a name, in every form that it may be written in.
struct Secrets(Vec<(String, Vec<u8>)>);

impl Secrets {
    fn of(credentials: &[Credential]) -> Self {
        let shared = ("the shared secret".to_owned(), SECRET.as_bytes().to_vec());
        let users = credentials.iter().flat_map(|Credential { username, password }| {
            // RFC 8489 section 9.2.2
            let key = Md5::digest(format!("{username}:{REALM}:{password}")).to_vec();
            [
                (format!("the password of {username}"), password.as_bytes().to_vec()),
                (format!("the key of {username}"), key),
            ]
        });
        let forms = |(name, bytes): (String, Vec<u8>)| {
            let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            let encoded = [BASE64_STANDARD.encode(&bytes), BASE64_URL_SAFE.encode(&bytes)];
            let encoded = encoded.map(|text| text.trim_end_matches('=').to_owned().into_bytes());
            [vec![bytes, hex.to_uppercase().into_bytes(), hex.into_bytes()], encoded.to_vec()]
                .concat()
                .into_iter()
                .map(move |form| (name.clone(), form))
        };
        Self([shared].into_iter().chain(users).flat_map(forms).collect())
    }

    fn are_not_in(&self, bytes: &[u8], place: &str) {
        for (name, form) in &self.0 {
            let found = bytes.windows(form.len()).any(|window| window == form);
            assert!(!found, "{name} is in {place}");
        }
    }
}
