//! coturn's client follows a 300 over every transport and family, and its data does not pass the balancer.

use edgerelay_e2e::coturn::{Login, Method, Tally, Uclient, echo_peer};
use edgerelay_e2e::fleet::{Balancer, Fleet, Region, Source, Spread};
use edgerelay_e2e::network::Family;
use edgerelay_e2e::transport::Transport;

const MESSAGES: u32 = 100;
const SESSIONS: u32 = 4;

#[test]
fn goes_directly_to_a_node() {
    let region = Region::new();
    let fleet = Fleet::start(&region);
    let network = &region.network;
    for family in [Family::V4, Family::V6] {
        let (_process, peer) = echo_peer(&network.peer, network.peer.address(family));
        for (transport, spread, source) in [
            (Transport::Udp, Spread::EachFlow, Source::Kept),
            (Transport::Udp, Spread::EachClient, Source::Hidden),
            (Transport::Udp, Spread::EachDatagram, Source::Kept),
            (Transport::Tcp, Spread::EachFlow, Source::Kept),
            (Transport::Tls, Spread::EachFlow, Source::Hidden),
        ] {
            let balancer = Balancer::new(&region, spread, source);
            let login = Login::LongTerm(fleet.nodes[0].credential("alice"));
            let client = Uclient {
                transport,
                method: Method::Channels,
                login,
                sessions: SESSIONS,
                messages: MESSAGES,
                extra: &[],
            };
            let tally = client.run(&network.alice, balancer.address(transport, family), peer);
            let sent = u64::from(SESSIONS * MESSAGES);
            let passed = balancer.passed();
            println!(
                "{family:?}, {transport:?}, {spread:?}, {source:?}: {passed} packets passed the balancer"
            );
            assert_eq!(tally, Tally { sent, received: sent, lost: 0 });
            // TLS alone takes some dozens for each session.
            assert!(passed < sent, "{passed} packets passed the balancer");
        }
    }
}
