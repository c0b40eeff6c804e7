//! A flood of Binding requests, Allocate requests and requests with a forged nonce from 100,000 forged addresses,
//! of each alone and of all together, at twice what the relay answers by default: no memory for any of
//! them, and no more bytes out than in but for what the limit allows.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use edgerelay_e2e::Network;
use edgerelay_e2e::credential::Credential;
use edgerelay_e2e::pace::at_rate;
use edgerelay_e2e::relay::{REALM, Relay};
use edgerelay_e2e::request::{self, Challenge};
use edgerelay_e2e::spoof::Spoofer;
use edgerelay_e2e::steady::Steady;
use edgerelay_e2e::transport::Transport;
use stun::Method;
use stun::attribute::RequestedTransport;

const SOURCES: u32 = 100_000;
const FIRST: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 0);
const RANGE: &str = "198.18.0.0/15";
const SOURCE_PORT: u16 = 40_000;
/// Requests a second: twice the challenges that all sources together get by default.
const RATE: u32 = 24_000;
const DURATION: Duration = Duration::from_secs(5);
/// Memory that the flood may cost: less than 21 bytes for each source, too little to remember any.
const BOUND: u64 = 2 << 20;
/// `limits.answers.total_bytes_per_second`: what answers to Bindings may have beyond what was asked, and
/// challenges as well. A second's worth may leave at once.
const EXCESS: u64 = 1_000_000 * (DURATION.as_secs() + 1);

#[test]
fn send_bindings() {
    flood(&[request::binding()], EXCESS);
}

#[test]
fn send_allocates() {
    let unanswered = flood(&[request::bare_allocate()], EXCESS);
    assert!(unanswered > 0.0, "challenges stay within the budget");
}

#[test]
fn send_forged_nonces() {
    flood(&[forged_nonce()], EXCESS);
}

#[test]
fn send_all_of_them() {
    flood(&[request::binding(), request::bare_allocate(), forged_nonce()], 2 * EXCESS);
}

/// One request after the other, each from the next source; how many got no answer. They may draw `excess` bytes
/// more than they bring.
fn flood(requests: &[Vec<u8>], excess: u64) -> f64 {
    let network = Network::new();
    network.route(RANGE, &network.bob);
    let relay = Relay::as_shipped(&network, &[]);
    let steady = Steady::before(&network, &relay);
    let to = relay.plain_v4();
    let spoofer = Spoofer::new(&network.bob);

    let (in_before, out_before) = relay.interface_bytes();
    let impact = steady.during(&[Transport::Tcp], || {
        let sent = at_rate(RATE, DURATION, |turn| {
            let from = Ipv4Addr::from(u32::from(FIRST) + turn % SOURCES);
            spoofer.send(SocketAddrV4::new(from, SOURCE_PORT), to, &requests[turn as usize % requests.len()]);
        });
        println!("{sent} requests from {SOURCES} sources");
    });
    let (in_after, out_after) = relay.interface_bytes();
    let (brought, drawn) = (in_after - in_before, out_after - out_before);
    println!("{brought} bytes in, {:.3} out for each", drawn as f64 / brought as f64);
    assert!(brought >= u64::from(RATE) * DURATION.as_secs() / 2 * 48, "the flood has reached the relay");
    assert!(drawn <= brought + excess, "{drawn} bytes drawn by {brought}");
    let unanswered = relay.metric("turn_dropped_packets_total", &["reason=\"answer_budget\""]);
    println!("{unanswered} requests without an answer");
    impact.is_none(BOUND);
    steady.holds(BOUND);
    unanswered
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
