//! Two headless Chromiums that may use nothing but relayed candidates pass a video stream and a data
//! channel through the relay, and lose nothing of either.

use edgerelay_e2e::Network;
use edgerelay_e2e::relay::Relay;
use edgerelay_e2e::transport::Transport;
use edgerelay_e2e::video_call::VideoCall;
use serde_json::json;

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
    let call = VideoCall::begin(&network, &relay, transport);
    let first = call.both("video and data to flow both ways", |report| {
        report["framesDecoded"].as_u64() > Some(0) && report["echoes"].as_u64() > Some(0)
    });
    for report in &first {
        assert_eq!((&report["local"], &report["remote"]), (&json!("relay"), &json!("relay")), "{report}");
        assert_eq!(report["relayProtocol"], transport.name(), "{report}");
        assert_eq!(report["relayAddress"], network.relay.v4.to_string(), "{report}");
    }
    let last = call.both_grow(&first, &[("framesDecoded", 20), ("videoBytes", 10_000), ("echoes", 20)]);
    for report in &last {
        // The data channel's page counts for itself, and fails at a message that is not the next one.
        assert_eq!(report["packetsLost"], 0, "packets of the video were lost: {report}");
    }
}
