//! Clients on TCP that send as fast as they can: Bindings, and data to a peer that takes in all of it.

use std::io::{Read as _, Write as _};
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
/// What a hundred connections have to read and to write at the moment, mostly.
const BOUND: u64 = 8 << 20;
/// Connections that ask for Bindings.
const CONNECTIONS: usize = 100;
/// Packets that leave together.
const BATCH: usize = 1000;

#[test]
fn bindings() {
    let network = Network::new();
    let relay = Relay::as_shipped(&network, &[]);
    let steady = Steady::before(&network, &relay);
    let connect = |_| Stream::tcp(&network.bob, relay.plain());
    let streams = (0..CONNECTIONS).map(connect).collect();
    let impact = steady.during(&Transport::ALL, || flood(streams, &request::binding()));
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
    let streams = vec![client.into_stream().expect("it is TCP")];
    let packet = [&CHANNEL.to_be_bytes()[..], &[0, 160], &[0; 160]].concat();
    let impact = steady.during(&Transport::ALL, || flood(streams, &packet));
    impact.is_none(BOUND);
    sink.receive().expect("it was relayed");
    steady.holds(BOUND);
}

/// Sends a packet again and again on each connection, and reads what is answered.
fn flood(streams: Vec<Stream>, packet: &[u8]) {
    let packets = packet.repeat(BATCH);
    let mut bytes = [0; 65_536];
    let mut sent = vec![0; streams.len()];
    let mut read = 0;
    for stream in &streams {
        stream.socket().set_nonblocking(true).expect("a socket can be");
    }
    let end = Instant::now() + DURATION;
    while Instant::now() < end {
        for (stream, sent) in streams.iter().zip(&mut sent) {
            let mut socket = stream.socket();
            // Whole packets in the end, however much fits at once.
            *sent += socket.write(&packets[*sent % packets.len()..]).unwrap_or(0);
            read += socket.read(&mut bytes).unwrap_or(0);
        }
    }
    println!(
        "{} bytes sent on {} connections, {read} bytes answered",
        sent.iter().sum::<usize>(),
        streams.len()
    );
}
