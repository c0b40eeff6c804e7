//! What is given out, asked for and refused is written down, and nothing of it lets anybody in.

use crate::fleet::{Fleet, TOKEN};

#[test]
fn no_password_token_or_key_is_written_down() {
    let fleet = Fleet::with(1, "telemetry.log_level = 'trace'");
    let told = fleet.ask(0, &["issue", "--user", "alice"]);
    let (code, body) = fleet.web(0, TOKEN, "GET /?service=turn&username=bob HTTP/1.1\r\n\r\n");
    assert_eq!(code, 200);
    let web: serde_json::Value = serde_json::from_str(&body).unwrap();
    fleet.web(0, "a token that somebody guessed", "GET /?service=turn&username=bob HTTP/1.1\r\n\r\n");
    fleet.ask(0, &["revoke", "--user", "alice"]);
    let daemon = &fleet.relays[0].daemon;
    for message in ["credential issued", "a caller was refused: it is not known who asks", "revoked"] {
        daemon.line(message);
    }
    let log = daemon.log().join("\n");
    let secrets = [
        told["password"].as_str().unwrap(),
        web["password"].as_str().unwrap(),
        TOKEN,
        "a token that somebody guessed",
        "0123456789abcdef0123456789abcdef",
    ];
    for secret in secrets {
        assert!(!log.contains(secret), "{secret}");
    }
}
