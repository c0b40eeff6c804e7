//! Two libdatachannel peers that know the balancer alone follow a 300, and their data does not pass the balancer.

use edgerelay_e2e::fleet::{Balancer, Fleet, Region, Source, Spread};
use edgerelay_e2e::libdatachannel::{self, MESSAGES};
use edgerelay_e2e::network::Family;
use edgerelay_e2e::transport::Transport;

#[test]
fn go_directly_to_a_node() {
    let region = Region::new();
    let fleet = Fleet::start(&region);
    let network = &region.network;
    for (spread, source) in [
        (Spread::EachFlow, Source::Kept),
        (Spread::EachClient, Source::Hidden),
        (Spread::EachDatagram, Source::Kept),
    ] {
        let balancer = Balancer::new(&region, spread, source);
        let address = balancer.address(Transport::Udp, Family::V4);
        let credential = fleet.nodes[0].credential("juice");
        let relayed = libdatachannel::meet([&network.alice, &network.bob], address, &credential);
        for address in relayed {
            assert!(region.node_at(address.ip()).is_some(), "{address} is no node's");
        }
        let passed = balancer.passed();
        println!("{spread:?}, {source:?}: {passed} packets passed the balancer");
        assert!(passed < u64::from(MESSAGES) / 4, "{passed} packets passed the balancer");
    }
}
