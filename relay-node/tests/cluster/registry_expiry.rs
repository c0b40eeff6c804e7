//! Who is there is known by who tells of it: nodes come, leave and die, and Redis with them.

use std::time::{Duration, Instant};

use testbed::{Redis, eventually_true};

use crate::nodes::{Fleet, at};
use crate::support::SOON;

#[test]
fn a_node_that_is_killed_is_nobodys_choice_within_three_seconds() {
    let redis = Redis::start();
    let fleet = Fleet::on(&redis);
    let [a, b] = [("a", 1), ("b", 2)].map(|(name, number)| fleet.node(name, at(number)));
    a.comes_to_send_to(&["a", "b"]);
    b.comes_to_know(&["a", "b"]);
    let told = b.rounds();
    // Right after it has told of itself: the longest that anybody can believe in it.
    eventually_true(SOON, "b to tell of itself", || b.rounds() > told);
    let killed = Instant::now();
    b.kill();
    a.comes_to_send_to(&["a"]);
    let gap = killed.elapsed();
    println!("a killed node was a choice for {gap:?}");
    assert!(gap < Duration::from_secs(3), "{gap:?}");
    // It has left nothing behind, once somebody has looked.
    eventually_true(SOON, "b's place to go", || redis.cli(&["ZRANGE", "edge:load:v4", "0", "-1"]) == "a");
}

#[test]
fn a_node_that_ends_well_leaves_nothing_and_is_nobodys_choice_a_round_later() {
    let redis = Redis::start();
    let fleet = Fleet::on(&redis);
    let [a, b] = [("a", 1), ("b", 2)].map(|(name, number)| fleet.node(name, at(number)));
    a.comes_to_know(&["a", "b"]);
    b.end(&fleet);
    assert_eq!(redis.cli(&["EXISTS", "edge:node:b"]), "0");
    assert_eq!(redis.cli(&["ZRANGE", "edge:load:v4", "0", "-1"]), "a");
    let rounds = a.rounds();
    eventually_true(SOON, "two rounds", || a.rounds() > rounds + 1);
    assert!(!a.knows().contains("b"));
}

#[test]
fn a_node_that_drains_is_known_but_no_choice() {
    let redis = Redis::start();
    let fleet = Fleet::on(&redis);
    let [a, b] = [("a", 1), ("b", 2)].map(|(name, number)| fleet.node(name, at(number)));
    a.comes_to_send_to(&["a", "b"]);
    b.simulated.told.lock().unwrap().load.draining = true;
    a.comes_to_send_to(&["a"]);
    a.comes_to_know(&["a", "b"]);
    b.simulated.told.lock().unwrap().load.draining = false;
    a.comes_to_send_to(&["a", "b"]);
}

#[test]
fn what_is_known_is_used_on_while_redis_is_away_and_who_died_meanwhile_is_not_for_long() {
    let mut redis = Redis::start();
    let fleet = Fleet::on(&redis);
    let [a, b, c] = [("a", 1), ("b", 2), ("c", 3)].map(|(name, number)| fleet.node(name, at(number)));
    a.comes_to_send_to(&["a", "b", "c"]);
    b.comes_to_know(&["a", "b", "c"]);
    redis.kill();
    let state = a.linked.link.state();
    eventually_true(SOON, "the link to be down", || !state.borrow().up);
    c.kill();
    let rounds = a.rounds();
    eventually_true(SOON, "entries to be long over", || a.rounds() > rounds + 4);
    assert_eq!(a.sends_to().len(), 3);
    redis.start_again();
    let mut missed = 0;
    eventually_true(SOON, "c to be forgotten", || {
        let known = a.sends_to();
        missed += usize::from(!known.contains("b"));
        !known.contains("c")
    });
    assert_eq!(missed, 0, "b was there all the time");
    a.comes_to_send_to(&["a", "b"]);
}

#[test]
fn a_redis_that_loses_all_makes_nobody_forget_who_is_there() {
    let redis = Redis::start();
    let fleet = Fleet::on(&redis);
    let [a, b] = [("a", 1), ("b", 2)].map(|(name, number)| fleet.node(name, at(number)));
    a.comes_to_send_to(&["a", "b"]);
    redis.cli(&["FLUSHALL"]);
    let rounds = a.rounds();
    eventually_true(SOON, "some rounds", || {
        assert!(a.sends_to().contains("b"));
        a.rounds() > rounds + 4
    });
    drop(b);
}

#[test]
fn of_two_nodes_with_one_name_the_one_that_began_later_is_meant() {
    let redis = Redis::start();
    let fleet = Fleet::on(&redis);
    let [a, older] = [("a", 1), ("b", 2)].map(|(name, number)| fleet.node(name, at(number)));
    a.comes_to_know(&["a", "b"]);
    let newer = fleet.node("b", at(3));
    eventually_true(SOON, "the older one to say so", || {
        older.linked.tally.degraded().is_some_and(|why| why.contains("called b too"))
    });
    let address = || {
        let entry = a.directory.known().into_iter().find(|entry| entry.name.as_str() == "b");
        entry.map(|entry| entry.addresses[0].1.ip().to_string())
    };
    eventually_true(SOON, "the newer one to be known", || address().as_deref() == Some("192.0.2.3"));
    let rounds = a.rounds();
    eventually_true(SOON, "some rounds", || {
        assert_eq!(address().as_deref(), Some("192.0.2.3"));
        a.rounds() > rounds + 2
    });
    assert_eq!(newer.linked.tally.degraded(), None);
    newer.kill();
    eventually_true(SOON, "the older one to be back", || address().as_deref() == Some("192.0.2.2"));
    eventually_true(SOON, "its trouble to be over", || older.linked.tally.degraded().is_none());
}

#[test]
fn all_nodes_are_listed_and_found() {
    let redis = Redis::start();
    let fleet = Fleet::on(&redis);
    let nodes: Vec<_> = (1..=40).map(|number| fleet.node(&format!("n{number:02}"), at(number))).collect();
    let all = || fleet.wait(nodes[0].directory.all()).unwrap();
    eventually_true(SOON, "all to be listed", || all().len() == 40);
    assert!(all().is_sorted_by_key(|entry| entry.name.clone()));
    let found = fleet.wait(nodes[0].directory.find(&all()[39].name)).unwrap().unwrap();
    assert_eq!(found.addresses, at(40).addresses);
    assert!(fleet.wait(nodes[0].directory.find(&crate::nodes::named("nobody"))).unwrap().is_none());
}
