//! 500 clients on TCP that never read what their peer floods them with: what waits for all of them has one bound.

use std::time::Duration;

use edgerelay_e2e::Network;
use edgerelay_e2e::client::Client;
use edgerelay_e2e::pace::at_rate;
use edgerelay_e2e::peer::Peer;
use edgerelay_e2e::relay::Relay;
use edgerelay_e2e::steady::Steady;
use edgerelay_e2e::stream::Stream;
use edgerelay_e2e::transport::Transport;
use socket2::SockRef;

const CLIENTS: usize = 500;
const USERS: usize = 10;
const RATE: u32 = 40_000;
const DURATION: Duration = Duration::from_secs(6);
const PAYLOAD: usize = 1200;
/// `limits.streams.write_buffers`, and what else 500 clients with an allocation take.
const BOUND: u64 = (64 << 20) + (8 << 20);

#[test]
fn never_read() {
    let network = Network::new();
    let relay = Relay::as_shipped(&network, &[]);
    let steady = Steady::before(&network, &relay);
    let peer = Peer::new(&network.peer.namespace, network.peer.v4.into());
    let mut clients: Vec<Client> = (0..CLIENTS)
        .map(|number| {
            let credential = relay.credential(&format!("user {}", number % USERS));
            let Stream::Plain(socket) = Stream::tcp(&network.bob, relay.plain()) else { panic!("it is TCP") };
            // Little fits into the client's own system.
            SockRef::from(&socket).set_recv_buffer_size(4096).expect("it is a TCP socket");
            Client::on(Stream::Plain(socket), credential)
        })
        .collect();
    let relayed: Vec<_> = clients
        .iter_mut()
        .map(|client| {
            let relayed = client.allocate().expect("within the limits of its user");
            client.permit(peer.address()).expect("the peer's address is public");
            relayed
        })
        .collect();

    let impact = steady.during(&Transport::ALL, || {
        let sent = at_rate(RATE, DURATION, |turn| peer.send(relayed[turn as usize % CLIENTS], &[0; PAYLOAD]));
        println!("{} bytes to each of {CLIENTS} clients", sent as usize / CLIENTS * PAYLOAD);
    });
    impact.is_none(BOUND);
    drop(clients);
    steady.holds(BOUND);
}
