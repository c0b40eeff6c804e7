//! A node that is killed for good is redirected to no more within three seconds.

use std::time::{Duration, Instant};

use edgerelay_e2e::fleet::{Balancer, Fleet, Newcomer, Region, Source, Spread, Way};
use edgerelay_e2e::network::Family;
use testbed::eventually_true;

const DEADLINE: Duration = Duration::from_secs(3);
/// For so long clients come after the deadline.
const AFTERWARDS: Duration = Duration::from_secs(2);
const SOON: Duration = Duration::from_secs(20);

#[test]
fn is_redirected_to_no_more() {
    let region = Region::new();
    let fleet = Fleet::start(&region);
    // No flow of before stays with the dead node, should a client have the port of an earlier one.
    let balancer = Balancer::new(&region, Spread::EachDatagram, Source::Kept);
    let dead = region.host(2);
    let is_sent_there = || {
        let way = Newcomer::new(&region.network.alice, &balancer, Family::V4, "newcomer").ask();
        let Ok(Way::Go(there)) = way else { panic!("there is a node to go to, not {way:?}") };
        there.ip() == dead.v4
    };
    eventually_true(SOON, "somebody to be sent to the node", is_sent_there);

    // A balancer's own probes would find that out; nodes have to by themselves.
    balancer.sends_to(&[0, 1]);
    fleet.nodes[2].kill_all();
    let killed = Instant::now();
    let (mut clients, mut last) = (0, Duration::ZERO);
    while killed.elapsed() < DEADLINE + AFTERWARDS {
        let begun = killed.elapsed();
        if is_sent_there() {
            last = begun;
        }
        clients += 1;
    }
    println!("the last of {clients} clients that was sent to the dead node came {last:?} after its end");
    assert!(last < DEADLINE, "a client was sent to the dead node {last:?} after its end");
}
