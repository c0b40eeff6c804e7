//! Format and control characters in USERNAME and REALM: no such client is served, and nothing of it
//! reaches a log line or a metric as it was sent.

use edgerelay_e2e::Network;
use edgerelay_e2e::client::Client;
use edgerelay_e2e::credential::{Credential, unix_seconds};
use edgerelay_e2e::relay::{Relay, SECRET};
use edgerelay_e2e::request::Challenge;
use edgerelay_e2e::steady::Steady;

const BOUND: u64 = 1 << 20;
/// In every hostile text, so that what is left of it can be found.
const MARK: &str = "mallory-was-here";

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
        // A name of printable characters is served, but is no label either.
        client.use_credential(Credential::rest(SECRET, &format!("{later}:{MARK}")));
        client.allocate().expect("there is nothing wrong with this name");

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
        let forged = log.lines().find(|line| line.starts_with(MARK));
        assert_eq!(forged, None, "a client has written a log line");
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
