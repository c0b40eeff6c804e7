//! What a node costs does not depend on how large its fleet is: the fleet's own code, with made-up loads, in fleets of ten,
//! a hundred and a thousand.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use testbed::{Redis, descriptors, eventually_true};
use tokio::time::interval;
use turn::credentials::UserId;

use crate::desks::{self, Books};
use crate::nodes::{Fleet, Node, at_address};
use crate::support::SOON;

/// Users with a call on each node.
const USERS: usize = 5;
/// Seconds that are measured.
const SECONDS: u64 = 5;

/// What a node costs in a second.
struct Cost {
    nodes: usize,
    known: usize,
    commands: f64,
    bytes: f64,
    /// Of the node, in microseconds.
    cpu: f64,
    /// Of Redis, in microseconds.
    redis: f64,
}

/// What has been used up by now.
struct Used {
    rounds: u64,
    commands: u64,
    bytes: u64,
    cpu: f64,
    redis: f64,
}

#[test]
fn what_a_node_costs_does_not_grow_with_its_fleet() {
    descriptors::raise_limit();
    let costs = [10, 100, 1000].map(cost);
    println!(
        "| nodes | known to each | commands/s | bytes/s | CPU of a node, µs/s | of Redis, µs/s for each node |"
    );
    println!("| ---: | ---: | ---: | ---: | ---: | ---: |");
    for Cost { nodes, known, commands, bytes, cpu, redis } in &costs {
        println!("| {nodes} | {known} | {commands:.0} | {bytes:.0} | {cpu:.0} | {redis:.0} |");
    }
    let [_, hundred, thousand] = &costs;
    // A fleet of ten has fewer to read; from a few dozen on, a node reads as many as it ever will.
    for (what, small, large) in [
        ("commands", hundred.commands, thousand.commands),
        ("bytes", hundred.bytes, thousand.bytes),
        ("CPU time", hundred.cpu, thousand.cpu),
    ] {
        // In the smaller one, some of the random nodes are among the emptiest; and where the machine is too slow for a
        // round of all in a second, what goes by the clock is more for each round.
        let bound = if what == "CPU time" { 2.0 } else { 1.4 };
        assert!(large <= small * bound, "{what}: {large:.0} in a fleet of 1,000, {small:.0} in one of 100");
    }
}

fn cost(nodes: usize) -> Cost {
    let redis = Redis::start();
    let fleet = Fleet::on(&redis);
    let fleet_nodes: Vec<Node> = (0..nodes).map(|number| node(&fleet, number)).collect();
    let calls: Vec<_> = fleet_nodes.iter().map(|node| traffic(&fleet, node)).collect();
    let rounds = || fleet_nodes.iter().map(Node::rounds).sum::<u64>();
    let settled = rounds() + 3 * nodes as u64;
    eventually_true(SOON * 3, "all to know each other", || rounds() > settled);
    let before = used(&redis, &fleet, rounds());
    eventually_true(SOON * 3, "some seconds", || rounds() > before.rounds + SECONDS * nodes as u64);
    let after = used(&redis, &fleet, rounds());
    let known = fleet_nodes.iter().map(|node| node.knows().len()).min().unwrap();
    assert!(known >= nodes.min(20), "a node of {nodes} knows {known} only");
    drop(calls);
    // Each node has a round a second, also where the machine is too slow for that.
    let seconds = (after.rounds - before.rounds) as f64;
    Cost {
        nodes,
        known,
        commands: (after.commands - before.commands) as f64 / seconds,
        bytes: (after.bytes - before.bytes) as f64 / seconds,
        cpu: (after.cpu - before.cpu) / seconds,
        redis: (after.redis - before.redis) / seconds,
    }
}

/// A node at an address and with a load of its own.
fn node(fleet: &Fleet, number: usize) -> Node {
    let address = Ipv4Addr::from_bits(u32::from(Ipv4Addr::new(198, 18, 0, 1)) + number as u32);
    let mut told = at_address(SocketAddr::from((address, 3478)));
    told.load.allocations = (number * 7919 % 1000) as u32;
    told.load.bits_per_second = number as u64 * 1_000_000;
    fleet.node(&format!("node-{number}"), told)
}

/// Users of a node with calls, and one whose call begins and ends every second.
fn traffic(fleet: &Fleet, node: &Node) -> impl Sized {
    let books = Arc::new(Books::new(100));
    let desk = desks::Node::by(&node.linked.link, fleet, &node.name, books, SOON);
    let user = |number: usize| UserId::time_limited(&format!("{number}-of-{}", node.name));
    let calls: Vec<_> = (0..USERS).map(|number| fleet.spawn(desk.allocate(&user(number)))).collect();
    let newcomer = user(USERS);
    let task = fleet.spawn(async move {
        let mut second = interval(Duration::from_secs(1));
        loop {
            second.tick().await;
            drop(desk.allocate(&newcomer).await);
        }
    });
    (calls, task)
}

fn used(redis: &Redis, fleet: &Fleet, rounds: u64) -> Used {
    // The thread that all nodes run on.
    let cpu = fleet.wait(fleet.spawn(async { clock_gettime(ClockId::ThreadCPUTime) })).unwrap();
    let info = redis.cli(&["INFO"]);
    let number = |name: &str| -> f64 {
        let line = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.unwrap().trim_end().parse().unwrap()
    };
    Used {
        rounds,
        commands: number("total_commands_processed") as u64,
        bytes: (number("total_net_input_bytes") + number("total_net_output_bytes")) as u64,
        cpu: cpu.tv_sec as f64 * 1e6 + cpu.tv_nsec as f64 / 1e3,
        redis: (number("used_cpu_user") + number("used_cpu_sys")) * 1e6,
    }
}
