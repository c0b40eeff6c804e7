//! Eight sources hold as many connections as there may be, and connect again whenever one is closed.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use edgerelay_e2e::Network;
use edgerelay_e2e::connection::connect_from;
use edgerelay_e2e::relay::Relay;
use edgerelay_e2e::request;
use edgerelay_e2e::steady::Steady;
use edgerelay_e2e::transport::Transport;

/// With as many connections each as `limits.streams.connections_per_source` allows.
const SOURCES: u8 = 8;
const EACH: usize = 1000;
const DURATION: Duration = Duration::from_secs(8);
/// How often they look whether they still are.
const LOOK: Duration = Duration::from_millis(10);
/// Four kilobytes for each connection.
const BOUND: u64 = 32 << 20;

#[test]
fn are_held_by_eight_sources() {
    let network = Network::new();
    let relay = Relay::as_shipped(&network, &[]);
    let address = relay.plain();
    let sources = network.addresses(SOURCES, &network.bob);
    let steady = Steady::before(&network, &relay);

    let impact = steady.during_call(Transport::Tcp, &[Transport::Tcp, Transport::Tls], || {
        network.bob.namespace.enter(|| {
            let opened: usize = thread::scope(|scope| {
                let hold = |source: &Ipv4Addr| {
                    let source = IpAddr::from(*source);
                    scope.spawn(move || hold(source, address))
                };
                let threads: Vec<_> = sources.iter().map(hold).collect();
                threads.into_iter().map(|thread| thread.join().expect("it holds on")).sum()
            });
            println!("{opened} connections opened by {SOURCES} sources");
        });
    });
    let displaced = relay.metric("edgerelay_rejected_connections_total", &["reason=\"displaced\""]);
    assert!(displaced > 0.0, "all places were taken");
    impact.is_none(BOUND);
    steady.holds(BOUND);
}

/// Holds connections, each of which has asked for a Binding; how many there were.
fn hold(source: IpAddr, relay: SocketAddr) -> usize {
    let connect = || {
        let mut socket = connect_from(source, relay);
        // It may be closed already.
        let _ = socket.write_all(&request::binding());
        socket.set_nonblocking(true).expect("a socket can be");
        socket
    };
    let end = Instant::now() + DURATION;
    let mut held: Vec<TcpStream> = Vec::new();
    let mut opened = 0;
    while Instant::now() < end {
        while held.len() < EACH && Instant::now() < end {
            held.push(connect());
            opened += 1;
        }
        thread::sleep(LOOK);
        held.retain(|mut socket| !matches!(socket.read(&mut [0; 512]), Ok(0)));
    }
    opened
}
