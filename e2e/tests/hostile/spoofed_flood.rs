//! A flood of Binding and Allocate requests from 100,000 forged addresses: no memory for any of them, fewer
//! bytes out than in, and a client with credentials is served while it lasts.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use edgerelay_e2e::Network;
use edgerelay_e2e::client::Client;
use edgerelay_e2e::peer::Peer;
use edgerelay_e2e::relay::Relay;
use edgerelay_e2e::request;
use edgerelay_e2e::spoof::{Spoofer, sources};
use edgerelay_e2e::steady::Steady;

const SOURCES: u32 = 100_000;
const FIRST: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 0);
const RANGE: &str = "198.18.0.0/15";
const SOURCE_PORT: u16 = 40_000;
/// Memory that the flood may cost: less than 21 bytes for each source, too little to remember any.
const BOUND: u64 = 2 << 20;
/// Bytes that may leave for each byte that comes in, headers included.
const AMPLIFICATION: f64 = 0.5;

#[test]
fn leaves_nothing_behind_and_draws_less_than_it_brings() {
    let network = Network::new();
    network.route(RANGE, &network.bob);
    let relay = Relay::with(&network, &[("limits.answers.total_bytes_per_second", "100_000")]);
    let steady = Steady::before(&network, &relay);

    let peer = Peer::new(&network.peer.namespace, network.peer.v4.into());
    let mut honest = Client::udp(&network.alice, relay.plain(), relay.credential("alice"));
    honest.allocate().expect("a good client gets an allocation");
    honest.permit(peer.address()).expect("the peer's address is public");

    let (in_before, out_before) = relay.interface_bytes();
    let over = AtomicBool::new(false);
    let mut refreshed = 0;
    thread::scope(|scope| {
        scope.spawn(|| {
            flood(&network, relay.plain());
            over.store(true, Ordering::Release);
        });
        // At least once; `ask` asks again when the flood has pushed a request or its response out of a queue.
        while refreshed == 0 || !over.load(Ordering::Acquire) {
            honest.refresh(600).expect("a client with credentials is served during the flood");
            refreshed += 1;
        }
    });
    let (in_after, out_after) = relay.interface_bytes();
    let ratio = (out_after - out_before) as f64 / (in_after - in_before) as f64;
    println!("{} bytes in, {ratio:.3} out for each; {refreshed} honest refreshes", in_after - in_before);
    let least = u64::from(SOURCES) * 2 * 48;
    assert!(in_after - in_before >= least, "the flood has reached the relay");
    assert!(ratio < AMPLIFICATION, "{ratio:.3} bytes out for each byte in");

    honest.send_to(peer.address(), b"still here");
    assert_eq!(peer.receive().map(|(_, data)| data), Some(b"still here".to_vec()));
    honest.refresh(0).expect("the allocation has lived through the flood");
    steady.holds(BOUND);
}

/// One Binding and one Allocate request from each source.
fn flood(network: &Network, relay: SocketAddr) {
    let SocketAddr::V4(relay) = relay else { panic!("the flood is of IPv4") };
    let spoofer = Spoofer::new(&network.bob);
    let requests = [request::binding(), request::bare_allocate()];
    for source in sources(FIRST, SOURCES) {
        for request in &requests {
            spoofer.send(SocketAddrV4::new(source, SOURCE_PORT), relay, request);
        }
    }
}
