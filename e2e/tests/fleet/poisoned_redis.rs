//! Who can write to Redis but has no fleet key can neither send clients elsewhere nor make credentials: what was not
//! sealed as what it is said to be is not trusted, and counted.

use edgerelay_e2e::client::Client;
use edgerelay_e2e::credential::Credential;
use edgerelay_e2e::fleet::{Balancer, Fleet, NAME, Newcomer, Region, Source, Spread, Way, node_name};
use edgerelay_e2e::network::Family;
use edgerelay_e2e::relay::Relay;
use testbed::eventually_true;

use crate::scene::{SOON, newcomers_are_served};

const REJECTED: &str = "edgerelay_cluster_rejected_values_total";
const NEWCOMERS: usize = 30;

#[test]
fn a_node_that_is_none_gets_nobody() {
    let region = Region::new();
    let fleet = Fleet::start(&region);
    let balancer = Balancer::new(&region, Spread::EachFlow, Source::Kept);
    let real = format!("{NAME}:node:{}", node_name(0));
    let places = fleet.redis.cli(&["--scan", "--pattern", &format!("{NAME}:load:*")]);
    assert!(!places.is_empty(), "nodes are found by their load");
    let poison = || {
        // One that was made up, and a real one under another name.
        fleet.redis.cli(&["SET", &format!("{NAME}:node:evil"), "made up"]);
        fleet.redis.cli(&["COPY", &real, &format!("{NAME}:node:twin"), "REPLACE"]);
        for place in places.lines() {
            fleet.redis.cli(&["ZADD", place, "0", "evil", "0", "twin"]);
        }
    };
    let rejected = |node: usize| rejected(&fleet.nodes[node], "node");
    eventually_true(SOON, "every node to find out", || {
        poison();
        (0..fleet.nodes.len()).all(|node| rejected(node) >= 2.0)
    });
    for _ in 0..NEWCOMERS {
        poison();
        let way = Newcomer::new(&region.network.bob, &balancer, Family::V4, "newcomer").ask();
        let Ok(Way::Go(there)) = way else { panic!("a newcomer was served in place") };
        assert!(region.node_at(there.ip()).is_some(), "a client was sent to {there}");
    }
}

#[test]
fn keys_that_are_none_of_the_fleets_are_written_over() {
    let region = Region::new();
    let fleet = Fleet::start(&region);
    let balancer = Balancer::new(&region, Spread::EachDatagram, Source::Kept);
    let issued = fleet.issue("user");
    for what in ["secrets", "nonces"] {
        let key = format!("{NAME}:{what}");
        let rejected = || fleet.nodes.iter().map(|node| rejected(node, what)).sum::<f64>();
        fleet.redis.cli(&["SET", &key, "an attacker's"]);
        eventually_true(SOON, "the value to be written over", || {
            fleet.redis.cli(&["GET", &key]) != "an attacker's" && rejected() >= 1.0
        });
    }
    newcomers_are_served(&region, &balancer);
    let ask = |credential| {
        let node = fleet.nodes[1].plain();
        Client::udp(&region.network.alice, node, credential).allocate()
    };
    assert_eq!(ask(Credential::rest_for_an_hour("an attacker's", "user")), Err(401));
    ask(issued).expect("what the fleet gave out before is good");
}

/// How many values a node has rejected; it does not tell before there is one.
fn rejected(node: &Relay<'_>, what: &str) -> f64 {
    let (metrics, label) = (node.metrics(), format!("\"{what}\""));
    let lines = metrics.lines().filter(|line| line.starts_with(REJECTED) && line.contains(&label));
    lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}
