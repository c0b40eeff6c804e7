//! While the fleet changes its secrets and its nonce keys, calls whose credentials it has made lose nothing, and
//! credentials from before and after are good at every node.

use std::time::Duration;

use edgerelay_e2e::calls::Calls;
use edgerelay_e2e::fleet::{Balancer, Fleet, NAME, Newcomer, Region, Source, Spread, Way};
use edgerelay_e2e::network::Family;
use testbed::eventually_true;

const CALLS: usize = 20;
/// The shortest that a relay takes for its `rotation`, and some more.
const A_MINUTE: Duration = Duration::from_secs(100);
const SETTINGS: [(&str, &str); 4] = [
    ("cluster.issuing.rotation", "\"1m\""),
    ("cluster.issuing.ttl", "\"4m\""),
    ("cluster.issuing.max_ttl", "\"5m\""),
    ("nonce.lifetime", "\"5m\""),
];

#[test]
fn drop_nobody() {
    let region = Region::new();
    let fleet = Fleet::with(&region, &SETTINGS);
    // Each of the first two packets meets another node.
    let balancer = Balancer::new(&region, Spread::EachDatagram, Source::Kept);
    let old = fleet.issue("old");
    let caller = fleet.issue("caller");
    let calls = Calls::begin_as(&region.network, &fleet.nodes[0], CALLS, |_| caller.clone());
    let is_good = |credential| {
        let mut newcomer = Newcomer::with(&region.network.bob, &balancer, Family::V4, credential);
        let Way::Go(there) = newcomer.ask() else { panic!("a newcomer was served in place") };
        newcomer.go_to(there).expect("its credential is good there").refresh(0).expect("it is its own");
    };
    let kept = |what: &str| fleet.redis.cli(&["--no-raw", "GET", &format!("{NAME}:{what}")]);
    let (calls, report, ()) = calls.during(|| {
        for what in ["secrets", "nonces"] {
            let before = kept(what);
            eventually_true(A_MINUTE, &format!("other {what}"), || kept(what) != before);
        }
        is_good(old.clone());
        is_good(fleet.issue("new"));
    });
    print!("{report}");
    assert_eq!((report.lost(), report.unplanned()), (0, 0));
    assert!(report.failures().is_empty(), "{:?}", report.failures());
    calls.leave();
}
