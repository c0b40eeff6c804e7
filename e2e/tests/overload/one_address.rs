//! A flood in the name of one address: who is behind that very address gets in all the same, over UDP within
//! the seven transmissions of RFC 8489 section 6.2.1, over TCP and TLS at once; and keeps what it has.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddrV4, UdpSocket};
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
use edgerelay_e2e::stream::Stream;
use edgerelay_e2e::transport::Transport;

use crate::newcomer::{Newcomer, Transmissions};

const DURATION: Duration = Duration::from_secs(6);
const BOUND: u64 = 4 << 20;
/// A Refresh of who is in a call.
const AT_ONCE: Duration = Duration::from_secs(1);
/// Between two newcomers over UDP, and between two Refreshes.
const PAUSE: Duration = Duration::from_millis(20);
/// Newcomers over UDP come beside these.
const STREAMS: [Transport; 2] = [Transport::Tcp, Transport::Tls];
/// Transmissions of a request at most: of the seven that RFC 8489 section 6.2.1 has, those that leave while the
/// attack lasts.
const MOST: u32 = 3;

#[test]
fn asks_for_2_000_bindings_a_second() {
    spoofed(request::binding, 2000);
}

#[test]
fn asks_for_2_000_allocates_a_second() {
    spoofed(request::bare_allocate, 2000);
}

#[test]
fn asks_for_20_000_allocates_a_second() {
    spoofed(request::bare_allocate, 20_000);
}

/// Somebody behind the same NAT.
#[test]
fn asks_for_bindings_over_tcp() {
    let network = Network::new();
    let relay = Relay::as_shipped(&network, &[]);
    serves_who_is_there(&network, &relay, || {
        let Stream::Plain(socket) = Stream::tcp(&network.alice, relay.plain()) else { panic!("it is TCP") };
        let bindings = request::binding().repeat(100);
        let end = Instant::now() + DURATION;
        thread::scope(|scope| {
            scope.spawn(|| while matches!((&socket).read(&mut [0; 65_536]), Ok(1..)) {});
            while Instant::now() < end {
                (&socket).write_all(&bindings).expect("the relay keeps the connection");
            }
            socket.shutdown(std::net::Shutdown::Both).expect("it is connected");
        });
    });
}

fn spoofed(request: fn() -> Vec<u8>, rate: u32) {
    let network = Network::new();
    let relay = Relay::as_shipped(&network, &[]);
    let to = relay.plain_v4();
    // Above the ports that alice's own sockets get: nobody's answers are taken for another's.
    let from = SocketAddrV4::new(network.alice.v4, 61_000);
    let spoofer = Spoofer::new(&network.bob);
    serves_who_is_there(&network, &relay, || {
        let sent = at_rate(rate, DURATION, |_| spoofer.send(from, to, &request()));
        println!("{sent} requests in the name of one address");
        assert!(sent > rate * 3, "the attack has not reached half of its rate");
    });
}

/// Beside `attack`: a call, newcomers over each transport, and Refreshes of an allocation, all from one address.
fn serves_who_is_there(network: &Network, relay: &Relay<'_>, attack: impl FnOnce() + Send) {
    let steady = Steady::before(network, relay);
    let mut client = Client::udp(&network.alice, relay.plain(), relay.credential("alice"));
    client.allocate().expect("within the limits");
    let over = AtomicBool::new(false);
    let impact = steady.during(&STREAMS, || {
        thread::scope(|scope| {
            let refreshes = scope.spawn(|| slowest_refresh(&mut client, &over));
            let newcomers = scope.spawn(|| over_udp(network, relay, &over));
            attack();
            over.store(true, Ordering::Relaxed);
            let (count, slowest) = refreshes.join().expect("they are answered");
            println!("{count} Refreshes, the slowest {slowest:?}");
            assert!(slowest < AT_ONCE, "a Refresh took {slowest:?}");
            let newcomers = newcomers.join().expect("they are served");
            let most = |request: usize| newcomers.iter().map(|sent| sent[request]).max().unwrap_or(0);
            println!(
                "{} newcomers over UDP, at most {} transmissions of a Binding, {} of an Allocate, {} with a nonce",
                newcomers.len(),
                most(0),
                most(1),
                most(2),
            );
            assert!(!newcomers.is_empty(), "nobody came over UDP");
            assert!(newcomers.iter().flatten().all(|transmissions| *transmissions <= MOST));
        });
    });
    impact.is_none(BOUND);
    client.refresh(0).expect("a client may end its allocation");
    steady.holds(BOUND);
}

fn slowest_refresh(client: &mut Client, over: &AtomicBool) -> (u32, Duration) {
    let (mut count, mut slowest) = (0, Duration::ZERO);
    while !over.load(Ordering::Relaxed) {
        let begun = Instant::now();
        client.refresh(600).expect("the allocation is there");
        slowest = slowest.max(begun.elapsed());
        count += 1;
        thread::sleep(PAUSE);
    }
    (count, slowest)
}

/// Newcomers one after the other, each with a socket of its own.
fn over_udp(network: &Network, relay: &Relay<'_>, over: &AtomicBool) -> Vec<Transmissions> {
    let mut all = Vec::new();
    while !over.load(Ordering::Relaxed) {
        let socket = network.alice.namespace.enter(|| UdpSocket::bind((network.alice.v4, 0)));
        let socket = socket.expect("alice has this address");
        socket.connect(relay.plain()).expect("it is routed");
        all.push(Newcomer::new(socket, relay.credential("newcomer")).gets_in());
        thread::sleep(PAUSE);
    }
    all
}
