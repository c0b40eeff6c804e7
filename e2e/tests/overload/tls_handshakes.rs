//! 1,000 TLS handshakes a second from several addresses: most end with a ClientHello, which costs the relay a
//! key exchange and a signature and the attacker nothing; others are brought to an end. The relay's key is one that
//! takes long to sign with, so that a core is not enough for all of them.

use std::collections::VecDeque;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use edgerelay_e2e::Network;
use edgerelay_e2e::certificate::Key;
use edgerelay_e2e::connection::connect_from;
use edgerelay_e2e::network::Family;
use edgerelay_e2e::pace::{Over, at_rate};
use edgerelay_e2e::relay::Relay;
use edgerelay_e2e::steady::Steady;
use edgerelay_e2e::transport::Transport;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};

const RATE: u32 = 1000;
const DURATION: Duration = Duration::from_secs(6);
const SOURCES: u8 = 8;
/// Connections that are kept open, the newest.
const HELD: usize = 1000;
/// Those that begin and are not yet refused have a few kilobytes each.
const BOUND: u64 = 32 << 20;

#[test]
fn come_in_a_thousand_a_second() {
    let network = Network::new();
    let relay = Relay::as_shipped_with(&network, Key::Rsa);
    let address = relay.address(Transport::Tls, Family::V4);
    let sources = network.addresses(SOURCES, &network.bob);
    let steady = Steady::before(&network, &relay);
    let trust = relay.certificate().trust();

    let mut begun = 0;
    let impact = steady.during(&Transport::ALL, || {
        network.bob.namespace.enter(|| {
            let (over, whole) = (AtomicBool::new(false), AtomicU32::new(0));
            let answered;
            (begun, answered) = thread::scope(|scope| {
                for source in &sources {
                    scope.spawn(|| {
                        while !over.load(Ordering::Relaxed) {
                            let socket = connect_from((*source).into(), address);
                            whole.fetch_add(
                                u32::from(shake_hands(socket, address, &trust)),
                                Ordering::Relaxed,
                            );
                        }
                    });
                }
                let _over = Over(&over);
                flood(
                    |turn| connect_from(sources[turn as usize % sources.len()].into(), address),
                    &hello(address, &trust),
                )
            });
            let whole = whole.into_inner();
            println!("{begun} ClientHellos, of which {answered} were answered, and {whole} whole handshakes");
        });
    });
    impact.is_none(BOUND);
    assert!(begun >= RATE * 3, "the attack has not reached half of its rate");
    steady.holds(BOUND);
}

/// Begins handshakes; how many, and how many were answered.
fn flood(mut connect: impl FnMut(u32) -> TcpStream, hello: &[u8]) -> (u32, u32) {
    let mut held = VecDeque::with_capacity(HELD + 1);
    let mut answered = 0;
    let begun = at_rate(RATE, DURATION, |turn| {
        let mut socket = connect(turn);
        // The relay may have closed it.
        let _ = socket.write_all(hello);
        held.push_back(socket);
        if held.len() > HELD
            && let Some(mut oldest) = held.pop_front()
        {
            oldest.set_nonblocking(true).expect("a socket can be");
            answered += u32::from(oldest.read(&mut [0; 64]).is_ok_and(|length| length > 0));
        }
    });
    (begun, answered)
}

fn hello(relay: SocketAddr, trust: &Arc<ClientConfig>) -> Vec<u8> {
    let mut hello = Vec::new();
    client(relay, trust).write_tls(&mut hello).expect("there is room");
    hello
}

/// Whether the relay went along to the end.
fn shake_hands(mut socket: TcpStream, relay: SocketAddr, trust: &Arc<ClientConfig>) -> bool {
    socket.set_read_timeout(Some(Duration::from_secs(1))).expect("not zero");
    let mut tls = client(relay, trust);
    tls.complete_io(&mut socket).is_ok()
}

fn client(relay: SocketAddr, trust: &Arc<ClientConfig>) -> ClientConnection {
    let name = ServerName::from(relay.ip());
    ClientConnection::new(Arc::clone(trust), name).expect("a name of a server")
}
