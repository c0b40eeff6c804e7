//! The commands that answer and end: help, check, credential, and what is said of bad input.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::support::{edgerelay, run, text};
use serde_json::Value;
use turn::credentials::Secret;

const SECRET: &str = "a secret of the tests";

/// Flags that make a configuration of a secret, which is in a file.
fn configured(command: &str, rest: &[&str], check: impl FnOnce(std::process::Output)) {
    let directory = tempfile::tempdir().unwrap();
    let secret = directory.path().join("secret");
    fs::write(&secret, format!("{SECRET}\n")).unwrap();
    let flags = [command, "--relay-address", "127.0.0.1", "--secret-file", secret.to_str().unwrap()];
    check(run(&[&flags, rest].concat()));
}

#[test]
fn help_names_every_command_and_the_common_flags() {
    let help = run(&["--help"]);
    assert!(help.status.success());
    let alone = ["serve", "dev", "try", "reload", "check", "credential"];
    let of_a_fleet = ["nodes", "sessions", "end", "drain", "undrain", "usage", "issue", "revoke"];
    for command in alone.into_iter().chain(of_a_fleet) {
        assert!(text(&help.stdout).contains(&format!("  {command} ")), "{command}");
    }
    let help = run(&["serve", "--help"]);
    for flag in [
        "--config",
        "--listen",
        "--certificate",
        "--key",
        "--realm",
        "--relay-address",
        "--ports",
        "--secret-file",
        "--users-file",
        "--allow-peer",
        "--deny-peer",
        "--workers",
        "--recovery-directory",
        "--admin",
        "--otlp-endpoint",
        "--log-level",
        "--log-format",
        "--drain-deadline",
        "--set",
        "SIGTERM",
        "SIGUSR1",
        "SIGHUP",
        "SIGUSR2",
    ] {
        assert!(text(&help.stdout).contains(flag), "{flag}");
    }
}

#[test]
fn unusable_configuration_ends_the_start_with_every_reason() {
    for command in ["serve", "check"] {
        configured(command, &["--ports", "9-1", "--deny-peer", "10.0.0.1/8"], |output| {
            assert_eq!(output.status.code(), Some(2));
            let said = text(&output.stderr);
            assert!(said.contains("relay.ports = \"9-1\": the range runs backwards. Write"), "{said}");
            assert!(said.contains("peers.deny[0] = \"10.0.0.1/8\""), "{said}");
            assert!(!said.contains(SECRET));
        });
    }
}

#[test]
fn the_environment_counts_and_its_secrets_are_not_shown() {
    let output = edgerelay(&["check", "--relay-address", "127.0.0.1"])
        .env("EDGERELAY_CREDENTIALS__REST_SECRETS", "too short")
        .env("EDGERELAY_RELM", "x")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = text(&output.stderr);
    assert!(said.contains("relm (from EDGERELAY_RELM)"), "{said}");
    let output = edgerelay(&["check", "--relay-address", "127.0.0.1"])
        .env("EDGERELAY_CREDENTIALS__REST_SECRETS", "too short")
        .output()
        .unwrap();
    let said = text(&output.stderr);
    assert!(said.contains("credentials.rest_secrets[0]") && !said.contains("too short"), "{said}");
}

#[test]
fn check_tells_what_would_run() {
    let rest = ["--listen", "udp://127.0.0.1:3478", "--realm", "example.org", "--allow-peer", "10.0.0.0/8"];
    configured("check", &rest, |output| {
        assert!(output.status.success(), "{}", text(&output.stderr));
        let told = text(&output.stdout);
        for line in [
            "realm        example.org",
            "listener     udp 127.0.0.1:3478",
            "relay        127.0.0.1 ports 50000-59999",
            "credentials  0 users, 1 secrets",
            "peers        allowed: 10.0.0.0/8",
            "recovery     by a keeper, in its memory",
        ] {
            assert!(told.lines().any(|told| told == line), "{line:?} in\n{told}");
        }
        assert!(!told.contains(SECRET));
    });
}

/// What `edgerelay credential` prints for alice.
fn credential(rest: &[&str]) -> Value {
    let output = run(&[&["credential", "--user", "alice"], rest].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    let server = json["iceServers"][0].clone();
    let username = server["username"].as_str().unwrap();
    assert!(username.ends_with(":alice"));
    let password = Secret::new(SECRET.as_bytes()).unwrap().password(username.as_bytes());
    assert_eq!(server["credential"], password.as_str());
    server
}

#[test]
fn a_credential_needs_the_secret_and_the_addresses() {
    let directory = tempfile::tempdir().unwrap();
    let secret = directory.path().join("secret");
    fs::write(&secret, SECRET).unwrap();
    let urls = ["turn:relay.example.org:3478?transport=udp", "turns:203.0.113.7:5349"];
    let server = credential(&["--secret-file", secret.to_str().unwrap(), "--url", urls[0], "--url", urls[1]]);
    assert_eq!(server["urls"], serde_json::json!(urls));

    let output = run(&["credential", "--user", "alice", "--secret-file", secret.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("--url turn:"), "{}", text(&output.stderr));
    let output = run(&["credential", "--user", "alice", "--url", urls[0]]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("--secret-file"), "{}", text(&output.stderr));
    let output = run(&["credential", "--user", "alice", "--url", "https://relay.example.org"]);
    assert!(text(&output.stderr).contains("write turn: or turns:"), "{}", text(&output.stderr));
}

#[test]
fn a_credential_for_the_relay_of_a_configuration_needs_nothing_of_its_machine() {
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("edgerelay.toml");
    // Neither this address nor these files are here.
    let settings = format!(
        "credentials.rest_secrets = ['{SECRET}']\nrelay.addresses = [{{ bind = '10.9.8.7', advertised = \
         '203.0.113.7' }}]\nlisteners = [{{ transport = 'udp', address = '0.0.0.0:3478' }}, {{ transport = \
         'tls', address = '10.9.8.7:5349', advertised = '203.0.113.7:443', certificate = '/nowhere/c', key = \
         '/nowhere/k' }}]"
    );
    fs::write(&config, settings).unwrap();
    let server = credential(&["--config", config.to_str().unwrap()]);
    let urls = ["turn:203.0.113.7:3478?transport=udp", "turns:203.0.113.7:443?transport=tcp"];
    assert_eq!(server["urls"], serde_json::json!(urls));
}

#[test]
fn secrets_that_every_user_can_read_are_told() {
    let directory = tempfile::tempdir().unwrap();
    let (config, secret) = (directory.path().join("edgerelay.toml"), directory.path().join("secret"));
    fs::write(&config, "credentials.users = { alice = 'wonderland' }").unwrap();
    fs::write(&secret, SECRET).unwrap();
    let files = [&config, &secret];
    let told = |mode: u32| {
        for file in files {
            fs::set_permissions(file, fs::Permissions::from_mode(mode)).unwrap();
        }
        let [config, secret] = files.map(|file| file.to_str().unwrap());
        let output =
            run(&["check", "--relay-address=127.0.0.1", "--config", config, "--secret-file", secret]);
        assert!(output.status.success(), "{}", text(&output.stderr));
        files.map(|file| text(&output.stdout).contains(&format!("Run `chmod o-r {file:?}`")))
    };
    assert_eq!(told(0o644), [true, true]);
    assert_eq!(told(0o640), [false, false]);
}

#[test]
fn a_reload_needs_a_relay_that_is_known_and_serves() {
    let refused = |arguments: &[&str], why: &str| {
        let output = run(&[&["reload"], arguments].concat());
        assert_eq!(output.status.code(), Some(1));
        assert!(text(&output.stderr).contains(why), "{}", text(&output.stderr));
    };
    refused(&[], "give its recovery.directory by --recovery-directory");
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let nobody = format!("no relay serves in {}", path("state"));
    refused(&["--recovery-directory", &path("state")], &nobody);
    fs::write(path("edgerelay.toml"), format!("recovery.directory = '{}'", path("state"))).unwrap();
    refused(&["--config", &path("edgerelay.toml")], &nobody);
    fs::create_dir(path("state")).unwrap();
    drop(std::os::unix::net::UnixListener::bind(path("state/relay.sock")).unwrap());
    refused(&["--config", &path("edgerelay.toml")], &nobody);
}
