//! Whoever can write to Redis can take calls away there, and make up none.

use testbed::Redis;

use crate::support::Way;

/// Puts what is in one field into another one.
const COPY: &str = "redis.call('HSET', KEYS[2], ARGV[2], redis.call('HGET', KEYS[1], ARGV[1]))";

async fn names(way: &Way, node: &str) -> Vec<String> {
    let (shelf, mut names) = (way.shelf(node), Vec::new());
    let mut walk = shelf.walk();
    while let Some(page) = walk.next().await.unwrap() {
        names.extend(page.into_iter().map(|(name, _)| name.to_string()));
    }
    names
}

#[tokio::test]
async fn a_call_is_nobody_elses() {
    let redis = Redis::start();
    let way = Way::to(&redis).await;
    let [call, other] = [1, 2].map(|number| way.call(number));
    let [name, made_up] = [&call, &other].map(|(name, _)| name.to_string());
    way.shelf("a").change(&[call], &[]).await.unwrap();
    redis.cli(&["EVAL", COPY, "2", "edge:calls:a", "edge:calls:b", &name, &name]);
    redis.cli(&["EVAL", COPY, "2", "edge:calls:a", "edge:calls:a", &name, &made_up]);
    assert_eq!(names(&way, "a").await, std::slice::from_ref(&name));
    assert_eq!(way.rejected("allocation"), 1, "one under another name");
    assert_eq!(names(&way, "b").await, Vec::<String>::new());
    assert_eq!(way.rejected("allocation"), 2, "and one of another node");
    assert_eq!(way.shelf("b").get(other.0).await.unwrap(), None);
}

#[tokio::test]
async fn what_is_no_call_is_left_out_and_counted() {
    let redis = Redis::start();
    let way = Way::to(&redis).await;
    let (name, call) = way.call(1);
    way.shelf("a").change(&[(name, call)], &[]).await.unwrap();
    let long = "x".repeat(100_000);
    for (field, value) in
        [("f".repeat(32), "short"), ("0".repeat(32), ""), ("not a name".into(), "x"), ("1".repeat(32), &long)]
    {
        redis.cli(&["HSET", "edge:calls:a", &field, value]);
    }
    assert_eq!(names(&way, "a").await, [name.to_string()]);
    assert_eq!(way.rejected("allocation"), 4);
}

#[tokio::test]
async fn a_key_of_another_kind_is_made_anew() {
    let redis = Redis::start();
    let way = Way::to(&redis).await;
    redis.cli(&["SET", "edge:calls:a", "a string"]);
    assert!(way.shelf("a").walk().next().await.is_err());
    // Whoever writes is told that it was in vain, and writes all again.
    assert!(way.shelf("a").change(&[way.call(1)], &[]).await.is_err());
    way.shelf("a").change(&[way.call(1)], &[]).await.unwrap();
    assert_eq!(names(&way, "a").await.len(), 1);
    assert_eq!(way.rejected("allocations"), 1);
}
