//! coturn's STUN client learns its own address from a Binding response.

use std::time::Duration;

use edgerelay_e2e::Network;
use edgerelay_e2e::network::Family;
use edgerelay_e2e::relay::Relay;
use testbed::Process;

#[test]
fn learns_its_ipv4_address() {
    learns_its_address(Family::V4);
}

#[test]
fn learns_its_ipv6_address() {
    learns_its_address(Family::V6);
}

fn learns_its_address(family: Family) {
    let network = Network::new();
    let _relay = Relay::start(&network);
    let mut command = network.alice.namespace.command("turnutils_stunclient");
    command.args(["-p", "3478", &network.relay.address(family).to_string()]);
    let (status, output) = Process::start("turnutils_stunclient", command).finish(Duration::from_secs(20));
    assert!(status.success(), "{output}");
    let reflexive = output.lines().find(|line| line.contains("reflexive addr:")).unwrap_or_default();
    assert!(reflexive.contains(&network.alice.address(family).to_string()), "{output}");
}
