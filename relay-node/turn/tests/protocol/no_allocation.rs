//! The path of a packet takes no memory, nor do answers to strangers: counted by an allocator that
//! stands in for the system's, over bursts from many clients at once.

use std::net::{Ipv4Addr, SocketAddr};
use std::ops::Range;
use std::sync::Arc;

use crate::support::{Relay, TestClient, at, channel_data, peer, settings, with_room, write};
use allocation_counter::{AllocationInfo, measure};
use stun::attribute::{Data, XorPeerAddress};
use stun::{Class, Method};
use turn::{
    AnswerLimits, Client, ClientAddr, Forward, HEADROOM, IcmpError, Output, PeerAddr, Quota, RelayId, Span,
    TAILROOM, Transport, Turn,
};

const PAYLOAD: [u8; 160] = [7; 160];
const BURST: usize = 10_000;

#[test]
fn the_counter_counts() {
    assert_eq!(measure(|| drop(std::hint::black_box(Box::new(1)))).count_total, 1);
}

/// A client with an allocation: one peer has a channel, the other one a permission only.
struct Talker {
    client: TestClient,
    relay: RelayId,
    bound: SocketAddr,
    permitted: SocketAddr,
    /// What it sends to either, then what nobody should send: ChannelData without a channel, no STUN,
    /// a message cut short, and a Send to a stranger.
    packets: [(Vec<u8>, Span); 6],
}

impl Talker {
    fn new(relay: &mut Relay, transport: Transport, number: u8) -> Self {
        let mut client = TestClient::over(transport, &format!("198.51.100.{number}:4000"));
        let relayed = client.allocate(relay);
        let (bound, permitted) = (at(&format!("192.0.2.{number}:1")), at(&format!("192.1.2.{number}:1")));
        assert_eq!(client.bind(relay, 0x4000, bound).code(), 0);
        assert_eq!(client.permit(relay, permitted).code(), 0);
        let mut send = |peer| {
            write(Class::Indication, Method::SEND, client.transaction(), |writer| {
                writer.attribute(&XorPeerAddress(peer))?.attribute(&Data(&PAYLOAD)).map(drop)
            })
        };
        let packets = [
            channel_data(0x4000, &PAYLOAD),
            send(permitted),
            channel_data(0x4001, &PAYLOAD),
            vec![0xFF; 100],
            vec![0; 20],
            send(at("192.0.2.254:1")),
        ];
        let packets = packets.map(|packet| with_room(&packet));
        Self { relay: relay.sockets[&relayed], client, bound, permitted, packets }
    }
}

/// Clients over UDP and as many over a stream, all of them at once.
fn talkers(mut relay: Relay) -> (Relay, Vec<Talker>) {
    let both = [Transport::Udp, Transport::Tcp];
    let all = (1..=50).flat_map(|number| both.map(|transport| (transport, number)));
    let talkers = all.map(|(transport, number)| Talker::new(&mut relay, transport, number)).collect();
    (relay, talkers)
}

#[test]
fn relayed_packets_take_no_memory_recorded_or_not() {
    for relay in [Relay::new(), Relay::new().recording(&Arc::default())] {
        let (mut relay, mut talkers) = talkers(relay);
        let mut buffer = [0; HEADROOM + PAYLOAD.len() + TAILROOM];
        let payload = Span { start: HEADROOM, end: HEADROOM + PAYLOAD.len() };
        let (turn, now) = (&mut relay.turn, relay.now);
        let counted = measure(|| {
            for number in 0..BURST / 9 {
                let number = number % talkers.len();
                let talker = &mut talkers[number];
                for (place, (buffer, packet)) in talker.packets.iter_mut().enumerate() {
                    let forward = turn.client_packet(now, &talker.client.path, buffer, *packet);
                    assert_eq!(matches!(forward, Forward::ToPeer { .. }), place < 2);
                }
                for (peer, passes) in [(talker.bound, true), (talker.permitted, true), (at_stranger(), false)]
                {
                    let forward =
                        turn.peer_packet(now, talker.relay, PeerAddr::new(peer), &mut buffer, payload);
                    assert_eq!(matches!(forward, Forward::ToClient { .. }), passes);
                }
                assert!(turn.poll_output().is_none());
            }
        });
        assert_eq!(counted, AllocationInfo::default());
    }
}

#[test]
fn packets_from_client_to_client_take_no_memory() {
    let mut relay = Relay::new();
    let mut alice = TestClient::new("198.51.100.7:4000");
    let mut bob = TestClient::over(Transport::Tcp, "198.51.100.8:4000");
    let [alices, bobs] = [alice.allocate(&mut relay), bob.allocate(&mut relay)];
    alice.bind(&mut relay, 0x4000, bobs);
    bob.bind(&mut relay, 0x4000, alices);
    // The header that Bob gets takes the place of Alice's, and is the same.
    let (mut buffer, packet) = with_room(&channel_data(0x4000, &PAYLOAD));
    let (turn, now) = (&mut relay.turn, relay.now);
    let counted = measure(|| {
        for _ in 0..BURST {
            let forward = turn.client_packet(now, &alice.path, &mut buffer, packet);
            assert!(matches!(forward, Forward::ToClient { client, .. } if client == bob.path));
        }
    });
    assert_eq!(counted, AllocationInfo::default());
}

fn at_stranger() -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 253], 1))
}

#[test]
fn icmp_errors_of_peers_take_no_memory() {
    let (mut relay, talkers) = talkers(Relay::new());
    let (turn, now) = (&mut relay.turn, relay.now);
    let mut burst = |count| {
        let error = IcmpError { kind: 3, code: 3, data: [0; 4] };
        for talker in talkers.iter().cycle().take(count) {
            turn.peer_icmp(now, talker.relay, PeerAddr::new(talker.bound), error);
            assert_eq!(answers(turn), 1);
        }
    };
    // The first one makes the room that all the others use again.
    burst(1);
    assert_eq!(measure(|| burst(BURST)), AllocationInfo::default());
}

#[test]
fn an_allocation_with_a_peer_takes_about_a_kilobyte() {
    let mut settings = settings();
    settings.limits.user =
        Quota { allocations: u32::MAX, permissions: u32::MAX, channels: u32::MAX, bits_per_second: None };
    settings.limits.total = settings.limits.user;
    settings.limits.answers =
        AnswerLimits { per_source_bytes_per_second: u32::MAX, total_bytes_per_second: u32::MAX };
    let mut relay = Relay::with(settings);
    let mut clients: Vec<_> = (0..BURST)
        .map(|n| TestClient::new(&format!("198.51.{}.{}:{}", n / 200, n % 200, 1000 + n)))
        .collect();
    clients.iter_mut().for_each(|client| client.learn_nonce(&mut relay));
    let counted = measure(|| {
        for client in &mut clients {
            client.allocate(&mut relay);
            client.bind(&mut relay, 0x4000, peer());
        }
        relay.events = Vec::new();
    });
    let each = counted.bytes_current / BURST as i64;
    // The test's own books are among them, and the tables' room for more.
    assert!((500..1200).contains(&each), "{each} bytes");
}

#[test]
fn answers_to_strangers_take_no_memory_and_nor_does_silence() {
    for (limit, answered) in [(u32::MAX, 1), (1, 0)] {
        let mut settings = settings();
        settings.limits.answers =
            AnswerLimits { per_source_bytes_per_second: limit, total_bytes_per_second: limit };
        let mut relay = Relay::with(settings);
        let mut stranger = TestClient::new("198.51.100.7:4000");
        let mut requests = [Method::BINDING, Method::ALLOCATE, Method::REFRESH, Method::CHANNEL_BIND]
            .map(|method| with_room(&stranger.bare(method, |_| Ok(()))));
        let (turn, now, path) = (&mut relay.turn, relay.now, stranger.path);
        let mut burst = |sources: Range<u32>, answered: usize| {
            for source in sources {
                // From a source of its own.
                let (request, place) = &mut requests[source as usize % 4];
                turn.client_packet(now, &from_source(path, source), request, *place);
                assert_eq!(answers(turn), answered, "source {source}");
            }
        };
        // The first ones make the room that all the others use again; a Binding and a challenge may use
        // up the limit.
        burst(0..2, 1);
        assert_eq!(measure(|| burst(2..BURST as u32, answered)), AllocationInfo::default());
    }
}

/// The same path with another source address.
fn from_source(mut path: Client, source: u32) -> Client {
    let address = SocketAddr::from((Ipv4Addr::from_bits(0x1400_0000 + source), 4000));
    path.five_tuple.client = ClientAddr::new(address);
    path
}

/// Takes what waits, and tells how much of it goes to clients.
fn answers(turn: &mut Turn) -> usize {
    let mut answers = 0;
    while let Some(output) = turn.poll_output() {
        answers += usize::from(matches!(output, Output::ToClient { .. }));
    }
    answers
}
