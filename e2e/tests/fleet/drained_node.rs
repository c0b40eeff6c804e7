//! A node that is drained by command gets nobody any more who can go elsewhere, serves those who cannot, and gets clients
//! again once it is undrained; calls at other nodes do not notice.

use edgerelay_e2e::coturn::echo_peer;
use edgerelay_e2e::fleet::{Balancer, Fleet, Newcomer, Region, Source, Spread, Way, node_name};
use edgerelay_e2e::network::Family;
use edgerelay_e2e::pion;
use edgerelay_e2e::transport::Transport;
use testbed::eventually_true;

use crate::scene::{SOON, calls_notice_nothing};

/// The one that is drained, and another one.
const NODE: usize = 2;
const OTHER: usize = 1;
const NEWCOMERS: usize = 30;

#[test]
fn is_left_alone_until_it_is_undrained() {
    let region = Region::new();
    let mut fleet = Fleet::start(&region);
    let network = &region.network;
    let (_process, peer) = echo_peer(&network.peer, network.peer.v4.into());
    // Whoever comes meets the node.
    let balancer = Balancer::new(&region, Spread::EachFlow, Source::Kept);
    balancer.sends_to(&[NODE]);
    let is_sent_to_it = || {
        let way = Newcomer::new(&network.bob, &balancer, Family::V4, "newcomer").ask();
        let Ok(Way::Go(there)) = way else { panic!("a newcomer was served in place") };
        region.node_at(there.ip()) == Some(NODE)
    };
    eventually_true(SOON, "somebody to be sent to the node", is_sent_to_it);

    calls_notice_nothing(&region, &mut fleet, |fleet| {
        fleet.command(OTHER, &["drain", &node_name(NODE)]).expect("it is an operator's");
        let sent_to_it = (0..NEWCOMERS).filter(|_| is_sent_to_it()).count();
        assert_eq!(sent_to_it, 0, "clients were sent to a node that drains");
        let (status, text) = fleet.nodes[NODE].readiness();
        assert_eq!(status, 200, "{text}");
        let address = balancer.address(Transport::Udp, Family::V4);
        let credential = fleet.nodes[NODE].credential("pion");
        let came_back =
            pion::run(&network.bob, address, Transport::Udp, peer, &credential, &fleet.authority());
        assert_eq!(came_back, pion::MESSAGES, "who cannot go elsewhere is served");

        fleet.command(OTHER, &["undrain", &node_name(NODE)]).expect("it is an operator's");
        eventually_true(SOON, "somebody to be sent to the node again", is_sent_to_it);
    });
}
