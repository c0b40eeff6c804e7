//! A flood of Binding requests, Allocate requests and requests with a forged nonce from 100,000 forged addresses,
//! of each alone and of all together, at twice what the relay answers by default: no memory for any of
//! them, and no more bytes out than in but for what the limit allows.
//!
//! Each request is the one of its kind that draws most, since that takes the fewest to use up the limit.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use edgerelay_e2e::Network;
use edgerelay_e2e::client::Client;
use edgerelay_e2e::pace::at_rate;
use edgerelay_e2e::relay::Relay;
use edgerelay_e2e::request::{self, raw};
use edgerelay_e2e::spoof::Spoofer;
use edgerelay_e2e::steady::Steady;
use edgerelay_e2e::transport::Transport;
use stun::{AttributeType, Class, Method};

const SOURCES: u32 = 100_000;
const FIRST: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 0);
const RANGE: &str = "198.18.0.0/15";
const SOURCE_PORT: u16 = 40_000;
const DURATION: Duration = Duration::from_secs(6);
/// Memory that the flood may cost: less than 21 bytes for each source, too little to remember any.
const BOUND: u64 = 2 << 20;
/// `limits.answers.total_bytes_per_second`: what answers to Bindings may have beyond what was asked, and
/// challenges as well.
const BUDGET: u32 = 1_000_000;
/// Comprehension-required, and of no meaning to anybody.
const UNKNOWN: u16 = 0x7FF0;

#[test]
fn send_bindings() {
    flood(&[binding()], BUDGET);
}

#[test]
fn send_allocates() {
    flood(&[request::bare_allocate()], BUDGET);
}

#[test]
fn send_forged_nonces() {
    flood(&[forged_nonce()], BUDGET);
}

#[test]
fn send_all_of_them() {
    flood(&[binding(), request::bare_allocate(), forged_nonce()], 2 * BUDGET);
}

/// One request after the other, each from the next source, at twice the rate that uses up `budget`, in bytes a
/// second.
fn flood(requests: &[Vec<u8>], budget: u32) {
    let network = Network::new();
    network.nobody_has(RANGE);
    let relay = Relay::as_shipped(&network, &[]);
    let excess: u32 = requests.iter().map(|request| excess(&network, &relay, request)).sum();
    let rate = 2 * budget * requests.len() as u32 / excess;
    let steady = Steady::before(&network, &relay);
    let to = relay.plain_v4();
    let spoofer = Spoofer::new(&network);

    let (in_before, out_before) = relay.interface_bytes();
    let impact = steady.during(&[Transport::Tcp], || {
        let sent = at_rate(rate, DURATION, |turn| {
            let from = Ipv4Addr::from(u32::from(FIRST) + turn % SOURCES);
            spoofer.send(SocketAddrV4::new(from, SOURCE_PORT), to, &requests[turn as usize % requests.len()]);
        });
        println!("{sent} requests from {SOURCES} sources, {rate} a second wanted");
    });
    let (in_after, out_after) = relay.interface_bytes();
    let (brought, drawn) = (in_after - in_before, out_after - out_before);
    println!("{brought} bytes in, {:.3} out for each", drawn as f64 / brought as f64);
    let unanswered = relay.metric("turn_dropped_packets_total", &["reason=\"answer_budget\""]);
    println!("{unanswered} requests without an answer");
    // A second's worth may leave at once.
    let most = u64::from(budget) * (DURATION.as_secs() + 1);
    assert!(drawn <= brought + most, "{drawn} bytes drawn by {brought}");
    assert!(
        unanswered > 0.0,
        "nothing was over the budget: this machine sends too few requests, or there is none"
    );
    impact.is_none(BOUND);
    steady.holds(BOUND);
}

/// By how many bytes the answer to a request is longer.
fn excess(network: &Network, relay: &Relay<'_>, request: &[u8]) -> u32 {
    let mut client = Client::udp(&network.alice, relay.plain(), relay.credential("alice"));
    let answer = client.ask(request);
    u32::try_from(answer.bytes().len() - request.len()).expect("a packet is short")
}

/// A Binding request with something in it that the 420 has to name.
fn binding() -> Vec<u8> {
    request::message(Class::Request, Method::BINDING, |writer| raw(writer, UNKNOWN, &[]))
}

/// A request with a nonce that the relay never gave, and with nothing else that it would have to read.
fn forged_nonce() -> Vec<u8> {
    request::message(Class::Request, Method::REFRESH, |writer| {
        for kind in [AttributeType::USERNAME, AttributeType::REALM, AttributeType::NONCE] {
            raw(writer, kind.0, &[]);
        }
        raw(writer, AttributeType::MESSAGE_INTEGRITY.0, &[0; 20]);
    })
}
