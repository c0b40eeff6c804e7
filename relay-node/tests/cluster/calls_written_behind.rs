//! What changes of a relay's calls is in Redis soon after, and again when Redis has lost it.

use crate::daemon::{Call, Client};
use crate::support::Member;

#[test]
fn a_call_is_there_with_all_that_belongs_to_it_until_it_ends() {
    let member = Member::new();
    let relay = member.serve();
    let mut call = Call::udp(&relay);
    let calls = member.calls_when("a call with its channel", |calls| {
        calls.values().any(|call| call.survivor.channels.len() == 1)
    });
    let [written] = &calls[..] else { panic!("one call: {calls:?}") };
    let allocation = &written.survivor.allocation;
    assert_eq!(allocation.relayed.v4.unwrap().advertised(), call.relayed);
    assert_eq!(allocation.user().to_string(), "alice");
    assert_eq!(allocation.five_tuple.client.get(), call.client.wire.local_addr().unwrap());
    assert_eq!(written.survivor.permissions[0].peer, call.peer.local_addr().unwrap().ip());

    call.client.bind(0x4001, ([127, 0, 0, 2], 9).into());
    member.calls_when("another channel", |calls| calls.values().any(|it| it.survivor.channels.len() == 2));
    call.client.refresh(0);
    member.calls_when("none", |calls| calls.is_empty());
}

#[test]
fn clients_on_connections_are_there_too() {
    let member = Member::new();
    let relay = member.serve();
    let mut client = Client::tcp(relay.address("tcp"));
    client.allocate();
    let calls = member.calls_when("a call", |calls| calls.len() == 1);
    assert!(calls[0].survivor.allocation.five_tuple.transport.is_stream());
    drop(client);
    member.calls_when("none", |calls| calls.is_empty());
}

#[test]
fn a_redis_that_comes_back_empty_is_told_again() {
    let mut member = Member::new();
    let relay = member.serve();
    let mut calls: Vec<_> = (0..50).map(|_| Call::udp(&relay)).collect();
    member.calls_when("all", |calls| calls.len() == 50);
    member.redis.kill();
    // While it is away some end, some begin, and none notices.
    calls.drain(..10).for_each(|mut call| assert_eq!(call.client.refresh(0), 0));
    calls.extend((0..5).map(|_| Call::udp(&relay)));
    calls.iter_mut().for_each(Call::assert_on);
    member.redis.start_again();
    member.calls_when("those that live", |there| there.len() == 45);
    let channels = |calls: &std::collections::BTreeMap<_, edgerelay::cluster::allocations::Written>| {
        calls.values().all(|it| it.survivor.channels.len() == 1)
    };
    member.calls_when("all that belongs to them", channels);
}

#[test]
fn so_is_one_that_is_flushed() {
    let member = Member::new();
    let relay = member.serve();
    let _calls: Vec<_> = (0..10).map(|_| Call::udp(&relay)).collect();
    member.calls_when("all", |calls| calls.len() == 10);
    member.redis.cli(&["FLUSHALL"]);
    member.calls_when("all again", |calls| calls.len() == 10);
}

#[test]
fn what_was_written_before_an_outage_and_ended_in_it_is_swept_out() {
    let member = Member::new();
    let relay = member.serve();
    let mut calls: Vec<_> = (0..10).map(|_| Call::udp(&relay)).collect();
    member.calls_when("all", |calls| calls.len() == 10);
    member.redis.hang();
    calls.drain(..4).for_each(|mut call| assert_eq!(call.client.refresh(0), 0));
    member.redis.go_on();
    member.calls_when("those that live", |calls| calls.len() == 6);
    calls.iter_mut().for_each(Call::assert_on);
}

#[test]
fn a_node_that_ends_leaves_none() {
    let member = Member::new();
    let mut relay = member.serve();
    let _call = Call::udp(&relay);
    member.calls_when("one", |calls| calls.len() == 1);
    // Told twice it does not wait for its calls.
    relay.signal(rustix::process::Signal::TERM);
    relay.line("draining: no new allocations");
    relay.signal(rustix::process::Signal::TERM);
    assert!(relay.wait().success());
    assert!(member.calls().is_empty());
}
