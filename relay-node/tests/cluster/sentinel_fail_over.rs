//! Sentinels change the primary: the link follows, whether the old one is dead, alive or hangs.

use edgerelay::config::{Cluster, RedisMode};
use testbed::{Sentinels, eventually_true};

use crate::support::{Linked, SOON, fleet};

fn by_sentinels(sentinels: &Sentinels) -> Cluster {
    let mut config = fleet(&sentinels.urls());
    config.redis.mode = RedisMode::Sentinel(Sentinels::PRIMARY.into());
    config
}

/// Whether what the node writes is at the server with this index.
fn writes_to(node: &Linked, sentinels: &Sentinels, index: usize) -> bool {
    let key = node.link.key("where");
    let value = format!("{index}");
    node.query::<()>(redis::cmd("SET").arg(&key).arg(&value)).is_ok()
        && sentinels.servers[index].cli(&["ROLE"]).starts_with("master")
        && sentinels.servers[index].cli(&["GET", &key]) == value
}

#[test]
fn a_primary_that_dies_is_left_for_the_new_one() {
    let mut sentinels = Sentinels::start();
    let node = Linked::start(&by_sentinels(&sentinels));
    node.up();
    node.works();
    sentinels.servers[0].kill();
    eventually_true(SOON, "the new primary to get what is written", || writes_to(&node, &sentinels, 1));
}

#[test]
fn a_primary_that_lost_its_office_is_left_at_once() {
    let sentinels = Sentinels::start();
    let node = Linked::start(&by_sentinels(&sentinels));
    node.up();
    node.works();
    sentinels.fail_over();
    eventually_true(SOON, "the new primary to get what is written", || writes_to(&node, &sentinels, 1));
    eventually_true(SOON, "nobody to be connected to the old one for writing", || {
        // The new primary itself is its client.
        let listed = sentinels.servers[0].cli(&["CLIENT", "LIST", "TYPE", "normal"]);
        !listed.lines().any(|line| line.contains("cmd=set"))
    });
}

#[test]
fn a_primary_that_hangs_is_left_for_the_new_one() {
    let sentinels = Sentinels::start();
    let node = Linked::start(&by_sentinels(&sentinels));
    node.up();
    sentinels.servers[0].hang();
    eventually_true(SOON, "the new primary to get what is written", || writes_to(&node, &sentinels, 1));
    sentinels.servers[0].go_on();
}
