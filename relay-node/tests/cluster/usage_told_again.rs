//! Usage is added up once, however often and by whom it is told.

use edgerelay::cluster::Incarnation;
use edgerelay::cluster::allocations::{Filter, Name};
use edgerelay::cluster::usage::{Accounts, Line, Usage, Used};
use testbed::Redis;
use turn::credentials::UserId;

use crate::support::Way;

const FIRST: Incarnation = Incarnation(1);
const SECOND: Incarnation = Incarnation(2);

fn call(number: u8) -> Name {
    Name::parse(&format!("{number:032x}")).unwrap()
}

const fn used(bytes: u64) -> Used {
    Used { to_peers: bytes, to_client: 2 * bytes, millis: 1000 * bytes }
}

fn carol() -> UserId {
    UserId::time_limited("t1:carol")
}

async fn list(accounts: &Accounts, filter: Filter) -> Vec<Usage> {
    let (mut listed, mut usage) = (accounts.list(filter), Vec::new());
    while let Some(it) = listed.recv().await {
        usage.push(it.unwrap());
    }
    usage.sort_by(|one, other| one.user.cmp(&other.user));
    usage
}

/// Of carol.
async fn sums(accounts: &Accounts) -> (u64, u64, Used) {
    accounts.enlist([carol()].iter()).await.unwrap();
    let usage = list(accounts, Filter::default()).await;
    assert_eq!(usage[0].user, carol());
    (usage[0].allocations, usage[0].live, usage[0].used)
}

#[tokio::test]
async fn a_call_that_is_repeated_changes_nothing() {
    let redis = Redis::start();
    let accounts = Way::to(&redis).await.accounts();
    let lines = [Line::Live(call(1), used(10)), Line::Over(call(2), used(5)), Line::Sum(3, used(7))];
    for _ in 0..3 {
        accounts.tell(FIRST, 1, &carol(), &lines).await.unwrap();
        assert_eq!(sums(&accounts).await, (5, 1, used(22)));
    }
    accounts.tell(FIRST, 2, &carol(), &[Line::Over(call(1), used(11))]).await.unwrap();
    assert_eq!(sums(&accounts).await, (5, 0, used(23)));
    // It came late, from a connection that hung.
    accounts.tell(FIRST, 1, &carol(), &lines).await.unwrap();
    assert_eq!(sums(&accounts).await, (5, 0, used(23)));
}

#[tokio::test]
async fn a_process_that_goes_on_after_a_crash_tells_only_what_is_new() {
    let redis = Redis::start();
    let accounts = Way::to(&redis).await.accounts();
    accounts.tell(FIRST, 9, &carol(), &[Line::Live(call(1), used(10))]).await.unwrap();
    accounts.tell(SECOND, 1, &carol(), &[Line::Live(call(1), used(14))]).await.unwrap();
    assert_eq!(sums(&accounts).await, (1, 1, used(14)));
    // What it goes on from may be older than what was told.
    accounts.tell(Incarnation(3), 1, &carol(), &[Line::Live(call(1), used(12))]).await.unwrap();
    assert_eq!(sums(&accounts).await, (1, 1, used(14)));
    accounts.tell(Incarnation(3), 2, &carol(), &[Line::Over(call(1), used(15))]).await.unwrap();
    assert_eq!(sums(&accounts).await, (1, 0, used(15)));
}

#[tokio::test]
async fn users_are_listed_by_tenant() {
    let redis = Redis::start();
    let accounts = Way::to(&redis).await.accounts();
    let users = [
        UserId::long_term("alice"),
        UserId::time_limited("alice"),
        UserId::time_limited("t1:alice"),
        UserId::time_limited("t2:alice"),
    ];
    for (number, user) in (1..).zip(&users) {
        accounts.tell(FIRST, number, user, &[Line::Sum(number, used(number))]).await.unwrap();
    }
    accounts.enlist(users.iter()).await.unwrap();
    let listed =
        |usage: Vec<Usage>| usage.into_iter().map(|it| (it.user, it.allocations)).collect::<Vec<_>>();
    let all: Vec<_> = users.iter().cloned().zip(1..).collect();
    assert_eq!(listed(list(&accounts, Filter::default()).await), all);
    let of_t2 = Filter { tenant: Some("t2".to_owned()), ..Filter::default() };
    assert_eq!(listed(list(&accounts, of_t2).await), all[3..]);
    let alice = Filter { tenant: Some("t1".to_owned()), user: Some("bob".to_owned()), id: None };
    assert_eq!(list(&accounts, alice).await, []);
    assert!(!redis.cli(&["KEYS", "*"]).contains("alice"), "names are hidden");
    for key in redis.cli(&["KEYS", "edge:usage:*"]).lines() {
        let days = redis.cli(&["TTL", key]).parse::<u64>().unwrap() / (24 * 3600);
        assert!((34..=35).contains(&days), "{days} days");
    }
}

#[tokio::test]
async fn what_nodes_left_that_are_gone_for_good_goes_with_time() {
    let redis = Redis::start();
    let accounts = Way::to(&redis).await.accounts();
    accounts.tell(FIRST, 1, &carol(), &[Line::Live(call(1), used(1))]).await.unwrap();
    let key = redis.cli(&["KEYS", "edge:usage:*"]);
    for number in 0..50 {
        redis.cli(&["HSET", &key, &format!("@{number}"), "1 2 3 1000", &format!("wx{number}"), "7 1000"]);
    }
    for number in 2..60 {
        let lines = [Line::Live(call(number), used(1)), Line::Over(call(number), used(1))];
        accounts.tell(FIRST, number.into(), &carol(), &lines).await.unwrap();
    }
    assert_eq!(sums(&accounts).await, (59, 1, used(59)));
    let left: u32 = redis.cli(&["HLEN", &key]).parse().unwrap();
    assert!(left < 30, "{left} fields are left of 100 and those that count");
}
