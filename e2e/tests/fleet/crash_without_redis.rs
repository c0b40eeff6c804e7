//! `kill -9` of a relay's process while Redis is away is nothing to its calls, and the next one knows what the fleet had
//! agreed upon.

use std::time::Instant;

use edgerelay_e2e::fleet::{Balancer, Fleet, Region, Source, Spread};
use testbed::eventually_true;

use crate::scene::{SOON, during_calls, newcomers_are_served};

const TIMES: usize = 3;

#[test]
fn is_nothing_to_calls() {
    let region = Region::new();
    let mut fleet = Fleet::start(&region);
    let balancer = Balancer::new(&region, Spread::EachDatagram, Source::Kept);
    let (report, kills) = during_calls(&region, &mut fleet, |fleet| {
        fleet.redis.kill();
        fleet.await_degraded();
        let mut kills = Vec::new();
        for _ in 0..TIMES {
            let before = fleet.nodes[0].child();
            kills.push(Instant::now());
            fleet.nodes[0].kill_child();
            eventually_true(SOON, "the next process to serve", || fleet.nodes[0].child() != before);
            fleet.await_degraded();
            newcomers_are_served(&region, &balancer);
        }
        kills
    });
    let impacts = report.impacts(&kills);
    impacts.iter().for_each(|impact| println!("  kill at {impact}"));
    assert_eq!(report.lost(), 0, "packets of calls were lost");
}
