//! Redis Cluster: each key stands alone, wherever its slot is.

use edgerelay::cluster::link::Script;
use edgerelay::config::RedisMode;
use redis::Value;
use testbed::RedisCluster;

use crate::support::{Linked, NOTHING, fleet};

#[test]
fn keys_of_all_slots_are_reached_singly_in_pipelines_and_by_scripts() {
    let cluster = RedisCluster::start();
    let mut config = fleet(&cluster.urls());
    config.redis.mode = RedisMode::Cluster;
    let node = Linked::start(&config);
    node.up();
    let keys: Vec<String> = (0..50).map(|at| node.link.key(&format!("quota:{at}"))).collect();
    let writes = keys.iter().map(|key| redis::cmd("SET").arg(key).arg(1).to_owned()).collect();
    let answers = node.wait(node.link.pipeline(writes)).unwrap();
    assert!(answers.iter().all(|answer| *answer == Value::Okay));
    let script = Script::new("return redis.call('INCR', KEYS[1])");
    for key in &keys {
        assert_eq!(node.query::<u8>(redis::cmd("GET").arg(key)).unwrap(), 1);
        assert_eq!(node.wait(node.link.script::<u8>(&script, key, NOTHING)).unwrap(), 2);
    }
    // Every node has some of them.
    for server in &cluster.nodes {
        assert_ne!(server.cli(&["DBSIZE"]), "0");
    }
}

#[test]
fn a_primary_that_is_away_is_told_of_and_what_comes_back_is_used() {
    let mut cluster = RedisCluster::start();
    let mut config = fleet(&cluster.urls());
    config.redis.mode = RedisMode::Cluster;
    let node = Linked::start(&config);
    node.up();
    cluster.nodes[2].hang();
    node.down("");
    cluster.nodes[2].go_on();
    node.up();
    cluster.nodes.truncate(0);
    node.down("");
}
