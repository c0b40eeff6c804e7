//! Redis is away, hangs, comes back empty, or does not want us: calls end in time with a reason, the state says what is
//! in the way, and the link is made again without a storm and without leaving connections behind.

use std::io::Read;
use std::net::{Ipv4Addr, TcpListener};
use std::time::{Duration, Instant};

use edgerelay::cluster::link::{Away, Script};
use edgerelay::config::{RedisMode, Secret};
use redis::Value;
use testbed::{Redis, eventually_true};

use crate::support::{Linked, SOON, fleet};

#[test]
fn a_redis_that_is_not_there_is_told_of_and_used_when_it_comes() {
    let mut redis = Redis::start();
    redis.kill();
    let node = Linked::start(&fleet(&[redis.url()]));
    let state = node.down("nothing listens there");
    assert!(state.why.contains(&redis.url()) && state.why.contains("cluster.redis.urls"), "{}", state.why);
    assert_eq!(node.tally.degraded(), Some(state.why));
    assert!(matches!(node.query::<()>(&redis::cmd("PING")), Err(Away::Down)));
    redis.start_again();
    assert_eq!(node.up().epoch, 1);
    node.works();
    assert_eq!(node.tally.degraded(), None);
}

#[test]
fn a_redis_that_hangs_delays_no_call_beyond_its_deadline() {
    let redis = Redis::start();
    let node = Linked::start(&fleet(&[redis.url()]));
    let before = node.up().epoch;
    redis.hang();
    assert!(matches!(node.query::<()>(&redis::cmd("PING")), Err(Away::Late)));
    node.down("it does not answer");
    // Nothing is waited for any more.
    assert!(matches!(node.query::<()>(&redis::cmd("PING")), Err(Away::Down)));
    redis.go_on();
    assert!(node.up().epoch > before);
    node.works();
    eventually_true(SOON, "one connection to be left", || redis.clients() == 1);
}

#[test]
fn a_redis_that_was_restarted_empty_is_another_epoch() {
    let mut redis = Redis::start();
    let node = Linked::start(&fleet(&[redis.url()]));
    node.up();
    node.works();
    redis.kill();
    let before = node.down("").epoch;
    redis.start_again();
    assert!(node.up().epoch > before);
    assert_eq!(node.query::<Option<u8>>(redis::cmd("GET").arg(node.link.key("works"))).unwrap(), None);
}

#[test]
fn a_redis_that_was_emptied_is_another_epoch_on_the_same_connection() {
    let redis = Redis::start();
    let node = Linked::start(&fleet(&[redis.url()]));
    let before = node.up().epoch;
    let connections = redis.info("total_connections_received");
    redis.cli(&["FLUSHALL"]);
    eventually_true(SOON, "another epoch", || node.state().epoch == before + 1);
    assert!(node.state().up);
    // One more for each time that `redis-cli` asked.
    assert_eq!(redis.info("total_connections_received"), connections + 2);
}

#[test]
fn a_password_that_is_wrong_or_missing_is_told_with_its_setting() {
    let redis = Redis::with(&[("requirepass", "right")]);
    let with = |password: Option<&str>| {
        let mut config = fleet(&[redis.url()]);
        config.redis.password = password.map(Secret::new);
        Linked::start(&config)
    };
    let state = with(Some("wrong")).down("cluster.redis.password_file");
    assert!(!state.why.contains("wrong"), "{}", state.why);
    with(None).down("it asks for a password: see cluster.redis.password_file");
    let node = with(Some("right"));
    node.up();
    node.works();
    // It is changed while the connection holds, and then back.
    redis.cli(&["CONFIG", "SET", "requirepass", "other"]);
    redis.cli(&["-a", "other", "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
    node.down("cluster.redis.password_file");
    redis.cli(&["-a", "other", "CONFIG", "SET", "requirepass", "right"]);
    node.up();
}

#[test]
fn a_replica_is_told_from_a_primary() {
    let primary = Redis::start();
    let of = format!("127.0.0.1 {}", primary.address().port());
    let replica = Redis::with(&[("replicaof", &of)]);
    let node = Linked::start(&fleet(&[replica.url()]));
    node.down("it is a replica");
    // It is promoted, and demoted while it is in use.
    replica.cli(&["REPLICAOF", "NO", "ONE"]);
    node.up();
    replica.cli(&["REPLICAOF", "127.0.0.1", &primary.address().port().to_string()]);
    node.down("it is a replica");
}

#[test]
fn an_unknown_primary_and_sentinels_that_are_away() {
    let mut redis = Redis::start();
    let mut config = fleet(&[redis.url()]);
    config.redis.mode = RedisMode::Sentinel("edge".into());
    let node = Linked::start(&config);
    // A server is no Sentinel.
    node.down("unknown command");
    redis.kill();
    node.down("nothing listens there");
}

#[test]
fn more_calls_than_may_wait_are_refused_at_once_and_those_that_wait_end() {
    let redis = Redis::start();
    let node = Linked::start(&fleet(&[redis.url()]));
    node.up();
    redis.hang();
    node.wait(async {
        let mut calls = tokio::task::JoinSet::new();
        for _ in 0..5_000 {
            let link = node.link.clone();
            calls.spawn(async move { link.query::<Value>(redis::cmd("GET").arg("edge:none")).await });
        }
        let ends = calls.join_all().await;
        let of = |name| ends.iter().filter(|end| end.as_ref().is_err_and(|away| away.name() == name)).count();
        assert_eq!(of("late") + of("busy") + of("down"), 5_000);
        assert!(of("late") <= 1_024, "{}", of("late"));
    });
    redis.go_on();
    node.up();
    node.works();
    eventually_true(SOON, "one connection to be left", || redis.clients() == 1);
}

#[test]
fn a_server_that_closes_every_connection_is_not_stormed() {
    let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let url = format!("redis://{}", server.local_addr().unwrap());
    let node = Linked::start(&fleet(&[url]));
    let start = Instant::now();
    for _ in 0..20 {
        let (mut client, _) = server.accept().unwrap();
        client.set_read_timeout(Some(Duration::from_millis(10))).unwrap();
        let _ = client.read(&mut [0; 64]);
    }
    // Pauses grow to a second; any one may be short. Twenty of them are eight seconds, give or take.
    assert!(start.elapsed() > Duration::from_secs(2), "{:?}", start.elapsed());
    node.down("it closed the connection");
}

#[test]
fn scripts_pipelines_and_blocking_reads_are_answered() {
    let redis = Redis::start();
    let node = Linked::start(&fleet(&[redis.url()]));
    node.up();
    let script = Script::new("return redis.call('INCRBY', KEYS[1], ARGV[1])");
    for expected in [5, 10] {
        let key = node.link.key("number");
        assert_eq!(node.wait(node.link.script::<i64>(&script, &key, 5)).unwrap(), expected);
    }
    // A server that lost its scripts is told it again.
    redis.cli(&["SCRIPT", "FLUSH"]);
    assert_eq!(node.wait(node.link.script::<i64>(&script, &node.link.key("number"), 1)).unwrap(), 11);
    let cmds = vec![
        redis::cmd("SET").arg(node.link.key("a")).arg("x").to_owned(),
        redis::cmd("INCR").arg(node.link.key("a")).to_owned(),
        redis::cmd("GET").arg(node.link.key("a")).to_owned(),
    ];
    let answers = node.wait(node.link.pipeline(cmds)).unwrap();
    assert!(matches!(answers.as_slice(), [Value::Okay, Value::ServerError(_), Value::BulkString(_)]));
    let mut reader = node.wait(node.link.reader()).unwrap();
    let stream = node.link.key("stream");
    let mut read = redis::cmd("XREAD");
    read.arg("BLOCK").arg(10_000).arg("STREAMS").arg(&stream).arg("0");
    let found: Value = node.wait(async {
        let (read, _) = tokio::join!(reader.query(&read, SOON), async {
            node.link
                .query::<Value>(redis::cmd("XADD").arg(&stream).arg("*").arg("k").arg("v"))
                .await
                .unwrap()
        });
        read.unwrap()
    });
    assert!(matches!(found, Value::Array(_) | Value::Map(_)), "{found:?}");
}
