//! A call at 50 packets a second, whose peer sends every packet back.

use std::collections::BTreeMap;
use std::fmt;
use std::net::UdpSocket;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::client::Client;
use crate::network::Network;
use crate::relay::Relay;
use crate::transport::Transport;

const INTERVAL: Duration = Duration::from_millis(20);
/// What has not come back so long after the end is lost.
const PATIENCE: Duration = Duration::from_secs(3);
const CHANNEL: u16 = 0x4000;
/// Of a voice packet.
const PAYLOAD: usize = 160;

/// Alice's call through the relay to the peer, by a channel.
#[derive(Debug)]
pub struct Call {
    client: Client,
    peer: UdpSocket,
}

/// How a call went.
#[derive(Clone, Debug)]
pub struct Quality {
    /// Packets sent.
    pub sent: u32,
    /// Packets that never came back.
    pub lost: usize,
    /// Microseconds that the others took there and back.
    round_trips: Histogram<u64>,
}

impl Call {
    /// Sets it up.
    pub fn begin(network: &Network, relay: &Relay<'_>, transport: Transport) -> Self {
        let peer = network.peer.namespace.enter(|| UdpSocket::bind((network.peer.v4, 0)));
        let peer = peer.expect("the peer has this address");
        peer.set_read_timeout(Some(INTERVAL)).expect("not zero");
        let mut client = Client::over(transport, &network.alice, relay, relay.credential("caller"));
        client.allocate().expect("a good client gets an allocation");
        client.bind(CHANNEL, peer.local_addr().expect("it is bound")).expect("the peer's address is public");
        Self { client, peer }
    }

    /// Talks until it is `over`, then ends the call.
    pub fn talk(mut self, over: &AtomicBool) -> Quality {
        let silent = AtomicBool::new(false);
        let quality = thread::scope(|scope| {
            scope.spawn(|| echo(&self.peer, &silent));
            let quality = talk(&mut self.client, over);
            silent.store(true, Ordering::Relaxed);
            quality
        });
        self.client.refresh_with_any_nonce(0).expect("the allocation is the caller's");
        quality
    }
}

fn talk(client: &mut Client, over: &AtomicBool) -> Quality {
    let mut round_trips = Histogram::new(3).expect("three digits are allowed");
    let mut under_way = BTreeMap::new();
    let mut sent = 0;
    let begun = Instant::now();
    while !over.load(Ordering::Relaxed) {
        take_in(client, begun + INTERVAL * sent, &mut under_way, &mut round_trips, |_| false);
        under_way.insert(sent, Instant::now());
        client.send(&packet(sent));
        sent += 1;
    }
    let end = Instant::now() + PATIENCE;
    take_in(client, end, &mut under_way, &mut round_trips, BTreeMap::is_empty);
    Quality { sent, lost: under_way.len(), round_trips }
}

/// Takes in what comes back, until a moment or until it is enough.
fn take_in(
    client: &mut Client,
    until: Instant,
    under_way: &mut BTreeMap<u32, Instant>,
    round_trips: &mut Histogram<u64>,
    enough: impl Fn(&BTreeMap<u32, Instant>) -> bool,
) {
    while !enough(under_way) {
        let left = until.saturating_duration_since(Instant::now());
        let Some(packet) = client.receive(left) else { return };
        let Some(since) = number(&packet).and_then(|number| under_way.remove(&number)) else { continue };
        let microseconds = u64::try_from(since.elapsed().as_micros()).expect("less than an age");
        round_trips.record(microseconds).expect("the histogram grows");
    }
}

/// ChannelData that tells its number.
fn packet(number: u32) -> Vec<u8> {
    let mut packet =
        [&CHANNEL.to_be_bytes()[..], &(PAYLOAD as u16).to_be_bytes(), &number.to_be_bytes()].concat();
    packet.resize(4 + PAYLOAD, 0);
    packet
}

fn number(packet: &[u8]) -> Option<u32> {
    let data = packet.strip_prefix(&CHANNEL.to_be_bytes())?.get(2..)?;
    (data.len() == PAYLOAD).then(|| u32::from_be_bytes([data[0], data[1], data[2], data[3]]))
}

/// Sends back all that comes.
fn echo(socket: &UdpSocket, silent: &AtomicBool) {
    let mut packet = [0; 2048];
    while !silent.load(Ordering::Relaxed) {
        if let Ok((length, from)) = socket.recv_from(&mut packet) {
            socket.send_to(&packet[..length], from).expect("the network is up");
        }
    }
}

impl fmt::Display for Quality {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quantile = |share| self.round_trips.value_at_quantile(share) as f64 / 1e3;
        let (p50, p99) = (quantile(0.5), quantile(0.99));
        write!(f, "{} of {} packets lost, p50 {p50:.2} ms, p99 {p99:.2} ms", self.lost, self.sent)
    }
}
