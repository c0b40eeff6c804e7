//! Two Chromium peers with video: three crashes and three hand-overs of the relay between them are nothing to them.

use edgerelay_e2e::Network;
use edgerelay_e2e::relay::Relay;
use edgerelay_e2e::transport::Transport;
use edgerelay_e2e::video_call::VideoCall;
use serde_json::{Value, json};

use crate::scene::SETTINGS;

const TIMES: usize = 3;
/// What flows for some seconds.
const A_WHILE: [(&str, u64); 2] = [("framesDecoded", 60), ("echoes", 40)];

#[test]
fn go_on_through_crashes_and_handovers() {
    let network = Network::new();
    let relay = Relay::undisturbed(&network, &SETTINGS);
    let call = VideoCall::begin(&network, &relay, Transport::Udp);
    let first = call.both("video and data to flow both ways", |report| {
        report["framesDecoded"].as_u64() > Some(0) && report["echoes"].as_u64() > Some(0)
    });
    let mut last = call.both_grow(&first, &A_WHILE);
    for _ in 0..TIMES {
        relay.kill_child();
        last = call.both_grow(&last, &A_WHILE);
        tell("a crash", &last);

        relay.reload();
        last = call.both_grow(&last, &A_WHILE);
        tell("a hand-over", &last);
    }
    let crashes = relay.log().lines().filter(|line| line.contains("the relay crashed")).count();
    assert_eq!(crashes, TIMES, "a hand-over was a crash");
    for (first, last) in first.iter().zip(&last) {
        for key in ["pair", "fragment", "negotiations"] {
            assert_eq!(first[key], last[key], "{key}: the peers had to act: {last}");
        }
        assert_eq!(last["states"], json!(["connecting", "connected"]), "{last}");
    }
}

fn tell(after: &str, reports: &[Value; 2]) {
    for report in reports {
        println!(
            "{} after {after}: {} frames decoded, {} packets of {} lost",
            report["role"], report["framesDecoded"], report["packetsLost"], report["packetsReceived"],
        );
    }
}
