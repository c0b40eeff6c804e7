//! A revoked user is refused everywhere, its calls end within a second, and Redis's troubles only delay that.

use std::net::UdpSocket;
use std::time::Instant;

use serde_json::Value;
use turn_client::Credential;

use crate::daemon::{Client, datagram_socket, text, wait_until};
use crate::fleet::Fleet;

/// A credential that the fleet issues.
fn issued(fleet: &Fleet, user: &str) -> (String, String) {
    let told = fleet.ask(0, &["issue", "--user", user]);
    let part = |name: &str| told[name].as_str().unwrap().to_owned();
    (part("username"), part("password"))
}

fn client(fleet: &Fleet, at: usize, (username, password): &(String, String)) -> Client<UdpSocket> {
    let wire = datagram_socket("127.0.0.1:0");
    wire.connect(fleet.relays[at].daemon.address("udp")).unwrap();
    Client::of(Credential::new(username, password), wire)
}

fn is_refused(fleet: &Fleet, at: usize, credential: &(String, String)) -> bool {
    let mut client = client(fleet, at, credential);
    match client.try_allocate() {
        Ok(_) => client.try_refresh(0).is_err(),
        Err(code) => code == 401,
    }
}

fn allocations(fleet: &Fleet) -> u64 {
    fleet.relays.iter().map(|relay| relay.daemon.metric("turn_allocations", &[])).sum()
}

#[test]
fn calls_end_at_every_node_within_a_second() {
    let fleet = Fleet::of(2);
    let (alice, bob) = (issued(&fleet, "alice"), issued(&fleet, "bob"));
    let mut calls: Vec<_> =
        [(0, &alice), (1, &alice), (0, &bob), (1, &bob)].map(|(at, who)| client(&fleet, at, who)).into();
    calls.iter_mut().for_each(|call| _ = call.allocate());
    wait_until("four calls", || allocations(&fleet) == 4);
    let told: Value = fleet.ask(0, &["revoke", "--user", "alice"]);
    let since = Instant::now();
    assert_eq!(told["complete"], true);
    wait_until("alice's calls to end", || allocations(&fleet) == 2);
    assert!(since.elapsed().as_secs_f64() < 1.0, "{:?}", since.elapsed());
    for at in [0, 1] {
        assert!(is_refused(&fleet, at, &alice) && !is_refused(&fleet, at, &bob));
    }
    let refused = fleet.command(1, &["issue", "--user", "alice"]);
    assert!(text(&refused.stderr).contains("this user is revoked"), "{refused:?}");
}

#[test]
fn it_can_be_taken_back() {
    let fleet = Fleet::of(2);
    let alice = issued(&fleet, "alice");
    fleet.ask(0, &["revoke", "--user", "alice"]);
    wait_until("alice to be refused", || is_refused(&fleet, 1, &alice));
    fleet.ask(1, &["revoke", "--undo", "--user", "alice"]);
    wait_until("alice to be served", || !is_refused(&fleet, 0, &alice) && !is_refused(&fleet, 1, &alice));
}

#[test]
fn one_credential_is_revoked_alone() {
    let fleet = Fleet::of(1);
    let (one, other) = (issued(&fleet, "alice"), {
        let told = fleet.ask(0, &["issue", "--user", "alice", "--ttl", "100s"]);
        ["username", "password"].map(|name| told[name].as_str().unwrap().to_owned()).into()
    });
    fleet.ask(0, &["revoke", "--username", &one.0]);
    wait_until("it to be refused", || is_refused(&fleet, 0, &one));
    assert!(!is_refused(&fleet, 0, &other));
}

#[test]
fn without_redis_it_is_in_force_here_and_told_when_redis_is_back() {
    let fleet = Fleet::of(2);
    let alice = issued(&fleet, "alice");
    fleet.redis.hang();
    let told = fleet.command(0, &["revoke", "--user", "alice"]);
    assert_eq!(told.status.code(), Some(3), "{told:?}");
    assert!(text(&told.stderr).contains("only this node knows so far"), "{told:?}");
    wait_until("alice to be refused here", || is_refused(&fleet, 0, &alice));
    assert!(!is_refused(&fleet, 1, &alice), "the other one cannot know");
    fleet.redis.go_on();
    wait_until("alice to be refused there too", || is_refused(&fleet, 1, &alice));
}

#[test]
fn what_redis_loses_is_said_again() {
    let mut fleet = Fleet::of(2);
    let (alice, bob) = (issued(&fleet, "alice"), issued(&fleet, "bob"));
    fleet.ask(0, &["revoke", "--user", "alice"]);
    wait_until("alice to be refused there", || is_refused(&fleet, 1, &alice));
    fleet.redis.cli(&["FLUSHALL"]);
    wait_until("it to be in the log again", || fleet.redis.cli(&["XLEN", "blue:revoked"]) != "0");
    fleet.join();
    wait_until("a newcomer to know the secrets", || !is_refused(&fleet, 2, &bob));
    wait_until("a newcomer to refuse alice", || is_refused(&fleet, 2, &alice));
}

#[test]
fn nobody_who_writes_to_redis_revokes_or_restores() {
    let fleet = Fleet::of(1);
    let (alice, bob) = (issued(&fleet, "alice"), issued(&fleet, "bob"));
    fleet.redis.cli(&["XADD", "blue:revoked", "*", "line", "{\"whom\":{\"User\":\"bob\"}}"]);
    fleet.ask(0, &["revoke", "--user", "alice"]);
    fleet.ask(0, &["revoke", "--undo", "--user", "alice"]);
    fleet.ask(0, &["revoke", "--user", "alice"]);
    wait_until("alice to be refused", || is_refused(&fleet, 0, &alice));
    let rejected =
        || fleet.relays[0].daemon.metric("edgerelay_cluster_rejected_values_total", &["revocation"]);
    wait_until("the forged line to be counted", || rejected() > 0);
    // Whoever takes lines away is corrected, and what a newcomer finds is the last word all the same.
    fleet.redis.cli(&["DEL", "blue:revoked"]);
    wait_until("it to be said again", || fleet.redis.cli(&["XLEN", "blue:revoked"]) != "0");
    fleet.redis.cli(&["SET", "blue:revoked", "no stream"]);
    wait_until("it to be a stream again", || fleet.redis.cli(&["TYPE", "blue:revoked"]) == "stream");
    assert!(is_refused(&fleet, 0, &alice) && !is_refused(&fleet, 0, &bob));
}
