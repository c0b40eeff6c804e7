//! The ACL user of the example file is enough for a node, and can touch nothing but its fleet's keys.

use edgerelay::cluster::link::Script;
use edgerelay::config::Secret;
use redis::Value;
use testbed::Redis;

use crate::support::{Linked, NOTHING, fleet};

const EXAMPLE: &str = include_str!("../../edgerelay.example.toml");
const README: &str = include_str!("../../../README.md");

/// The words of the ACL line that the example file gives, for `ACL SETUSER`.
fn documented() -> Vec<String> {
    let (_, text) = EXAMPLE.split_once("#   user edgerelay ").expect("the example file has the line");
    let lines = text.lines().enumerate().take_while(|(at, line)| *at == 0 || line.starts_with("#     "));
    let words = lines.flat_map(|(_, line)| line.trim_start_matches('#').split_whitespace());
    words.map(|word| word.replace("PASSWORD", "right")).collect()
}

fn by_the_documented_user(redis: &Redis) -> Linked {
    let words = documented();
    let mut line = vec!["ACL", "SETUSER", "edgerelay"];
    line.extend(words.iter().map(String::as_str));
    assert_eq!(redis.cli(&line), "OK");
    let mut config = fleet(&[redis.url()]);
    config.redis.username = "edgerelay".into();
    config.redis.password = Some(Secret::new("right"));
    let node = Linked::start(&config);
    node.up();
    node
}

#[test]
fn the_readme_has_the_same_one() {
    let (_, text) = README.split_once("  user edgerelay ").expect("README has the line");
    let line = text.lines().next().unwrap().replace("PASSWORD", "right");
    assert_eq!(line.split_whitespace().collect::<Vec<_>>(), documented());
}

#[test]
fn it_is_enough_for_a_node() {
    let redis = Redis::start();
    let node = by_the_documented_user(&redis);
    node.works();
    let script = Script::new(
        "redis.call('TIME') redis.call('HSET', KEYS[1], 'a', 1) redis.call('PEXPIRE', KEYS[1], 9999) \
         return redis.call('HGETALL', KEYS[1])",
    );
    node.wait(node.link.script::<Value>(&script, &node.link.key("quota:x"), NOTHING)).unwrap();
    for words in [
        vec!["ZADD", "edge:load:v4", "1", "a"],
        vec!["ZRANDMEMBER", "edge:load:v4", "16"],
        vec!["XADD", "edge:revoked", "MAXLEN", "~", "1000", "*", "k", "v"],
        vec!["XREAD", "COUNT", "1", "STREAMS", "edge:revoked", "0"],
        vec!["HSET", "edge:calls:a", "id", "sealed"],
        vec!["HSCAN", "edge:calls:a", "0"],
        vec!["UNLINK", "edge:calls:a"],
    ] {
        let mut cmd = redis::cmd(words[0]);
        words[1..].iter().for_each(|word| _ = cmd.arg(word));
        node.query::<Value>(&cmd).unwrap_or_else(|away| panic!("{words:?}: {away}"));
    }
    // The link itself asked for nothing that was refused.
    assert_eq!(redis.cli(&["ACL", "LOG"]), "");
}

#[test]
fn it_can_touch_nothing_else() {
    let redis = Redis::start();
    let node = by_the_documented_user(&redis);
    let elsewhere = Script::new("return redis.call('SET', 'other:key', 1)");
    node.wait(node.link.script::<Value>(&elsewhere, &node.link.key("x"), NOTHING)).unwrap_err();
    for words in [
        vec!["GET", "other:key"],
        vec!["SET", "edges:key", "1"],
        vec!["KEYS", "*"],
        vec!["SCAN", "0"],
        vec!["FLUSHALL"],
        vec!["FLUSHDB"],
        vec!["CONFIG", "GET", "*"],
        vec!["ACL", "LIST"],
        vec!["CLIENT", "LIST"],
        vec!["SELECT", "1"],
        vec!["PUBLISH", "edge:x", "1"],
        vec!["SCRIPT", "FLUSH"],
        vec!["RANDOMKEY"],
        vec!["SHUTDOWN"],
        vec!["RENAME", "edge:works", "other:key"],
    ] {
        let mut cmd = redis::cmd(words[0]);
        words[1..].iter().for_each(|word| _ = cmd.arg(word));
        let refused = node.query::<Value>(&cmd).unwrap_err().to_string();
        assert!(refused.contains("NoPerm"), "{words:?}: {refused}");
    }
}

#[test]
fn what_it_may_not_do_is_told_with_the_way_out() {
    let redis = Redis::start();
    assert_eq!(redis.cli(&["ACL", "SETUSER", "edgerelay", "on", ">right", "~none:*", "+@all"]), "OK");
    let mut config = fleet(&[redis.url()]);
    config.redis.username = "edgerelay".into();
    config.redis.password = Some(Secret::new("right"));
    Linked::start(&config).down("edgerelay.example.toml for the ACL line");
}
