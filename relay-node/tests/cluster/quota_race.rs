//! A user's quota holds over the fleet, however many Allocates come at all nodes at once.

use std::time::Duration;

use testbed::Redis;
use tokio::task::JoinHandle;
use turn::credentials::UserId;
use turn::ledger::Account;

use crate::desks::{Node, comes_to_have};
use crate::nodes::Fleet;

const LIMIT: u32 = 100;
/// Much longer than a relay gives it: a loaded machine is no reason for another answer here.
const PATIENCE: Duration = Duration::from_secs(20);

fn user() -> UserId {
    UserId::time_limited("tenant:carol")
}

/// A thousand Allocates at all nodes at once, and the allocations that came of them on each.
fn storm(fleet: &Fleet, nodes: &[Node]) -> Vec<Vec<Account>> {
    let each = 1000 / nodes.len();
    let storms: Vec<Vec<_>> =
        nodes.iter().map(|node| (0..each).map(|_| fleet.spawn(node.allocate(&user()))).collect()).collect();
    let result = |task: JoinHandle<Option<Account>>| fleet.wait(task).unwrap();
    storms.into_iter().map(|tasks| tasks.into_iter().filter_map(result).collect()).collect()
}

#[test]
fn a_thousand_allocates_at_all_nodes_at_once_get_what_the_quota_allows() {
    let redis = Redis::start();
    let fleet = Fleet::on(&redis);
    let nodes: Vec<_> =
        (0..5).map(|number| Node::new(&fleet, &format!("n{number}"), LIMIT, PATIENCE)).collect();
    let mut granted = storm(&fleet, &nodes);
    let count = |granted: &[Vec<Account>]| granted.iter().map(Vec::len).sum::<usize>() as u32;
    assert_eq!(count(&granted), LIMIT);

    // What ends is there for others, on any node.
    let ended = granted.iter_mut().find(|granted| !granted.is_empty()).unwrap();
    let gone = ended.len().min(7) as u32;
    ended.truncate(ended.len() - gone as usize);
    let mut left: Vec<u32> = granted.iter().map(|it| it.len() as u32).filter(|count| *count > 0).collect();
    left.sort_unstable();
    comes_to_have(&redis, &left);
    let more = storm(&fleet, &nodes);
    assert_eq!(count(&more), gone);

    drop((granted, more));
    comes_to_have(&redis, &[]);
}

#[test]
fn another_users_quota_is_another_one() {
    let redis = Redis::start();
    let fleet = Fleet::on(&redis);
    let nodes = ["a", "b"].map(|name| Node::new(&fleet, name, 1, PATIENCE));
    let users = ["t1:carol", "t2:carol"].map(UserId::time_limited);
    let users = [users[0].clone(), users[1].clone(), UserId::long_term("t1:carol")];
    let first: Vec<_> = users.iter().map(|user| fleet.wait(nodes[0].allocate(user))).collect();
    assert!(first.iter().all(Option::is_some));
    for user in &users {
        assert!(fleet.wait(nodes[1].allocate(user)).is_none(), "{user}");
    }
}

#[test]
fn without_redis_the_nodes_own_limit_decides_at_once_and_the_fleets_is_back_with_it() {
    let mut redis = Redis::start();
    let fleet = Fleet::on(&redis);
    let nodes = ["a", "b"].map(|name| Node::new(&fleet, name, 2, PATIENCE));
    let first = fleet.wait(nodes[0].allocate(&user()));
    assert!(first.is_some());
    redis.kill();
    for node in &nodes {
        let state = node.link.state();
        testbed::eventually_true(crate::support::SOON, "the link to be down", || !state.borrow().up);
    }
    let beyond: Vec<_> = (0..2).map(|_| fleet.wait(nodes[1].allocate(&user()))).collect();
    assert!(beyond.iter().all(Option::is_some));
    assert!(fleet.wait(nodes[1].allocate(&user())).is_none(), "the node's own limit");
    redis.start_again();
    comes_to_have(&redis, &[1, 2]);
    assert!(fleet.wait(nodes[0].allocate(&user())).is_none());
}

#[test]
fn a_hanging_redis_is_waited_for_no_longer_than_that() {
    let redis = Redis::start();
    let fleet = Fleet::on(&redis);
    let node = Node::new(&fleet, "a", 2, Duration::from_millis(100));
    redis.hang();
    let asked = std::time::Instant::now();
    assert!(fleet.wait(node.allocate(&user())).is_some());
    println!("answered after {:?}", asked.elapsed());
    redis.go_on();
}

#[test]
fn what_a_stranger_writes_counts_no_longer_than_a_node_would() {
    let redis = Redis::start();
    let fleet = Fleet::on(&redis);
    let node = Node::new(&fleet, "a", 5, PATIENCE);
    let first = fleet.wait(node.allocate(&user()));
    assert!(first.is_some());
    comes_to_have(&redis, &[1]);
    let key = redis.cli(&["KEYS", "edge:quota:*"]);
    for value in ["9:99999999999999", "-9:1", "99999999999999999999:9", "x", ""] {
        redis.cli(&["HSET", &key, "evil", value]);
        assert!(fleet.wait(node.allocate(&user())).is_some(), "{value}");
    }
    redis.cli(&["DEL", &key]);
    redis.cli(&["SET", &key, "x"]);
    assert!(fleet.wait(node.allocate(&user())).is_some());
    assert!(!key.contains("carol"));
}
