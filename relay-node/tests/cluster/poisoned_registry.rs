//! Whoever can write to Redis cannot send clients where they want: what is not a node's own is ignored and counted.

use edgerelay::config::Secret;
use testbed::{Redis, eventually_true};

use crate::nodes::{Fleet, Node, at};
use crate::support::{SOON, fleet};

/// Two nodes that know each other.
fn two(fleet: &Fleet) -> [Node; 2] {
    let nodes = [("a", 1), ("b", 2)].map(|(name, number)| fleet.node(name, at(number)));
    nodes[0].comes_to_send_to(&["a", "b"]);
    nodes[1].comes_to_send_to(&["a", "b"]);
    nodes
}

/// Waits until a node has rejected something and gone on for a while, without anybody new.
fn is_refused(node: &Node) {
    eventually_true(SOON, "something to be rejected", || node.linked.rejected("node") > 0);
    let rounds = node.rounds();
    eventually_true(SOON, "some rounds", || {
        assert!(node.knows().iter().all(|name| ["a", "b"].contains(&name.as_str())), "{:?}", node.knows());
        node.rounds() > rounds + 2
    });
}

#[test]
fn an_entry_that_is_not_sealed_is_refused() {
    let redis = Redis::start();
    let fleet = Fleet::on(&redis);
    let [a, _b] = two(&fleet);
    redis.cli(&["SET", "edge:node:evil", "an entry, or so it says, and long enough for a seal"]);
    redis.cli(&["ZADD", "edge:load:v4", "0", "evil"]);
    is_refused(&a);
    // Its place is gone, so that it does not take that of others.
    eventually_true(SOON, "its place to go", || {
        !redis.cli(&["ZRANGE", "edge:load:v4", "0", "-1"]).contains("evil")
    });
}

#[test]
fn a_nodes_entry_under_another_name_is_refused() {
    let redis = Redis::start();
    let fleet = Fleet::on(&redis);
    let [a, _b] = two(&fleet);
    redis.cli(&["COPY", "edge:node:b", "edge:node:evil"]);
    redis.cli(&["PEXPIRE", "edge:node:evil", "600000"]);
    redis.cli(&["ZADD", "edge:load:v4", "0", "evil"]);
    is_refused(&a);
}

#[test]
fn an_entry_of_who_has_another_fleet_key_is_refused() {
    let redis = Redis::start();
    let [ours, theirs] =
        ["0123456789abcdef0123456789abcdef", "fedcba9876543210fedcba9876543210"].map(|key| {
            let mut config = fleet(&[redis.url()]);
            config.fleet_key = Secret::new(key);
            Fleet::of(config)
        });
    let [a, _b] = two(&ours);
    let _evil = theirs.node("evil", at(66));
    is_refused(&a);
}

#[test]
fn an_entry_that_is_made_to_last_is_refused_and_so_is_an_old_one_that_comes_back() {
    let redis = Redis::start();
    let fleet = Fleet::on(&redis);
    let [a, b] = two(&fleet);
    redis.cli(&["COPY", "edge:node:b", "edge:stolen"]);
    redis.cli(&["PERSIST", "edge:stolen"]);
    b.kill();
    a.comes_to_send_to(&["a"]);
    let rounds = a.rounds();
    let mut last = rounds;
    eventually_true(SOON, "some rounds", || {
        if a.rounds() > last {
            last = a.rounds();
            redis.cli(&["COPY", "edge:stolen", "edge:node:b", "REPLACE"]);
            redis.cli(&["PEXPIRE", "edge:node:b", "2000"]);
            redis.cli(&["ZADD", "edge:load:v4", "0", "b"]);
        }
        assert_eq!(a.sends_to().len(), 1);
        a.rounds() > rounds + 3
    });
    redis.cli(&["PERSIST", "edge:node:b"]);
    redis.cli(&["ZADD", "edge:load:v4", "0", "b"]);
    is_refused(&a);
    assert_eq!(a.sends_to().len(), 1);
}

#[test]
fn what_is_no_name_is_removed() {
    let redis = Redis::start();
    let fleet = Fleet::on(&redis);
    let [a, _b] = two(&fleet);
    redis.cli(&["ZADD", "edge:load:v4", "0", "b:{x}\r\nFLUSHALL\r\n", "0", &"n".repeat(300)]);
    is_refused(&a);
    eventually_true(SOON, "both to go", || {
        redis.cli(&["ZRANGE", "edge:load:v4", "0", "-1"]).lines().collect::<Vec<_>>().len() == 2
    });
    a.comes_to_send_to(&["a", "b"]);
}

#[test]
fn keys_of_another_type_are_put_right() {
    let redis = Redis::start();
    let fleet = Fleet::on(&redis);
    let [a, _b] = two(&fleet);
    redis.cli(&["DEL", "edge:load:v4", "edge:node:b"]);
    redis.cli(&["SET", "edge:load:v4", "x"]);
    redis.cli(&["RPUSH", "edge:node:b", "x"]);
    is_refused(&a);
    eventually_true(SOON, "both keys to be the fleet's again", || {
        redis.cli(&["TYPE", "edge:load:v4"]) == "zset" && redis.cli(&["TYPE", "edge:node:b"]) == "string"
    });
    a.comes_to_send_to(&["a", "b"]);
}
