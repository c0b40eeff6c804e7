//! TLS records of one byte each, as fast as they go, from connections with an allocation and without.

use std::io::Write as _;
use std::net::SocketAddr;
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

/// With an allocation, and as many without.
const CONNECTIONS: usize = 8;
const CHANNEL: u16 = 0x4001;
const DURATION: Duration = Duration::from_secs(6);
const BOUND: u64 = 4 << 20;
/// Records that leave together.
const BATCH: usize = 256;
/// A record of one byte: header, the byte, its type and the tag.
const RECORD: usize = 5 + 1 + 1 + 16;

#[test]
fn fill_connections() {
    let network = Network::new();
    let relay = Relay::as_shipped(&network, &[]);
    let steady = Steady::before(&network, &relay);
    let sink = Peer::new(&network.peer.namespace, network.peer.v4.into());
    let connect = |number: usize| {
        Client::over(Transport::Tls, &network.bob, &relay, relay.credential(&format!("bob {number}")))
    };
    let with: Vec<Stream> =
        (0..CONNECTIONS).map(|number| allocated(connect(number), sink.address())).collect();
    let without = (0..CONNECTIONS).map(|number| {
        let mut client = connect(number);
        client.ask(&request::binding());
        client.into_stream().expect("it is TLS")
    });
    let without: Vec<Stream> = without.collect();

    let impact = steady.during(&Transport::ALL, || {
        let data = [&CHANNEL.to_be_bytes()[..], &[0, 8], &[0; 8]].concat();
        // Indications draw no answer that the attacker would have to read.
        let binding = request::message(stun::Class::Indication, stun::Method::BINDING, |_| {});
        let records: usize = thread::scope(|scope| {
            let floods = with.into_iter().map(|stream| (stream, &data));
            let floods = floods.chain(without.into_iter().map(|stream| (stream, &binding)));
            let floods: Vec<_> =
                floods.map(|(stream, packet)| scope.spawn(move || flood(stream, packet))).collect();
            floods.into_iter().map(|flood| flood.join().expect("the relay keeps the connection")).sum()
        });
        println!("{records} records of {RECORD} bytes on {} connections", 2 * CONNECTIONS);
    });
    impact.is_none(BOUND);
    sink.receive().expect("what came byte by byte was relayed");
    steady.holds(BOUND);
}

fn allocated(mut client: Client, peer: SocketAddr) -> Stream {
    client.allocate().expect("within the limits");
    client.bind(CHANNEL, peer).expect("the peer's address is public");
    client.into_stream().expect("it is TLS")
}

/// Sends the bytes of `packet` again and again, a record for each; how many that were.
fn flood(stream: Stream, packet: &[u8]) -> usize {
    let Stream::Tls(mut tls) = stream else { panic!("it is TLS") };
    tls.sock.set_write_timeout(Some(Duration::from_millis(100))).expect("not zero");
    let end = Instant::now() + DURATION;
    let mut records = 0;
    let mut bytes = packet.iter().cycle();
    while Instant::now() < end {
        for byte in bytes.by_ref().take(BATCH) {
            tls.conn.writer().write_all(&[*byte]).expect("memory holds it");
        }
        records += BATCH;
        while tls.conn.wants_write() && Instant::now() < end {
            // A full connection makes it wait.
            let _ = tls.conn.write_tls(&mut tls.sock);
        }
    }
    records
}
