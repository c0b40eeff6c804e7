//! Log lines are JSON when asked for, tell of allocations, and hold no secret and nothing raw.

use crate::support::{ALICE, Client, Daemon, UDP};
use serde_json::Value;

#[test]
fn allocations_are_logged_and_secrets_are_not() {
    let secret = "credentials.rest_secrets = 'a secret of the tests'\nnonce.keys = 'a key of the tests'";
    let relay = Daemon::serve(&format!("telemetry.log_level = 'trace'\n{ALICE}\n{UDP}\n{secret}"));
    let mut alice = Client::udp(relay.address("udp"));
    let relayed = alice.allocate();
    let created = relay.line("allocation created");
    assert_eq!(created["transport"], "udp");
    assert_eq!(created["lifetime_seconds"], 600);
    assert_eq!(created["user"], "alice");
    assert_eq!(created["relayed"], relayed.to_string());
    assert_eq!(relay.line("relaying")["ports"], "50000-59999");

    assert_eq!(alice.refresh(0), 0);
    assert_eq!(relay.line("allocation closed")["reason"], "deleted");
    assert_eq!(relay.line("allocation closed")["user"], "alice");

    for line in relay.log() {
        assert!(serde_json::from_str::<Value>(&line).is_ok(), "{line}");
        for secret in ["wonderland", "a secret of the tests", "a key of the tests"] {
            assert!(!line.contains(secret), "{line}");
        }
    }
}
