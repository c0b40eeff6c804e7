//! A nonce of ours expires in the midst of a flood in the name of its client's address: it gets a 438 with a
//! new one at once, in a call and without one, since having it shows that the client can be reached.

use std::net::SocketAddrV4;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::{Duration, Instant};

use edgerelay_e2e::Network;
use edgerelay_e2e::client::Client;
use edgerelay_e2e::pace::{Over, at_intervals, at_rate};
use edgerelay_e2e::relay::Relay;
use edgerelay_e2e::request;
use edgerelay_e2e::spoof::Spoofer;
use edgerelay_e2e::steady::Steady;
use edgerelay_e2e::transport::Transport;
use stun::Method;
use stun::attribute::Lifetime;

/// Allocates a second; twenty times what is answered.
const RATE: u32 = 20_000;
const DURATION: Duration = Duration::from_secs(6);
const BOUND: u64 = 4 << 20;
/// From one Refresh to the next.
const INTERVAL: Duration = Duration::from_millis(50);
/// A retransmission later would be after half a second.
const AT_ONCE: Duration = Duration::from_millis(500);
/// What a Refresh without an allocation gets (RFC 8656 section 7.2), once its nonce is good.
const NO_ALLOCATION: Option<u16> = Some(437);

#[test]
fn gets_its_438() {
    let network = Network::new();
    let relay = Relay::as_shipped(&network, &[("nonce.lifetime", "\"1s\"")]);
    let steady = Steady::before(&network, &relay);
    let client = |user| Client::udp(&network.alice, relay.plain(), relay.credential(user));
    let (mut caller, mut other) = (client("alice"), client("not in a call"));
    caller.allocate().expect("within the limits");
    other.challenge();
    let (to, from) = (relay.plain_v4(), SocketAddrV4::new(network.alice.v4, 61_000));
    let spoofer = Spoofer::new(&network);

    let over = AtomicBool::new(false);
    let impact = steady.during(&[Transport::Tcp, Transport::Tls], || {
        thread::scope(|scope| {
            let refreshes = [
                ("in a call", scope.spawn(|| refresh(&mut caller, None, &over))),
                ("without one", scope.spawn(|| refresh(&mut other, NO_ALLOCATION, &over))),
            ];
            {
                let _over = Over(&over);
                at_rate(RATE, DURATION, |_| spoofer.send(from, to, &request::bare_allocate()));
            }
            for (who, refreshes) in refreshes {
                let (stale, slowest) = refreshes.join().expect("they are answered");
                println!("{who}: {stale} Refreshes with a stale nonce, the slowest of all took {slowest:?}");
                assert!(stale >= 2, "the nonce expires");
                assert!(slowest < AT_ONCE, "a Refresh {who} took {slowest:?}");
            }
        });
    });
    let unanswered = relay.metric("turn_dropped_packets_total", &["reason=\"answer_budget\""]);
    assert!(unanswered > f64::from(RATE), "the flood stays within the budget: {unanswered} were dropped");
    impact.is_none(BOUND);
    caller.refresh_with_any_nonce(0).expect("a client may end its allocation");
    steady.holds(BOUND);
}

/// Refreshes, each answered with `code` unless its nonce is stale. How many were stale, and the longest that one
/// took.
fn refresh(client: &mut Client, code: Option<u16>, over: &AtomicBool) -> (u32, Duration) {
    let (mut stale, mut slowest) = (0, Duration::ZERO);
    at_intervals(INTERVAL, over, || {
        let request = client.signed(Method::REFRESH, |writer| {
            writer.attribute(&Lifetime(600)).expect("there is room");
        });
        let begun = Instant::now();
        let reply = client.ask(&request);
        slowest = slowest.max(begun.elapsed());
        if reply.code() == Some(438) {
            client.remember(&reply);
            stale += 1;
        } else {
            assert_eq!(reply.code(), code);
        }
    });
    (stale, slowest)
}
