//! Two headless Chromiums that may use nothing but relayed candidates pass a video stream and a data
//! channel through the relay, and lose nothing of either.

use std::time::Duration;

use edgerelay_e2e::Network;
use edgerelay_e2e::browser::Browser;
use edgerelay_e2e::network::Family;
use edgerelay_e2e::relay::Relay;
use edgerelay_e2e::signalling::Signalling;
use edgerelay_e2e::transport::Transport;
use serde_json::{Value, json};
use testbed::within;

const DEADLINE: Duration = Duration::from_secs(90);
const ROLES: [&str; 2] = ["offer", "answer"];

#[test]
fn over_udp() {
    peers_meet(Transport::Udp);
}

#[test]
fn over_tcp() {
    peers_meet(Transport::Tcp);
}

#[test]
fn over_tls() {
    peers_meet(Transport::Tls);
}

fn peers_meet(transport: Transport) {
    let network = Network::new();
    let relay = Relay::start(&network);
    let credential = relay.credential("browser");
    let signalling = Signalling::new(&json!({
        "iceServers": [{
            "urls": [relay.url(transport, Family::V4)],
            "username": credential.username,
            "credential": credential.password,
        }],
        "iceTransportPolicy": "relay",
    }));
    let authority = relay.certificate().authority();
    let _browsers = [("offer", &network.alice), ("answer", &network.bob)].map(|(role, party)| {
        Browser::open(party, &format!("{}/?role={role}", signalling.open_door(party)), &authority)
    });

    let first = both(&signalling, "video and data to flow both ways", |report| {
        report["framesDecoded"].as_u64() > Some(0) && report["echoes"].as_u64() > Some(0)
    });
    for report in &first {
        assert_eq!((&report["local"], &report["remote"]), (&json!("relay"), &json!("relay")), "{report}");
        assert_eq!(report["relayProtocol"], transport.name(), "{report}");
        assert_eq!(report["relayAddress"], network.relay.v4.to_string(), "{report}");
    }
    let [offer, answer] = &first;
    let last = both(&signalling, "video and data to go on flowing", |report| {
        let before = if report["role"] == "offer" { offer } else { answer };
        let grown = |key: &str, by: u64| {
            report[key].as_u64().zip(before[key].as_u64()).is_some_and(|(now, then)| now >= then + by)
        };
        grown("framesDecoded", 20) && grown("videoBytes", 10_000) && grown("echoes", 20)
    });
    for report in &last {
        // The data channel's page counts for itself, and fails at a message that is not the next one.
        assert_eq!(report["packetsLost"], 0, "packets of the video were lost: {report}");
    }
}

/// Waits until the newest reports of both peers satisfy the condition.
fn both(signalling: &Signalling, what: &str, condition: impl Fn(&Value) -> bool) -> [Value; 2] {
    let mut newest = [Value::Null, Value::Null];
    let found = within(DEADLINE, || {
        newest = ROLES.map(|role| signalling.report(role).unwrap_or_default());
        for report in &newest {
            assert!(report["error"].is_null(), "a page failed: {report}");
        }
        newest.iter().all(&condition).then_some(())
    });
    assert!(found.is_some(), "waited {DEADLINE:?} in vain for {what}; last reports: {newest:?}");
    newest
}
