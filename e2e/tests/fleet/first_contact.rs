//! Whoever asks by the balancer and can follow is sent to a node of its own address family, and is served there at once
//! with the realm and the nonce that it has, whatever the balancer does with packets and addresses.

use edgerelay_e2e::fleet::{Balancer, Fleet, Newcomer, Region, Source, Spread, Way};
use edgerelay_e2e::network::Family;

const BALANCERS: [(Spread, Source); 5] = [
    (Spread::EachClient, Source::Kept),
    (Spread::EachClient, Source::Hidden),
    (Spread::EachFlow, Source::Kept),
    (Spread::EachFlow, Source::Hidden),
    // Each of the first two packets meets another node.
    (Spread::EachDatagram, Source::Kept),
];
const NEWCOMERS: usize = 10;

#[test]
fn a_newcomer_is_served_at_the_node_that_it_is_sent_to() {
    let region = Region::new();
    let _fleet = Fleet::start(&region);
    for (spread, source) in BALANCERS {
        let balancer = Balancer::new(&region, spread, source);
        for family in [Family::V4, Family::V6] {
            for _ in 0..NEWCOMERS {
                let mut newcomer = Newcomer::new(&region.network.alice, &balancer, family, "newcomer");
                let Ok(Way::Go(there)) = newcomer.ask() else {
                    panic!("{spread:?}, {source:?}: served in place")
                };
                assert!(region.hosts().any(|host| host.address(family) == there.ip()), "{there}");
                let served = newcomer.go_to(there);
                let mut client = served.unwrap_or_else(|code| panic!("{spread:?}, {source:?}: {code}"));
                client.refresh(0).expect("a client may end its allocation");
            }
        }
    }
}
