//! The path of a packet takes no memory, and neither do allocations that have come and gone: counted
//! by an allocator that stands in for the system's.

use std::time::Duration;

use crate::support::{Relay, TestClient, at, channel_data, peer, settings, write};
use allocation_counter::measure;
use stun::attribute::{Data, Lifetime, RequestedTransport, XorPeerAddress};
use stun::{Class, Method};
use turn::{Forward, HEADROOM, PeerAddr, Span, TAILROOM, Transport};

const PAYLOAD: [u8; 160] = [7; 160];

#[test]
fn relayed_packets_take_no_memory() {
    assert!(measure(|| drop(std::hint::black_box(Box::new(1)))).count_total > 0, "allocations are counted");
    for transport in [Transport::Udp, Transport::Tcp] {
        let mut relay = Relay::new();
        let mut alice = TestClient::over(transport, "198.51.100.7:4000");
        let relayed = alice.allocate(&mut relay);
        let without_channel = at("192.0.2.11:7000");
        alice.bind(&mut relay, 0x4000, peer());
        alice.permit(&mut relay, without_channel);

        let id = relay.sockets[&relayed];
        let on_channel = channel_data(0x4000, &PAYLOAD);
        let send = write(Class::Indication, Method::SEND, alice.transaction(), |writer| {
            writer.attribute(&XorPeerAddress(without_channel))?.attribute(&Data(&PAYLOAD)).map(drop)
        });
        let strangers = [channel_data(0x4001, &PAYLOAD), vec![0xFF; 100], vec![0; 20]];
        let mut buffer = [0; HEADROOM + PAYLOAD.len() + TAILROOM];
        let payload = Span { start: HEADROOM, end: HEADROOM + PAYLOAD.len() };
        let (turn, now) = (&mut relay.turn, relay.now);

        let counted = measure(|| {
            for _ in 0..1000 {
                for packet in [&on_channel, &send] {
                    let forward = turn.client_packet(now, &alice.path, packet);
                    assert!(matches!(forward, Forward::ToPeer { .. }));
                }
                for from in [peer(), without_channel] {
                    let forward = turn.peer_packet(now, id, PeerAddr::new(from), &mut buffer, payload);
                    assert!(matches!(forward, Forward::ToClient { .. }));
                }
                for packet in &strangers {
                    turn.client_packet(now, &alice.path, packet);
                }
                let stranger = PeerAddr::new(at("192.0.2.99:1"));
                assert_eq!(turn.peer_packet(now, id, stranger, &mut buffer, payload), Forward::Nothing);
                assert!(turn.poll_output().is_none());
            }
        });
        assert_eq!((counted.count_total, counted.bytes_total), (0, 0), "over {}", transport.name());
    }
}

#[test]
fn answers_to_strangers_take_no_memory() {
    let mut relay = Relay::new();
    let mut alice = TestClient::new("198.51.100.7:4000");
    let requests = [Method::BINDING, Method::ALLOCATE].map(|method| alice.bare(method, |_| Ok(())));
    let (turn, now) = (&mut relay.turn, relay.now);
    let mut ask = |times: usize| {
        let mut answers = 0;
        for request in requests.iter().cycle().take(times) {
            turn.client_packet(now, &alice.path, request);
            while turn.poll_output().is_some() {
                answers += 1;
            }
        }
        answers
    };
    ask(10);
    let counted = measure(|| assert_eq!(ask(900), 900));
    assert_eq!(counted.count_total, 0);
}

#[test]
fn an_allocation_with_a_peer_takes_a_kilobyte() {
    const COUNT: usize = 1000;
    let mut relay = Relay::new();
    let mut clients: Vec<_> =
        (0..COUNT).map(|n| TestClient::new(&format!("198.51.100.{}:{}", n % 100, 1000 + n))).collect();
    clients.iter_mut().for_each(|client| client.learn_nonce(&mut relay));
    let counted = measure(|| {
        for client in &mut clients {
            client.allocate(&mut relay);
            client.bind(&mut relay, 0x4000, peer());
        }
        relay.events = Vec::new();
    });
    let each = counted.bytes_current / COUNT as i64;
    assert!((500..1024).contains(&each), "{each} bytes, the test's own books among them");
}

/// Pairs of an Allocate and the Refresh that ends it, from clients of their own.
fn cycles(relay: &mut Relay, count: usize) -> Vec<(TestClient, [Vec<u8>; 2])> {
    (0..count)
        .map(|n| {
            let mut client = TestClient::new(&format!("198.51.100.{}:{}", n % 100, 1000 + n));
            client.learn_nonce(relay);
            let begin = client
                .signed(Method::ALLOCATE, |writer| writer.attribute(&RequestedTransport::UDP).map(drop));
            let end = client.signed(Method::REFRESH, |writer| writer.attribute(&Lifetime(0)).map(drop));
            (client, [begin, end])
        })
        .collect()
}

#[test]
fn a_hundred_thousand_allocations_leave_memory_flat() {
    let mut settings = settings();
    settings.nonces = turn::Nonces::new(vec![[7; 32]], 1_000_000, true);
    let mut relay = Relay::with(settings);
    let cycles = cycles(&mut relay, 1000);
    let mut round = || {
        for step in 0..2 {
            for (client, requests) in &cycles {
                assert_eq!(client.exchange(&mut relay, &requests[step]).code(), 0);
            }
            assert_eq!(relay.turn.allocations(), if step == 0 { cycles.len() } else { 0 });
            relay.events.clear();
        }
        // Until no retransmission can be answered any more, so that the same requests are new ones.
        relay.wait(Duration::from_secs(40));
        assert!(relay.is_empty());
    };
    (0..5).for_each(|_| round());
    let counted = measure(|| (0..95).for_each(|_| round()));
    assert!(counted.count_total > 0);
    assert_eq!((counted.count_current, counted.bytes_current), (0, 0));
}
