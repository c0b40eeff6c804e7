//! A flood in the name of one address: who is behind that very address gets in all the same, over UDP within
//! the seven transmissions of RFC 8489 section 6.2.1, over TCP and TLS at once; and keeps what it has.
//!
//! Only answers to what the flood asks for are held back, and only where it is over the budget.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddrV4, UdpSocket};
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
use edgerelay_e2e::stream::Stream;
use edgerelay_e2e::transport::Transport;

use crate::newcomer::{Newcomer, Transmissions};

const DURATION: Duration = Duration::from_secs(6);
const BOUND: u64 = 4 << 20;
/// A Refresh of who is in a call: a retransmission would be after half a second.
const AT_ONCE: Duration = Duration::from_millis(500);
/// From one newcomer over UDP to the next at least, and from one Refresh to the next.
const INTERVAL: Duration = Duration::from_millis(20);
/// Newcomers over UDP come beside these.
const STREAMS: [Transport; 2] = [Transport::Tcp, Transport::Tls];
/// Transmissions of a request at most: of the seven that RFC 8489 section 6.2.1 has, those that leave while the
/// attack lasts.
const MOST: u32 = 3;

/// What a flood is, against `limits.answers.per_source_bytes_per_second`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flood {
    /// Everybody else is answered as if it was not there.
    WithinBudget,
    /// Challenges are held back.
    OfTooManyAllocates,
}

/// An answer counts for the 16 bytes that it may be longer; its whole length would be over the budget.
#[test]
fn asks_for_4_000_bindings_a_second() {
    spoofed(request::binding, 4000, Flood::WithinBudget);
}

/// Over 80 bytes for each.
#[test]
fn asks_for_2_000_allocates_a_second() {
    spoofed(request::bare_allocate, 2000, Flood::OfTooManyAllocates);
}

#[test]
fn asks_for_20_000_allocates_a_second() {
    spoofed(request::bare_allocate, 20_000, Flood::OfTooManyAllocates);
}

/// Somebody behind the same NAT, who is there, and so takes nothing from the budget.
#[test]
fn asks_for_bindings_over_tcp() {
    let network = Network::new();
    let relay = Relay::as_shipped(&network, &[]);
    serves_who_is_there(&network, &relay, Flood::WithinBudget, || {
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

fn spoofed(request: fn() -> Vec<u8>, rate: u32, flood: Flood) {
    let network = Network::new();
    let relay = Relay::as_shipped(&network, &[]);
    let to = relay.plain_v4();
    // Above the ports that alice's own sockets get: nobody's answers are taken for another's.
    let from = SocketAddrV4::new(network.alice.v4, 61_000);
    let spoofer = Spoofer::new(&network);
    let mut sent = 0;
    serves_who_is_there(&network, &relay, flood, || {
        sent = at_rate(rate, DURATION, |_| spoofer.send(from, to, &request()));
        println!("{sent} requests in the name of one address");
    });
    assert!(sent > rate * 3, "the attack has not reached half of its rate");
}

/// Beside `attack`: a call, newcomers over each transport, and Refreshes of an allocation, all from one address.
fn serves_who_is_there(network: &Network, relay: &Relay<'_>, flood: Flood, attack: impl FnOnce() + Send) {
    let steady = Steady::before(network, relay);
    let mut client = Client::udp(&network.alice, relay.plain(), relay.credential("alice"));
    client.allocate().expect("within the limits");
    let over = AtomicBool::new(false);
    let impact = steady.during(&STREAMS, || {
        thread::scope(|scope| {
            let refreshes = scope.spawn(|| slowest_refresh(&mut client, &over));
            let newcomers = scope.spawn(|| over_udp(network, relay, &over));
            {
                let _over = Over(&over);
                attack();
            }
            let (count, slowest) = refreshes.join().expect("they are answered");
            println!("{count} Refreshes, the slowest {slowest:?}");
            assert!(slowest < AT_ONCE, "a Refresh took {slowest:?}");
            check(&newcomers.join().expect("they are served"), flood);
        });
    });
    let dropped = relay.metric("turn_dropped_packets_total", &["reason=\"answer_budget\""]);
    assert_eq!(dropped > 0.0, flood != Flood::WithinBudget, "{dropped} requests without an answer");
    impact.is_none(BOUND);
    client.refresh(0).expect("a client may end its allocation");
    steady.holds(BOUND);
}

/// Looks at how often newcomers over UDP had to ask.
fn check(newcomers: &[Transmissions], flood: Flood) {
    assert!(!newcomers.is_empty(), "nobody came over UDP");
    // Of nine in ten, for on a busy machine somebody repeats itself before it is served; and of all.
    let of = |request: usize| {
        let mut sent: Vec<u32> = newcomers.iter().map(|sent| sent[request]).collect();
        sent.sort_unstable();
        (sent[sent.len() * 9 / 10], sent[sent.len() - 1])
    };
    let [binding, allocate, with_a_nonce] = [of(0), of(1), of(2)];
    println!(
        "{} newcomers over UDP; usual and most transmissions of a Binding {binding:?}, of an Allocate {allocate:?}, \
         with a nonce {with_a_nonce:?}",
        newcomers.len(),
    );
    for (_, most) in [binding, allocate, with_a_nonce] {
        assert!(most <= MOST, "a newcomer had to ask {most} times");
    }
    assert_eq!(binding.0, 1, "newcomers had to ask for a Binding again");
    assert_eq!(with_a_nonce.0, 1, "newcomers had to ask again with a nonce of ours");
    if flood == Flood::WithinBudget {
        assert_eq!(allocate.0, 1, "newcomers had to ask for a nonce again");
    }
}

fn slowest_refresh(client: &mut Client, over: &AtomicBool) -> (u32, Duration) {
    let (mut count, mut slowest) = (0, Duration::ZERO);
    at_intervals(INTERVAL, over, || {
        let begun = Instant::now();
        client.refresh(600).expect("the allocation is there");
        slowest = slowest.max(begun.elapsed());
        count += 1;
    });
    (count, slowest)
}

/// Newcomers one after the other, each with a socket of its own.
fn over_udp(network: &Network, relay: &Relay<'_>, over: &AtomicBool) -> Vec<Transmissions> {
    let mut all = Vec::new();
    at_intervals(INTERVAL, over, || {
        let socket = network.alice.namespace.enter(|| UdpSocket::bind((network.alice.v4, 0)));
        let socket = socket.expect("alice has this address");
        socket.connect(relay.plain()).expect("it is routed");
        all.push(Newcomer::new(socket, relay.credential("newcomer")).gets_in());
    });
    all
}
