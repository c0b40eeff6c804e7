//! 500 clients on TCP that never read what their peer floods them with: what waits for all of them has one bound.

use std::time::Duration;

use edgerelay_e2e::Network;
use edgerelay_e2e::client::Client;
use edgerelay_e2e::crowd::Crowd;
use edgerelay_e2e::pace::at_rate;
use edgerelay_e2e::peer::Peer;
use edgerelay_e2e::relay::Relay;
use edgerelay_e2e::steady::Steady;
use edgerelay_e2e::stream::Stream;
use edgerelay_e2e::transport::Transport;
use socket2::SockRef;

const CLIENTS: usize = 500;
const RATE: u32 = 40_000;
const DURATION: Duration = Duration::from_secs(6);
const PAYLOAD: usize = 1200;
/// `limits.streams.buffers`, and what else 500 clients with an allocation take.
const BOUND: u64 = (64 << 20) + (8 << 20);

#[test]
fn never_read() {
    let network = Network::new();
    let relay = Relay::as_shipped(&network, &[]);
    let steady = Steady::before(&network, &relay);
    let peer = Peer::new(&network.peer.namespace, network.peer.v4.into());
    let crowd = Crowd::new(CLIENTS, &relay, peer, |credential| {
        let stream = Stream::tcp(&network.bob, relay.plain());
        // Little fits into the client's own system.
        SockRef::from(stream.socket()).set_recv_buffer_size(4096).expect("it is a TCP socket");
        Client::on(stream, credential)
    });

    let impact = steady.during(&Transport::ALL, || {
        let sent = at_rate(RATE, DURATION, |turn| crowd.send(turn, &[0; PAYLOAD]));
        println!("{} bytes to each of {CLIENTS} clients", sent as usize / CLIENTS * PAYLOAD);
    });
    impact.is_none(BOUND);
    drop(crowd);
    steady.holds(BOUND);
}
