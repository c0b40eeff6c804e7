//! Format and control characters in USERNAME and REALM: no such client is served, and nothing of it reaches a
//! log line or a metric. A name that is served and could be taken for more of a log line is written escaped.

use std::time::Duration;

use edgerelay_e2e::Network;
use edgerelay_e2e::client::Client;
use edgerelay_e2e::credential::{Credential, unix_seconds};
use edgerelay_e2e::relay::{Relay, SECRET};
use edgerelay_e2e::request::Challenge;
use edgerelay_e2e::steady::Steady;
use serde_json::Value;
use testbed::eventually;

const BOUND: u64 = 1 << 20;
/// In every hostile text, so that what is left of it can be found.
const MARK: &str = "mallory-was-here";
/// A name that reads like the rest of a log line.
const FORGERY: &str = r#"mallory-was-here" level="ERROR"#;
const PATIENCE: Duration = Duration::from_secs(10);

#[test]
fn reach_no_log_and_no_metric() {
    for format in ["text", "json"] {
        let network = Network::new();
        let log_format = format!("\"{format}\"");
        let settings = [("telemetry.log_format", &*log_format), ("telemetry.log_level", "\"trace\"")];
        let relay = Relay::with(&network, &settings);
        let steady = Steady::before(&network, &relay);
        let mut client = Client::udp(&network.alice, relay.plain(), relay.credential("mallory"));
        let good = client.challenge();
        let later = unix_seconds() + 3600;

        for text in hostile_texts() {
            // As a user that nobody knows, as a time-limited one that is signed as it should be, as a realm.
            client.use_credential(Credential::long_term(&text, "password"));
            assert_eq!(client.allocate(), Err(401), "user {text:?}");
            client.use_credential(Credential::rest(SECRET, &format!("{later}:{text}")));
            assert_eq!(client.allocate(), Err(401), "time-limited user {text:?}");
            client.use_credential(relay.credential("mallory"));
            client.use_challenge(Challenge { realm: text.clone().into_bytes(), ..good.clone() });
            assert_eq!(client.allocate(), Err(401), "realm {text:?}");
            client.use_challenge(good.clone());
        }
        client.use_credential(Credential::rest(SECRET, &format!("{later}:{FORGERY}")));
        client.allocate().expect("every character of this name can be seen");

        let metrics = relay.metrics();
        assert!(!metrics.contains(MARK), "a name is in the metrics:\n{metrics}");
        client.refresh(0).expect("the allocation is the client's");
        steady.holds(BOUND);
        let log = relay.log();
        for text in hostile_texts() {
            assert!(!log.contains(&text), "{text:?} is in the log as it was sent");
        }
        let raw = log.chars().find(|c| (c.is_control() && *c != '\n') || is_format(*c));
        assert_eq!(raw, None, "a control or format character is in the log:\n{log:?}");
        // The name's own allocation is told of twice, when it begins and when it ends, and in no other line.
        let lines = eventually(PATIENCE, "two lines of that name", || {
            let lines: Vec<String> =
                relay.log().lines().filter(|line| line.contains(MARK)).map(str::to_owned).collect();
            (lines.len() == 2).then_some(lines)
        });
        let escaped = FORGERY.escape_debug().to_string();
        for line in lines {
            if format == "json" {
                let line: Value = serde_json::from_str(&line).expect("a line of JSON");
                assert!(line["user"].as_str().is_some_and(|user| user.contains(&escaped)), "{line}");
                assert_eq!(line["level"], "INFO", "{line}");
            } else {
                assert!(line.contains(&escaped), "{line}");
            }
        }
    }
}

fn hostile_texts() -> Vec<String> {
    [
        "\u{1b}[2J\u{1b}[31m",
        "\n",
        "\r\n",
        "\0",
        "\u{7}\u{8}\u{7f}",
        // Next line, line separator.
        "\u{85}",
        "\u{2028}",
        // Right-to-left override, zero-width space, byte-order mark, tag.
        "\u{202e}",
        "\u{200b}",
        "\u{feff}",
        "\u{e0041}",
    ]
    .iter()
    .map(|character| format!("x{character}{MARK}"))
    .collect()
}

fn is_format(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
}
