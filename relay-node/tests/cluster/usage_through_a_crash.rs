//! What users have used is told while their calls live, and counted once whatever happens to the relay or to Redis.

use rustix::process::Signal;

use crate::daemon::{Call, receive};
use crate::support::Member;

/// So many bytes each way.
fn relay_some(call: &mut Call<std::net::UdpSocket>, packets: usize) {
    for _ in 0..packets {
        call.client.send_channel(0x4000, &[7; 1000]);
        receive(&call.peer);
        call.peer.send_to(&[8; 500], call.relayed).unwrap();
        call.client.receive();
    }
}

/// What so many [`Call`]s have relayed with so many packets of [`relay_some`].
const fn bytes(calls: u64, packets: u64) -> [u64; 2] {
    // Each begins with "there" and "back".
    [calls * 5 + packets * 1000, calls * 4 + packets * 500]
}

#[test]
fn bytes_are_told_while_a_call_lives_and_once_through_kill_9() {
    let member = Member::new();
    let relay = member.serve();
    let mut call = Call::udp(&relay);
    relay_some(&mut call, 20);
    let usage = member.usage_when("what was relayed", |usage| {
        usage.iter().any(|it| [it.used.to_peers, it.used.to_client] == bytes(1, 20))
    });
    assert_eq!((usage.len(), usage[0].user.to_string().as_str()), (1, "alice"));
    assert_eq!((usage[0].allocations, usage[0].live), (1, 1));

    relay.crash(Signal::KILL);
    relay_some(&mut call, 10);
    relay.crash(Signal::KILL);
    relay_some(&mut call, 5);
    call.client.refresh(0);
    let usage = member.usage_when("its end", |usage| usage[0].live == 0);
    assert_eq!([usage[0].used.to_peers, usage[0].used.to_client], bytes(1, 35));
    assert_eq!(usage[0].allocations, 1);
    assert!(usage[0].used.millis > 0);
}

#[test]
fn a_call_that_lives_and_ends_while_redis_is_away_is_told_when_it_is_back() {
    let member = Member::new();
    let relay = member.serve();
    // That the relay has connected.
    let first = Call::udp(&relay);
    member.calls_when("one", |calls| calls.len() == 1);
    member.redis.hang();
    for _ in 0..20 {
        let mut call = Call::udp(&relay);
        relay_some(&mut call, 2);
        call.client.refresh(0);
    }
    let mut first = first;
    first.client.refresh(0);
    member.redis.go_on();
    let usage = member.usage_when("all", |usage| usage.iter().any(|it| it.allocations == 21));
    assert_eq!([usage[0].used.to_peers, usage[0].used.to_client], bytes(21, 40));
    assert_eq!(usage[0].live, 0);
}
