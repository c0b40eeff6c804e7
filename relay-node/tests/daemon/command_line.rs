//! The commands that answer and end: help, check, credential, and what is said of bad input.

use std::fs;

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
    for command in ["serve", "dev", "try", "check", "credential"] {
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
        "--admin",
        "--otlp-endpoint",
        "--log-level",
        "--log-format",
        "--drain-deadline",
        "--set",
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
        ] {
            assert!(told.lines().any(|told| told == line), "{line:?} in\n{told}");
        }
        assert!(!told.contains(SECRET));
    });
}

#[test]
fn credential_is_signed_with_the_configured_secret() {
    let rest = ["--listen", "udp://127.0.0.1:3478", "--listen", "tcp://0.0.0.0:3479", "--user", "alice"];
    configured("credential", &rest, |output| {
        assert!(output.status.success(), "{}", text(&output.stderr));
        let json: Value = serde_json::from_slice(&output.stdout).unwrap();
        let server = &json["iceServers"][0];
        assert_eq!(server["urls"][0], "turn:127.0.0.1:3478?transport=udp");
        assert_eq!(server["urls"][1], "turn:127.0.0.1:3479?transport=tcp", "reached by the relay's address");
        let username = server["username"].as_str().unwrap();
        assert!(username.ends_with(":alice"));
        let password = Secret::new(SECRET.as_bytes()).unwrap().password(username.as_bytes());
        assert_eq!(server["credential"], password.as_str());
    });
}
