//! Two aioice agents that may use nothing but relayed candidates find each other and exchange data.

use edgerelay_e2e::Network;
use edgerelay_e2e::aioice::{Agent, MESSAGES};
use edgerelay_e2e::network::Family;
use edgerelay_e2e::relay::Relay;
use edgerelay_e2e::transport::Transport;

#[test]
fn over_udp_and_ipv4() {
    agents_meet(Transport::Udp, Family::V4);
}

#[test]
fn over_udp_and_ipv6() {
    agents_meet(Transport::Udp, Family::V6);
}

#[test]
fn over_tcp() {
    agents_meet(Transport::Tcp, Family::V4);
}

#[test]
fn over_tls() {
    agents_meet(Transport::Tls, Family::V4);
}

fn agents_meet(transport: Transport, family: Family) {
    let network = Network::new();
    let relay = Relay::start(&network);
    let authority = relay.certificate().authority();
    let address = relay.address(transport, family);
    let [mut alice, mut bob] =
        [("alice", true, &network.alice), ("bob", false, &network.bob)].map(|(user, controlling, party)| {
            Agent::start(controlling, party, address, transport, &relay.credential(user), &authority)
        });
    let relayed = format!("{} ", network.relay.v4);
    for agent in [&alice, &bob] {
        let description = agent.description();
        assert!(description.contains("typ relay") && !description.contains("typ host"), "{description}");
        assert!(description.contains(&relayed), "the candidate is on the relay: {description}");
    }
    alice.meet(bob.description());
    bob.meet(alice.description());
    assert_eq!((alice.passed(), bob.passed()), (MESSAGES, MESSAGES));
    alice.leave();
    bob.leave();
}
