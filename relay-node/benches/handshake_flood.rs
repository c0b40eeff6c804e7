//! What a call over UDP notices of a flood of TLS handshakes: the times of its round trips, and its loss.
//!
//! One worker serves a call of 50 packets a second. Beside it come connections that each send a
//! ClientHello and never go on: that costs the relay a key exchange and a signature, and the sender
//! nothing.
//!
//! `cargo bench -p edgerelay --bench handshake_flood [-- HANDSHAKES_A_SECOND [SECONDS]]`
#![allow(clippy::print_stdout, reason = "the result of a benchmark is what it prints")]
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a benchmark that fails should stop at once"
)]

#[path = "../tests/daemon/support/mod.rs"]
mod support;

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use edgerelay::tls::Certificates;
use hdrhistogram::Histogram;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use support::{Client, NodePlan, peer, stream_limits};
use turn::Transport;

const CHANNEL: u16 = 0x4000;
/// Between two packets of the call.
const PACE: Duration = Duration::from_millis(20);
/// A packet that takes longer is lost.
const LOST: Duration = Duration::from_secs(1);
/// Connections that are held open, the newest.
const HELD: usize = 500;

fn main() {
    let mut numbers = std::env::args().skip(1).filter_map(|argument| argument.parse().ok());
    let (rate, seconds) = (numbers.next().unwrap_or(1000), numbers.next().unwrap_or(10));
    println!("one worker; a call of 50 packets a second for {seconds} s each");
    println!("{:<22} {:>9} {:>9} {:>9} {:>6}", "beside, a second", "median", "p99", "longest", "loss");
    let ecdsa = openssl(&["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]);
    let rsa = openssl(&["-newkey", "rsa:2048"]);
    for (what, identity, rate) in
        [("nothing", &ecdsa, 0), ("ECDSA P-256", &ecdsa, rate), ("RSA-2048", &rsa, rate)]
    {
        measure(what, identity, rate, Duration::from_secs(seconds));
    }
}

/// A self-signed certificate and its key, in PEM.
fn openssl(key: &[&str]) -> (Vec<u8>, Vec<u8>) {
    let folder = tempfile::tempdir().unwrap();
    let (certificate, secret) = (folder.path().join("crt"), folder.path().join("key"));
    let status = Command::new("openssl")
        .args(["req", "-x509", "-nodes", "-subj", "/CN=localhost", "-days", "2"])
        .args(key)
        .arg("-keyout")
        .arg(&secret)
        .arg("-out")
        .arg(&certificate)
        .output()
        .expect("openssl is installed");
    assert!(status.status.success());
    (std::fs::read(certificate).unwrap(), std::fs::read(secret).unwrap())
}

fn measure(what: &str, (certificate, key): &(Vec<u8>, Vec<u8>), rate: u64, duration: Duration) {
    let mut plan = NodePlan::udp().listen(Transport::Tls, "127.0.0.1:0").streams(stream_limits());
    plan.listeners[1].tls = Some(Certificates::from_pem(certificate, key).unwrap());
    let node = plan.start();
    let is_over = Arc::new(AtomicBool::new(false));
    let (over, tls) = (Arc::clone(&is_over), node.address_of(1));
    let flood = thread::spawn(move || flood(tls, rate, &over));

    let (mut client, peer) = (Client::udp(node.address()), peer());
    client.allocate();
    client.bind(CHANNEL, peer.local_addr().unwrap());
    let (times, sent) = call(&mut client, &peer, duration);
    // A newcomer over TCP would be served meanwhile, too; it is the tests that look at that.
    is_over.store(true, Ordering::Relaxed);
    let (handshakes, answered) = flood.join().unwrap();

    let micros = |nanos: u64| format!("{:.0} us", nanos as f64 / 1000.0);
    let per_second = |count: u64| count / duration.as_secs();
    println!(
        "{:<22} {:>9} {:>9} {:>9} {:>5.1}%   {} answered a second",
        format!("{what}, {}", per_second(handshakes)),
        micros(times.value_at_quantile(0.5)),
        micros(times.value_at_quantile(0.99)),
        micros(times.max()),
        100.0 - times.len() as f64 * 100.0 / sent as f64,
        per_second(answered),
    );
}

/// Sends at an even pace to the peer, which sends back; the times that took, in nanoseconds.
fn call(client: &mut Client<UdpSocket>, peer: &UdpSocket, duration: Duration) -> (Histogram<u64>, u64) {
    let echo = peer.try_clone().unwrap();
    thread::spawn(move || {
        let mut buffer = [0; 2048];
        while let Ok((length, from)) = echo.recv_from(&mut buffer) {
            echo.send_to(&buffer[..length], from).unwrap();
        }
    });
    client.wire.set_read_timeout(Some(LOST)).unwrap();
    let (mut times, began, mut sent) = (Histogram::<u64>::new(3).unwrap(), Instant::now(), 0);
    while began.elapsed() < duration {
        thread::sleep((PACE * sent as u32).saturating_sub(began.elapsed()));
        let left = Instant::now();
        client.send_channel(CHANNEL, &[7; 160]);
        sent += 1;
        let mut buffer = [0; 2048];
        if client.wire.recv(&mut buffer).is_ok() {
            times.record(left.elapsed().as_nanos() as u64).unwrap();
        }
    }
    (times, sent)
}

/// Begins `rate` handshakes a second; how many, and how many the relay has answered.
fn flood(relay: SocketAddr, rate: u64, is_over: &AtomicBool) -> (u64, u64) {
    let hello = client_hello();
    let (mut held, began, mut count, mut answered) = (VecDeque::new(), Instant::now(), 0_u64, 0);
    while rate > 0 && !is_over.load(Ordering::Relaxed) {
        thread::sleep(Duration::from_micros(count * 1_000_000 / rate).saturating_sub(began.elapsed()));
        let mut stream = TcpStream::connect(relay).unwrap();
        // Closed without lingering: else the ports run out.
        socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
        stream.write_all(&hello).unwrap();
        stream.set_nonblocking(true).unwrap();
        held.push_back(stream);
        count += 1;
        if held.len() > HELD
            && let Some(mut oldest) = held.pop_front()
        {
            answered += u64::from(oldest.read(&mut [0; 64]).is_ok_and(|length| length > 0));
        }
    }
    (count, answered)
}

fn client_hello() -> Vec<u8> {
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    let mut hello = Vec::new();
    ClientConnection::new(Arc::new(config), name).unwrap().write_tls(&mut hello).unwrap();
    hello
}
