//! Secrets and nonce keys of the fleet: the same on all nodes, changed without refusing anything that was good, back
//! after Redis was emptied, and never taken from who does not have the fleet key.

use std::sync::Arc;
use std::time::Duration;

use edgerelay::cluster::FleetState;
use edgerelay::cluster::keyring::ring::Lives;
use edgerelay::cluster::keyring::{AllLives, Keyrings};
use edgerelay::cluster::seal::Seal;
use edgerelay::config::{Cluster, Secret};
use testbed::{Redis, eventually, eventually_true};
use tokio::sync::watch;

use crate::support::{Linked, SOON, fleet};

/// What keeps the keys on one node.
struct Node {
    linked: Linked,
    fleet: watch::Receiver<FleetState>,
}

impl Node {
    fn start(config: &Cluster) -> Self {
        Self::knowing(config, FleetState::default())
    }

    fn knowing(config: &Cluster, known: FleetState) -> Self {
        let linked = Linked::start(config);
        let (fleet, told) = watch::channel(FleetState::default());
        let keyrings = Keyrings {
            link: linked.link.clone(),
            seal: Seal::new(config.fleet_key.expose().as_bytes(), &config.fleet).unwrap(),
            tally: Arc::clone(&linked.tally),
            fleet: Arc::new(fleet),
        };
        let used = config.issuing.rotation;
        let lives = Lives { used, accepted: config.issuing.max_ttl };
        linked.spawn(keyrings.keep(known, AllLives { secrets: lives, nonces: lives }));
        Self { linked, fleet: told }
    }

    fn state(&self) -> FleetState {
        self.fleet.borrow().clone()
    }

    /// The password that it gives to a name, if it gives any.
    fn signs(&self) -> Option<String> {
        self.state().signing.as_ref().map(|signing| signing.secret.password(b"name").to_string())
    }

    /// Every password that it takes for a name.
    fn takes(&self) -> Vec<String> {
        self.state().secrets.iter().map(|secret| secret.password(b"name").to_string()).collect()
    }

    /// Waits until it gives a password.
    fn signing(&self) -> String {
        eventually(SOON, "the fleet to have a secret", || self.signs())
    }
}

fn rejected(node: &Node, what: &'static str) -> u64 {
    node.linked.tally.counts().get(&("rejected_values", what)).copied().unwrap_or(0)
}

#[test]
fn nodes_that_start_together_end_up_with_the_same_keys() {
    let redis = Redis::start();
    let nodes: Vec<_> = (0..3).map(|_| Node::start(&fleet(&[redis.url()]))).collect();
    let signed = nodes[0].signing();
    for node in &nodes {
        assert_eq!(node.signing(), signed);
        assert_eq!(node.takes(), std::slice::from_ref(&signed));
        assert_eq!(node.state().nonce_keys.len(), 1);
    }
    let first = nodes[0].state().nonce_keys.clone();
    assert!(nodes.iter().all(|node| node.state().nonce_keys == first));
}

#[test]
fn nothing_that_is_in_redis_tells_a_key() {
    let redis = Redis::start();
    let node = Node::start(&fleet(&[redis.url()]));
    node.signing();
    let key = node.state().nonce_keys[0];
    let text: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
    let dumped = redis.cli(&["--no-raw", "GET", "edge:nonces"]);
    assert!(!dumped.is_empty() && !dumped.contains(&text[..16]));
    assert_eq!(redis.cli(&["STRLEN", "edge:nonces"]), (8 + 12 + 40 + 16).to_string());
}

#[test]
fn after_a_flush_those_who_know_publish_again_and_a_newcomer_waits_for_them() {
    let redis = Redis::start();
    let old_hand = Node::start(&fleet(&[redis.url()]));
    let signed = old_hand.signing();
    redis.cli(&["FLUSHALL"]);
    let newcomer = Node::start(&fleet(&[redis.url()]));
    assert_eq!(newcomer.signing(), signed);
    assert_eq!(old_hand.takes(), [signed]);
}

#[test]
fn a_node_that_kept_what_it_knew_goes_on_with_it_while_redis_is_away_and_publishes_it_when_that_is_back() {
    let mut redis = Redis::start();
    let node = Node::start(&fleet(&[redis.url()]));
    let signed = node.signing();
    let kept = node.state().to_bytes();
    drop(node);
    redis.kill();
    let known = FleetState::from_bytes(&kept).unwrap();
    let node = Node::knowing(&fleet(&[redis.url()]), known);
    assert_eq!(node.signing(), signed);
    redis.start_again();
    let newcomer = Node::start(&fleet(&[redis.url()]));
    assert_eq!(newcomer.signing(), signed);
}

#[test]
fn a_forged_value_is_written_over_and_counted() {
    let redis = Redis::start();
    let node = Node::start(&fleet(&[redis.url()]));
    let signed = node.signing();
    let sealed_nonces = |redis: &Redis| redis.cli(&["--no-raw", "GET", "edge:nonces"]);
    let before = sealed_nonces(&redis);
    // The other kind's value, whole and sealed by the fleet, is not what it is said to be.
    redis.cli(&["COPY", "edge:nonces", "edge:secrets", "REPLACE"]);
    eventually_true(SOON, "the forged value to be counted", || rejected(&node, "secrets") == 1);
    redis.cli(&["SET", "edge:nonces", "garbage"]);
    eventually_true(SOON, "the garbage to be counted", || rejected(&node, "nonces") == 1);
    eventually_true(SOON, "the value to be back", || {
        let now = sealed_nonces(&redis);
        now.len() > 32 && now != before
    });
    let newcomer = Node::start(&fleet(&[redis.url()]));
    assert_eq!(newcomer.signing(), signed);
    assert_eq!(node.signs(), Some(signed));
}

#[test]
fn a_node_with_another_fleet_key_learns_nothing() {
    let redis = Redis::start();
    let node = Node::start(&fleet(&[redis.url()]));
    let signed = node.signing();
    let mut config = fleet(&[redis.url()]);
    config.fleet_key = Secret::new("another key of at least thirty-two bytes");
    let stranger = Node::start(&config);
    eventually_true(SOON, "the value to be refused", || rejected(&stranger, "secrets") > 0);
    assert!(stranger.linked.tally.degraded().unwrap().contains("cluster.fleet_key_file"));
    // It writes nothing over, so that the fleet has nothing to put right.
    assert!(stranger.takes().is_empty());
    assert_eq!((node.signs(), rejected(&node, "secrets")), (Some(signed), 0));
}

#[test]
fn a_rotation_refuses_nothing_that_was_good() {
    let redis = Redis::start();
    let mut config = fleet(&[redis.url()]);
    // A key is made known ten seconds before it is used.
    config.issuing.rotation = Duration::from_secs(12);
    let nodes: Vec<_> = (0..3).map(|_| Node::start(&config)).collect();
    let first = nodes[0].signing();
    let mut given = vec![first.clone()];
    eventually_true(Duration::from_secs(60), "two rotations", || {
        for at in 0..nodes.len() {
            let signed = nodes[at].signing();
            if !given.contains(&signed) {
                given.push(signed.clone());
            }
            // What one gives out, all take, at once and later.
            for node in &nodes {
                let takes = node.takes();
                assert!(given.iter().all(|given| takes.contains(given)));
            }
        }
        given.len() >= 3
    });
    assert!(nodes.iter().all(|node| node.state().nonce_keys.len() >= 3));
}
