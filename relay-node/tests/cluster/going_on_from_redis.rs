//! A node whose own records are gone goes on with its calls as Redis knows them.

use std::time::Instant;

use crate::daemon::{Call, Client, peer, receive, wait_until};
use crate::support::Member;

/// The text of its log line that says so.
const GOES_ON: &str = "calls of a former life of this node go on, as Redis knows them";

#[test]
fn calls_go_on_at_the_same_relayed_addresses() {
    let member = Member::new();
    let mut relay = member.serve();
    let mut calls: Vec<_> = (0..100).map(|_| Call::udp(&relay)).collect();
    member.calls_when("all with their channels", |there| {
        there.len() == 100 && there.values().all(|it| it.survivor.channels.len() == 1)
    });
    relay.kill_all();
    member.forget();
    let started = Instant::now();
    let relay = member.serve();
    relay.line(GOES_ON);
    println!("all calls went on {} ms after the start of their node", started.elapsed().as_millis());
    calls.iter_mut().for_each(Call::assert_on);
    for call in &mut calls {
        assert_eq!(call.client.refresh(600), 600);
    }
    assert_eq!(relay.metric("turn_allocations", &[]), 100);
    // From now on it writes them itself.
    member.calls_when("all", |there| there.len() == 100);
    calls.iter_mut().for_each(|call| assert_eq!(call.client.refresh(0), 0));
    member.calls_when("none", |calls| calls.is_empty());
}

#[test]
fn a_node_with_records_of_its_own_does_not_ask_redis_what_to_go_on_with() {
    let member = Member::new();
    let mut relay = member.serve();
    let mut call = Call::udp(&relay);
    let ended = Call::udp(&relay);
    member.calls_when("both", |calls| calls.len() == 2);
    // Redis does not learn that this one ends.
    member.redis.hang();
    let mut ended = ended;
    ended.client.refresh(0);
    relay.kill_all();
    member.redis.go_on();
    let relay = member.serve();
    call.assert_on();
    member.calls_when("the one that lives", |calls| calls.len() == 1);
    assert_eq!(relay.metric("turn_allocations", &[]), 1);
    assert!(!relay.log().iter().any(|line| line.contains(GOES_ON)));
}

#[test]
fn only_what_the_fleet_wrote_goes_on_and_it_is_no_other_node_s() {
    let member = Member::new();
    let mut relay = member.serve();
    let (mut mine, other) = (Call::udp(&relay), Call::udp(&relay));
    member.calls_when("both", |calls| calls.len() == 2);
    relay.kill_all();
    member.forget();
    // Somebody moves one to another node, and one bit of the other's record is not what it was.
    let (mut kept, mut spoilt) = (None, None);
    for (name, written) in member.calls() {
        let relayed = written.survivor.allocation.relayed.v4.unwrap().advertised();
        let place = if relayed == mine.relayed { &mut kept } else { &mut spoilt };
        *place = Some(name.to_string());
    }
    let swap = "local it = redis.call('HGET', KEYS[1], ARGV[1]); redis.call('HSET', KEYS[1], ARGV[2], it); \
                redis.call('HSET', KEYS[1], ARGV[3], it)";
    let (kept, spoilt) = (kept.unwrap(), spoilt.unwrap());
    let made_up = "0".repeat(32);
    member.redis.cli(&["EVAL", swap, "1", "edge:calls:one", &kept, &spoilt, &made_up]);
    let relay = member.serve();
    relay.line(GOES_ON);
    mine.assert_on();
    assert_eq!(relay.metric("turn_allocations", &[]), 1);
    drop(other);
    member.calls_when("its own", |calls| calls.len() == 1);
}

#[test]
fn without_redis_it_serves_at_once() {
    let mut member = Member::new();
    let mut relay = member.serve();
    let call = Call::udp(&relay);
    member.calls_when("one", |calls| calls.len() == 1);
    relay.kill_all();
    member.forget();
    member.redis.kill();
    let relay = member.serve();
    drop(call);
    Call::udp(&relay).assert_on();
    // Later it tells Redis what there is.
    member.redis.start_again();
    wait_until("one call", || relay.metric("turn_allocations", &[]) == 1);
    member.calls_when("the new one", |calls| calls.len() == 1);
}

#[test]
fn so_does_an_allocation_that_permits_nobody_yet() {
    let member = Member::new();
    let mut relay = member.serve();
    let mut alice = Client::udp(relay.address("udp"));
    let relayed = alice.allocate();
    member.calls_when("one", |calls| calls.len() == 1);
    relay.kill_all();
    member.forget();
    let relay = member.serve();
    relay.line(GOES_ON);
    let peer = peer();
    alice.bind(0x4000, peer.local_addr().unwrap());
    alice.send_channel(0x4000, b"there");
    assert_eq!(receive(&peer), (b"there".to_vec(), relayed));
    assert_eq!(alice.refresh(0), 0);
}
