//! Two headless Chromiums that know the balancer alone follow a 300, over every transport, and their media does not pass
//! the balancer.

use edgerelay_e2e::fleet::{Balancer, Fleet, Region, Source, Spread};
use edgerelay_e2e::network::Family;
use edgerelay_e2e::transport::Transport;
use edgerelay_e2e::video_call::VideoCall;

/// What flows for some seconds, in packets that are many more than the balancer sees.
const A_WHILE: [(&str, u64); 3] = [("framesDecoded", 40), ("packetsReceived", 100), ("echoes", 40)];
/// All that two clients need until they know a node.
const FEW: u64 = 100;

#[test]
fn over_udp() {
    media_bypasses_the_balancer(Transport::Udp, Spread::EachFlow, Source::Kept);
}

/// The first packet meets another node than the second.
#[test]
fn over_udp_without_any_affinity() {
    media_bypasses_the_balancer(Transport::Udp, Spread::EachDatagram, Source::Kept);
}

#[test]
fn over_udp_with_hidden_addresses() {
    media_bypasses_the_balancer(Transport::Udp, Spread::EachClient, Source::Hidden);
}

#[test]
fn over_tcp() {
    media_bypasses_the_balancer(Transport::Tcp, Spread::EachFlow, Source::Kept);
}

/// The nodes' certificate covers all their addresses.
#[test]
fn over_tls() {
    media_bypasses_the_balancer(Transport::Tls, Spread::EachFlow, Source::Kept);
}

fn media_bypasses_the_balancer(transport: Transport, spread: Spread, source: Source) {
    let region = Region::new();
    let fleet = Fleet::start(&region);
    let balancer = Balancer::new(&region, spread, source);
    let url = balancer.url(transport, Family::V4);
    let call = VideoCall::by(&region.network, &fleet.nodes[0], &url);
    let first = call.both("video and data to flow both ways", |report| {
        report["framesDecoded"].as_u64() > Some(0) && report["echoes"].as_u64() > Some(0)
    });
    let before = balancer.passed();
    let last = call.both_grow(&first, &A_WHILE);
    let passed = balancer.passed();
    for report in &last {
        let address = report["relayAddress"].as_str().and_then(|address| address.parse().ok());
        let node = address.and_then(|address| region.node_at(address));
        println!(
            "{}: node {node:?} over {}, {} packets of video; {passed} packets passed the balancer",
            report["role"], report["relayProtocol"], report["packetsReceived"],
        );
        assert!(node.is_some(), "{report}");
        assert_eq!(report["relayProtocol"], transport.name(), "{report}");
        assert_eq!(report["packetsLost"], 0, "packets of the video were lost: {report}");
    }
    assert!(passed < FEW, "{passed} packets passed the balancer");
    assert_eq!(passed, before, "the balancer has a part in the media");
}
