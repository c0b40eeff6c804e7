//! The nonce of a live call expires in the midst of a flood in the name of its address: it gets a 438 with a new
//! one, and goes on.

use std::net::SocketAddrV4;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use edgerelay_e2e::Network;
use edgerelay_e2e::client::Client;
use edgerelay_e2e::pace::at_rate;
use edgerelay_e2e::relay::Relay;
use edgerelay_e2e::request;
use edgerelay_e2e::spoof::Spoofer;
use edgerelay_e2e::steady::Steady;
use edgerelay_e2e::transport::Transport;

/// Allocates a second; twenty times what is answered.
const RATE: u32 = 20_000;
const DURATION: Duration = Duration::from_secs(6);
const BOUND: u64 = 4 << 20;
/// A retransmission later would be after half a second.
const AT_ONCE: Duration = Duration::from_millis(500);

#[test]
fn gets_its_438() {
    let network = Network::new();
    let relay = Relay::as_shipped(&network, &[("nonce.lifetime", "\"1s\"")]);
    let steady = Steady::before(&network, &relay);
    let mut client = Client::udp(&network.alice, relay.plain(), relay.credential("alice"));
    client.allocate().expect("within the limits");
    let (to, from) = (relay.plain_v4(), SocketAddrV4::new(network.alice.v4, 61_000));
    let spoofer = Spoofer::new(&network.bob);

    let over = AtomicBool::new(false);
    let impact = steady.during(&[Transport::Tcp, Transport::Tls], || {
        thread::scope(|scope| {
            let refreshes = scope.spawn(|| refresh(&mut client, &over));
            at_rate(RATE, DURATION, |_| spoofer.send(from, to, &request::bare_allocate()));
            over.store(true, Ordering::Relaxed);
            let (stale, slowest) = refreshes.join().expect("they are answered");
            println!("{stale} Refreshes with a stale nonce, the slowest took {slowest:?}");
            assert!(stale >= 2, "the nonce expires");
            assert!(slowest < AT_ONCE, "a Refresh took {slowest:?}");
        });
    });
    impact.is_none(BOUND);
    client.refresh_with_any_nonce(0).expect("a client may end its allocation");
    steady.holds(BOUND);
}

/// How many had a stale nonce, and the longest that one took.
fn refresh(client: &mut Client, over: &AtomicBool) -> (u32, Duration) {
    let (mut stale, mut slowest) = (0, Duration::ZERO);
    while !over.load(Ordering::Relaxed) {
        let begun = Instant::now();
        stale += u32::from(client.refresh_with_any_nonce(600).expect("the allocation is there"));
        slowest = slowest.max(begun.elapsed());
        thread::sleep(Duration::from_millis(50));
    }
    (stale, slowest)
}
