//! Clients that do not follow a 300 are served by the node that the balancer brought them to.

use edgerelay_e2e::aioice::{self, Agent};
use edgerelay_e2e::coturn::echo_peer;
use edgerelay_e2e::fleet::{Balancer, Fleet, Region, Source, Spread};
use edgerelay_e2e::network::Family;
use edgerelay_e2e::pion;
use edgerelay_e2e::transport::Transport;

const BALANCERS: [(Spread, Source); 3] = [
    (Spread::EachClient, Source::Kept),
    (Spread::EachFlow, Source::Kept),
    (Spread::EachFlow, Source::Hidden),
];

#[test]
fn pion_over_every_transport() {
    let region = Region::new();
    let fleet = Fleet::start(&region);
    let network = &region.network;
    let (_process, peer) = echo_peer(&network.peer, network.peer.v4.into());
    let (credential, authority) = (fleet.nodes[0].credential("pion"), fleet.authority());
    for (spread, source) in BALANCERS {
        let balancer = Balancer::new(&region, spread, source);
        for transport in Transport::ALL {
            let (address, before) = (balancer.address(transport, Family::V4), balancer.passed());
            let came_back = pion::run(&network.alice, address, transport, peer, &credential, &authority);
            assert_eq!(came_back, pion::MESSAGES, "{spread:?}, {source:?}, {transport:?}");
            let passed = balancer.passed() - before;
            assert!(passed >= u64::from(2 * came_back), "all of it: {passed} packets by the balancer");
        }
    }
}

#[test]
fn aioice_over_every_transport() {
    let region = Region::new();
    let fleet = Fleet::start(&region);
    let network = &region.network;
    let authority = fleet.authority();
    for (spread, source) in BALANCERS {
        let balancer = Balancer::new(&region, spread, source);
        for (transport, family) in [
            (Transport::Udp, Family::V4),
            (Transport::Udp, Family::V6),
            (Transport::Tcp, Family::V4),
            (Transport::Tls, Family::V4),
        ] {
            let address = balancer.address(transport, family);
            let [mut alice, mut bob] = [("alice", true, &network.alice), ("bob", false, &network.bob)].map(
                |(user, controls, party)| {
                    let credential = fleet.nodes[0].credential(user);
                    Agent::start(controls, party, address, transport, &credential, &authority)
                },
            );
            alice.meet(bob.description());
            bob.meet(alice.description());
            let passed = (alice.passed(), bob.passed());
            assert_eq!(passed, (aioice::MESSAGES, aioice::MESSAGES), "{spread:?}, {source:?}, {transport:?}");
            alice.leave();
            bob.leave();
        }
    }
}
