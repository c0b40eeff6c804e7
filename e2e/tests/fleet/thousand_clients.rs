//! A thousand clients that come in a second are spread over the nodes: choices count before the registry shows them.

use std::ops::RangeInclusive;
use std::thread;
use std::time::Instant;

use edgerelay_e2e::fleet::{Balancer, Fleet, NODES, Newcomer, Region, Source, Spread, Way};
use edgerelay_e2e::network::Family;

const CLIENTS: usize = 1000;
const THREADS: usize = 10;
/// A third of a thousand is 333.
const FAIR: RangeInclusive<usize> = 250..=420;

#[test]
fn are_spread_over_the_nodes() {
    let region = Region::new();
    let _fleet = Fleet::start(&region);
    let alice = &region.network.alice;
    // All of them ask one node.
    let balancer = Balancer::new(&region, Spread::EachClient, Source::Kept);
    let way =
        |user: &str| Newcomer::new(alice, &balancer, Family::V4, user).ask().expect("it has a credential");
    let begun = Instant::now();
    let ways: Vec<Way> = thread::scope(|scope| {
        let group = |name: usize| (0..CLIENTS / THREADS).map(move |_| way(&format!("user {name}")));
        let groups: Vec<_> =
            (0..THREADS).map(|name| scope.spawn(move || group(name).collect::<Vec<_>>())).collect();
        groups.into_iter().flat_map(|group| group.join().expect("all are answered")).collect()
    });
    let took = begun.elapsed();
    let counts: [usize; NODES] = std::array::from_fn(|node| {
        let host = region.host(node);
        ways.iter().filter(|way| matches!(way, Way::Go(there) if there.ip() == host.v4)).count()
    });
    println!("{CLIENTS} clients in {took:?}, of whom were sent to each node: {counts:?}");
    assert_eq!(counts.iter().sum::<usize>(), CLIENTS, "who can follow is sent to a node: {ways:?}");
    assert!(counts.iter().all(|count| FAIR.contains(count)), "{counts:?}");
}
