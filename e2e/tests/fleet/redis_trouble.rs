//! What becomes of Redis is nothing to calls, and newcomers are sent to nodes and served there all the same.

use edgerelay_e2e::fleet::{Balancer, Fleet, NAME, NODES, Region, Source, Spread, node_name};
use testbed::{Redis, eventually_true};

use crate::scene::{SOON, calls_notice_nothing, newcomers_are_served};

const TIMES: usize = 3;

#[test]
fn killed_and_started_again_empty() {
    comes_and_goes(Redis::kill, Redis::start_again);
}

#[test]
fn hanging() {
    comes_and_goes(|redis| redis.hang(), |redis| redis.go_on());
}

/// All that belongs to the fleet is published again.
#[test]
fn flushed() {
    let region = Region::new();
    let mut fleet = Fleet::start(&region);
    let balancer = Balancer::new(&region, Spread::EachDatagram, Source::Kept);
    calls_notice_nothing(&region, &mut fleet, |fleet| {
        for _ in 0..TIMES {
            all_is_published(&fleet.redis);
            fleet.redis.cli(&["FLUSHALL"]);
            newcomers_are_served(&region, &balancer);
            all_is_published(&fleet.redis);
            fleet.await_whole();
        }
    });
}

fn comes_and_goes(goes: impl Fn(&mut Redis), comes: impl Fn(&mut Redis)) {
    let region = Region::new();
    let mut fleet = Fleet::start(&region);
    // Nodes have to agree about nonces: each of the first two packets meets another one.
    let balancer = Balancer::new(&region, Spread::EachDatagram, Source::Kept);
    calls_notice_nothing(&region, &mut fleet, |fleet| {
        for _ in 0..TIMES {
            all_is_published(&fleet.redis);
            goes(&mut fleet.redis);
            fleet.await_degraded();
            newcomers_are_served(&region, &balancer);
            comes(&mut fleet.redis);
            fleet.await_whole();
            all_is_published(&fleet.redis);
            newcomers_are_served(&region, &balancer);
        }
    });
    // One for each node's commands, and one where it waits for news.
    let connections = fleet.redis.clients();
    assert!(connections <= 2 * NODES, "{connections} connections of {NODES} nodes");
}

/// Waits until all that belongs to the fleet and to the calls of the first node is there.
fn all_is_published(redis: &Redis) {
    let nodes = (0..NODES).map(|node| format!("node:{}", node_name(node)));
    let others = ["load:v4", "load:v6", "secrets", "nonces"].map(str::to_owned);
    let wanted: Vec<_> = nodes.chain(others).chain([format!("calls:{}", node_name(0))]).collect();
    eventually_true(SOON, "all to be there again", || {
        let keys = redis.cli(&["--scan"]);
        wanted.iter().all(|what| keys.lines().any(|key| key == format!("{NAME}:{what}")))
    });
}
