//! A flood of Binding requests, Allocate requests and requests with a forged nonce from 100,000 forged addresses,
//! at twice what the relay answers by default: no memory for any of them, no more bytes drawn than the budget has, and
//! a call and newcomers over TCP do not notice.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::thread;
use std::time::{Duration, Instant};

use edgerelay_e2e::Network;
use edgerelay_e2e::credential::Credential;
use edgerelay_e2e::relay::{REALM, Relay};
use edgerelay_e2e::request::{self, Challenge};
use edgerelay_e2e::spoof::{Spoofer, sources};
use edgerelay_e2e::steady::Steady;
use edgerelay_e2e::transport::Transport;
use stun::Method;
use stun::attribute::RequestedTransport;

const SOURCES: u32 = 100_000;
const FIRST: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 0);
const RANGE: &str = "198.18.0.0/15";
const SOURCE_PORT: u16 = 40_000;
/// Requests a second. Five in six draw a challenge that is longer than they are, twice as many as all sources
/// together get by default (`limits.answers.total_bytes_per_second`).
const RATE: u32 = 24_000;
const BUDGET: f64 = 1e6;
/// One source in so many sends the other kinds of requests too.
const OTHERS: u32 = 5;
/// How many leave together.
const BURST: u32 = 100;
/// Memory that the flood may cost: less than 21 bytes for each source, too little to remember any.
const BOUND: u64 = 2 << 20;

#[test]
fn is_not_noticed_and_draws_no_more_than_the_budget() {
    let network = Network::new();
    network.route(RANGE, &network.bob);
    let relay = Relay::start(&network);
    let steady = Steady::before(&network, &relay);

    let (in_before, out_before) = relay.interface_bytes();
    let begun = Instant::now();
    let impact = steady.during(Transport::Tcp, || flood(&network, relay.plain()));
    let (in_after, out_after) = relay.interface_bytes();
    let seconds = begun.elapsed().as_secs_f64();
    let (brought, drawn) = (in_after - in_before, out_after - out_before);
    println!("{brought} bytes in, {:.3} out for each", drawn as f64 / brought as f64);
    impact.is_none(BOUND);
    let least = u64::from(SOURCES) * 2 * 48;
    assert!(brought >= least, "the flood has reached the relay");
    let surplus = (drawn as f64 - brought as f64) / seconds;
    assert!(surplus < BUDGET, "{surplus:.0} bytes a second drawn beyond those that were brought");
    let over = relay.metric("turn_dropped_packets_total", &["reason=\"answer_budget\""]);
    assert!(over > 0.0, "the flood was more than the budget");
    steady.holds(BOUND);
}

/// Two Allocate requests from each source, and requests of the other kinds in between.
fn flood(network: &Network, relay: SocketAddr) {
    let SocketAddr::V4(relay) = relay else { panic!("the flood is of IPv4") };
    let spoofer = Spoofer::new(&network.bob);
    let allocate = request::bare_allocate();
    let requests = [allocate.clone(), allocate, forged_nonce(), request::binding()];
    let begun = Instant::now();
    let all = sources(FIRST, SOURCES).flat_map(|source| {
        let count = if u32::from(source) % OTHERS == 0 { 4 } else { 2 };
        requests[..count].iter().map(move |request| (source, request))
    });
    for (number, (source, request)) in (0..).zip(all) {
        if number % BURST == 0 {
            let due = begun + Duration::from_secs(1) * number / RATE;
            thread::sleep(due.saturating_duration_since(Instant::now()));
        }
        spoofer.send(SocketAddrV4::new(source, SOURCE_PORT), relay, request);
    }
}

/// An Allocate request with a nonce that the relay never gave, signed for a user that it does not know.
fn forged_nonce() -> Vec<u8> {
    let nonce = b"obMatJos2AAAD0123456789abcdefghijklmn".to_vec();
    let challenge = Challenge { realm: REALM.as_bytes().to_vec(), nonce, algorithms: None, anonymous: false };
    let credential = Credential::long_term("mallory", "a guess");
    let transport = |writer: &mut stun::MessageWriter<'_>| {
        writer.attribute(&RequestedTransport::UDP).expect("there is room");
    };
    request::signed(Method::ALLOCATE, &challenge, &credential, transport, |_| {})
}
