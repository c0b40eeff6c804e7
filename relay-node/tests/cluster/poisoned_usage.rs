//! What is no usage is not listed, and does not keep usage from being told.

use edgerelay::cluster::Incarnation;
use edgerelay::cluster::allocations::Filter;
use edgerelay::cluster::usage::{Accounts, Line, Used};
use testbed::Redis;
use turn::credentials::UserId;

use crate::support::Way;

const USED: Used = Used { to_peers: 1, to_client: 2, millis: 3 };

async fn listed(accounts: &Accounts) -> Vec<(UserId, u64)> {
    let (mut usage, mut listed) = (accounts.list(Filter::default()), Vec::new());
    while let Some(it) = usage.recv().await {
        let it = it.unwrap();
        listed.push((it.user, it.allocations));
    }
    listed
}

#[tokio::test]
async fn it_is_removed_when_something_is_told() {
    let redis = Redis::start();
    let way = Way::to(&redis).await;
    let (accounts, alice) = (way.accounts(), UserId::long_term("alice"));
    let lines = [Line::Sum(1, USED)];
    accounts.tell(Incarnation(1), 1, &alice, &lines).await.unwrap();
    accounts.enlist([&alice].into_iter()).await.unwrap();
    let key = redis.cli(&["KEYS", "edge:usage:*"]);
    let poison: [&[&str]; 4] = [
        &["HSET", &key, "allocations", "many"],
        &["HSET", &key, "millis", "99999999999999999999999"],
        &["HSET", &key, "w1", "nothing"],
        &["SET", &key, "a string"],
    ];
    for (number, command) in (2..).zip(poison) {
        redis.cli(command);
        accounts.tell(Incarnation(1), number, &alice, &lines).await.unwrap();
        assert_eq!(listed(&accounts).await, [(alice.clone(), 1)], "{command:?}");
        assert_eq!(way.rejected("usage"), number - 1);
    }
}

#[tokio::test]
async fn it_is_left_out_of_the_list_and_counted() {
    let redis = Redis::start();
    let way = Way::to(&redis).await;
    let (accounts, alice) = (way.accounts(), UserId::long_term("alice"));
    accounts.tell(Incarnation(1), 1, &alice, &[Line::Sum(1, USED)]).await.unwrap();
    accounts.enlist([&alice].into_iter()).await.unwrap();
    let alices = redis.cli(&["KEYS", "edge:usage:*"]);
    let made_up = format!("edge:usage:{}", "0".repeat(32));
    // Somebody gives what alice used to another one, and lists some who are nobody.
    redis.cli(&["COPY", &alices, &made_up]);
    redis.cli(&["SET", &format!("edge:usage:{}", "1".repeat(32)), "a string"]);
    redis.cli(&["HSET", &format!("edge:usage:{}", "2".repeat(32)), "user", "alice"]);
    for name in ["0".repeat(32), "1".repeat(32), "2".repeat(32), "3".repeat(32), "no name".to_owned()] {
        redis.cli(&["ZADD", "edge:users:0", "1", &name]);
    }
    assert_eq!(listed(&accounts).await, [(alice, 1)]);
    assert_eq!(way.rejected("usage"), 3);
}
