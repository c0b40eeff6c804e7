//! Clients on TCP that send as fast as they can: Bindings, and data to a peer that takes in all of it.

use std::io::{Read as _, Write as _};
use std::thread;
use std::time::{Duration, Instant};

use edgerelay_e2e::Network;
use edgerelay_e2e::client::Client;
use edgerelay_e2e::peer::Peer;
use edgerelay_e2e::relay::Relay;
use edgerelay_e2e::request;
use edgerelay_e2e::steady::Steady;
use edgerelay_e2e::stream::Stream;
use edgerelay_e2e::transport::Transport;

const CHANNEL: u16 = 0x4001;
const DURATION: Duration = Duration::from_secs(6);
const BOUND: u64 = 4 << 20;
/// Packets that leave together.
const BATCH: usize = 100;

#[test]
fn bindings() {
    let network = Network::new();
    let relay = Relay::as_shipped(&network, &[]);
    let steady = Steady::before(&network, &relay);
    let client = Client::tcp(&network.bob, relay.plain(), relay.credential("bob"));
    let stream = client.into_stream().expect("it is TCP");
    let impact = steady.during(&Transport::ALL, || flood(stream, &request::binding()));
    impact.is_none(BOUND);
    steady.holds(BOUND);
}

#[test]
fn data() {
    let network = Network::new();
    let relay = Relay::as_shipped(&network, &[]);
    let steady = Steady::before(&network, &relay);
    let sink = Peer::new(&network.peer.namespace, network.peer.v4.into());
    let mut client = Client::tcp(&network.bob, relay.plain(), relay.credential("bob"));
    client.allocate().expect("within the limits");
    client.bind(CHANNEL, sink.address()).expect("the peer's address is public");
    let stream = client.into_stream().expect("it is TCP");
    let packet = [&CHANNEL.to_be_bytes()[..], &[0, 160], &[0; 160]].concat();
    let impact = steady.during(&Transport::ALL, || flood(stream, &packet));
    impact.is_none(BOUND);
    sink.receive().expect("it was relayed");
    steady.holds(BOUND);
}

/// Sends a packet again and again, and reads what is answered.
fn flood(stream: Stream, packet: &[u8]) {
    let Stream::Plain(socket) = stream else { panic!("it is TCP") };
    socket.set_write_timeout(Some(Duration::from_millis(100))).expect("not zero");
    let packets = packet.repeat(BATCH);
    let end = Instant::now() + DURATION;
    let (sent, read) = thread::scope(|scope| {
        let answers = scope.spawn(|| {
            let (mut bytes, mut read) = ([0; 65_536], 0);
            while let Ok(length @ 1..) = (&socket).read(&mut bytes) {
                read += length;
            }
            read
        });
        let mut sent = 0;
        while Instant::now() < end {
            // Whole packets, however much fits at once.
            sent += (&socket).write(&packets[sent % packets.len()..]).unwrap_or(0);
        }
        socket.shutdown(std::net::Shutdown::Both).expect("the relay has kept the connection");
        (sent, answers.join().expect("reading does not panic"))
    });
    println!("{sent} bytes sent, {read} bytes answered");
}
