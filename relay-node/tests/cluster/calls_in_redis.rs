//! A node's calls can be read by any node of the fleet, some at a time, and go an hour after it.

use std::collections::BTreeMap;

use edgerelay::cluster::allocations::{Name, Shelf, Written};
use testbed::Redis;

use crate::support::Way;

async fn all(shelf: &Shelf) -> BTreeMap<Name, Written> {
    let (mut all, mut walk) = (BTreeMap::new(), shelf.walk());
    while let Some(page) = walk.next().await.unwrap() {
        for (name, written) in page {
            assert!(all.insert(name, written).is_none(), "each is shown once");
        }
    }
    all
}

#[tokio::test]
async fn what_one_node_writes_another_one_reads() {
    let redis = Redis::start();
    let (one, other) = (Way::to(&redis).await, Way::to(&redis).await);
    let calls: Vec<_> = (0..1000).map(|number| one.call(number)).collect();
    for some in calls.chunks(100) {
        one.shelf("a").change(some, &[]).await.unwrap();
    }
    let calls: BTreeMap<_, _> = calls.into_iter().collect();
    assert_eq!(calls.len(), 1000);
    assert_eq!(all(&other.shelf("a")).await, calls);
    assert_eq!(all(&other.shelf("b")).await.len(), 0);
    let (name, written) = calls.first_key_value().unwrap();
    assert_eq!(other.shelf("a").get(*name).await.unwrap().as_ref(), Some(written));
    assert_eq!(other.shelf("b").get(*name).await.unwrap(), None);
}

#[tokio::test]
async fn a_call_that_has_ended_goes_and_one_that_has_changed_is_written_again() {
    let redis = Redis::start();
    let way = Way::to(&redis).await;
    let (shelf, [(first, _), (second, changed)]) = (way.shelf("a"), [1, 2].map(|number| way.call(number)));
    shelf.change(&[way.call(1), (second, changed.clone())].map(|(_, it)| (first, it)), &[]).await.unwrap();
    let mut changed = changed;
    changed.survivor.permissions.clear();
    shelf.change(&[(second, changed.clone())], &[first]).await.unwrap();
    assert_eq!(all(&shelf).await.into_iter().collect::<Vec<_>>(), [(second, changed)]);
}

#[tokio::test]
async fn they_outlive_their_node_by_an_hour() {
    let redis = Redis::start();
    let way = Way::to(&redis).await;
    way.shelf("a").change(&[way.call(1)], &[]).await.unwrap();
    let left: u64 = redis.cli(&["TTL", "edge:calls:a"]).parse().unwrap();
    assert!((3500..=3600).contains(&left), "{left} s");
}

#[tokio::test]
async fn what_a_former_life_of_the_node_left_is_swept_out() {
    let redis = Redis::start();
    let way = Way::to(&redis).await;
    let (shelf, calls) = (way.shelf("a"), (0..600).map(|number| way.call(number)).collect::<Vec<_>>());
    shelf.change(&calls, &[]).await.unwrap();
    redis.cli(&["HSET", "edge:calls:a", "a name of nobody's", "x"]);
    let live = calls[7].0;
    shelf.sweep(|name| name == live).await.unwrap();
    assert_eq!(redis.cli(&["HKEYS", "edge:calls:a"]), live.to_string());
}

#[tokio::test]
async fn nobody_who_reads_redis_learns_who_calls_whom() {
    let redis = Redis::start();
    let way = Way::to(&redis).await;
    way.shelf("a").change(&[way.call(1)], &[]).await.unwrap();
    let all = redis.cli(&["HGETALL", "edge:calls:a"]);
    for secret in ["user1", "example.org", "198.51.0.1", "203.0.113.1", "\\a\\a\\a\\a"] {
        assert!(!all.contains(secret), "{secret} in {all}");
    }
}
