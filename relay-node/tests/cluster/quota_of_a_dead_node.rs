//! What a node that died had of a user's quota is the user's again; what it still has when it starts again counts.

use std::sync::Arc;
use std::time::Duration;

use testbed::{Redis, eventually};
use turn::credentials::UserId;

use crate::desks::{Books, Node, comes_to_have, shares};
use crate::nodes::Fleet;
use crate::support::SOON;

const PATIENCE: Duration = Duration::from_secs(20);

#[test]
fn its_share_is_free_once_it_has_not_been_renewed() {
    let redis = Redis::start();
    let fleet = Fleet::on(&redis);
    let [dying, other] = ["a", "b"].map(|name| Node::new(&fleet, name, 1, PATIENCE));
    let user = UserId::time_limited("carol");
    let held = fleet.wait(dying.allocate(&user));
    assert!(held.is_some());
    assert!(fleet.wait(other.allocate(&user)).is_none());
    dying.kill();
    let died = std::time::Instant::now();
    let freed = eventually(SOON, "the share to be free", || fleet.wait(other.allocate(&user)));
    println!("the share of a dead node was free after {:?}", died.elapsed());
    assert_eq!(shares(&redis), [1]);
    drop(freed);
    // Nothing is left of the user: the key goes with its last share.
    comes_to_have(&redis, &[]);
    assert_eq!(redis.cli(&["DBSIZE"]), "1", "the link's own key");
}

#[test]
fn a_share_lasts_as_long_as_its_node() {
    let redis = Redis::start();
    let fleet = Fleet::on(&redis);
    let [a, b] = ["a", "b"].map(|name| Node::new(&fleet, name, 1, PATIENCE));
    let user = UserId::time_limited("carol");
    let _held = fleet.wait(a.allocate(&user)).unwrap();
    let key = redis.cli(&["KEYS", "edge:quota:*"]);
    // Renewed twice: Redis shows a later time each time.
    let mut seen = vec![redis.cli(&["HVALS", &key])];
    eventually(SOON, "two renewals", || {
        assert!(fleet.wait(b.allocate(&user)).is_none());
        let now = redis.cli(&["HVALS", &key]);
        if seen.last() != Some(&now) {
            seen.push(now);
        }
        (seen.len() > 2).then_some(())
    });
}

#[test]
fn a_node_that_starts_again_has_what_it_has_restored_and_no_more() {
    let redis = Redis::start();
    let fleet = Fleet::on(&redis);
    let user = UserId::time_limited("carol");
    let before = Node::new(&fleet, "a", 3, PATIENCE);
    let held: Vec<_> = (0..3).map(|_| fleet.wait(before.allocate(&user)).unwrap()).collect();
    comes_to_have(&redis, &[3]);
    before.kill();
    drop(held);
    // Two of them are restored, whatever the quota is by now.
    let books = Arc::new(Books::new(1));
    let restored: Vec<_> = (0..2).map(|_| books.ledger.claim_account(&user)).collect();
    let after = Node::with(&fleet, "a", books, PATIENCE);
    assert!(fleet.wait(after.allocate(&user)).is_none());
    // The life before is over, and its share with it: nobody waits for that to expire.
    eventually(SOON, "one share of two", || (shares(&redis) == [2]).then_some(()));
    drop(restored);
    comes_to_have(&redis, &[]);
}
