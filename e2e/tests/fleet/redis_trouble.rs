//! What becomes of Redis is nothing to calls, and newcomers are sent to nodes and served there all the same.

use edgerelay_e2e::fleet::{Balancer, Fleet, NODES, Region, Source, Spread};
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
            let before = kinds_of_keys(&fleet.redis);
            fleet.redis.cli(&["FLUSHALL"]);
            newcomers_are_served(&region, &balancer);
            eventually_true(SOON, "all to be there again", || kinds_of_keys(&fleet.redis) == before);
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
            let before = kinds_of_keys(&fleet.redis);
            goes(&mut fleet.redis);
            fleet.await_degraded();
            newcomers_are_served(&region, &balancer);
            comes(&mut fleet.redis);
            fleet.await_whole();
            eventually_true(SOON, "all to be there again", || kinds_of_keys(&fleet.redis) == before);
            newcomers_are_served(&region, &balancer);
        }
    });
    // One for each node's commands, and one where it waits for news.
    let connections = fleet.redis.clients();
    assert!(connections <= 2 * NODES, "{connections} connections of {NODES} nodes");
}

/// The names of all keys but those of users, who come and go.
fn kinds_of_keys(redis: &Redis) -> Vec<String> {
    let keys = redis.cli(&["--scan"]);
    let mut keys: Vec<_> = keys.lines().filter(|key| !key.contains("quota:")).map(str::to_owned).collect();
    keys.sort_unstable();
    keys
}
