//! Whoever comes and goes leaves no memory behind: 10,000 of everything, no two of them alike, so that
//! nothing that is kept for each user, address or transaction escapes.

use std::time::Duration;

use crate::support::{Relay, SECRET, TestClient, at, peer, settings};
use allocation_counter::measure;
use stun::attribute::{ChannelNumber, EvenPort, RequestedTransport, ReservationToken, XorPeerAddress};
use stun::{AttributeType, BufferFull, MessageWriter, Method};
use turn::{AnswerLimits, Settings, Transport};

const MANY: usize = 10_000;
/// So many at a time.
const ROUND: usize = 250;
/// What comes before anything is counted: some things last for several rounds.
const WARM_UP: usize = 4 * ROUND;

fn settings_for_many() -> Settings {
    let mut settings = settings();
    settings.nonces = turn::Nonces::new(vec![[7; 32]], 1_000_000, true);
    settings.limits.answers =
        AnswerLimits { per_source_bytes_per_second: u32::MAX, total_bytes_per_second: u32::MAX };
    settings
}

/// Does `round` for one part of `all` after the other. After a few no more memory is held than
/// before, but for a table that may grow once, and trees that may be cut otherwise: less than eight bytes
/// for each.
fn assert_flat<T>(all: &[T], mut round: impl FnMut(&[T])) {
    let (first, rest) = all.split_at(WARM_UP);
    assert!(rest.len() >= MANY);
    first.chunks(ROUND).for_each(&mut round);
    let counted = measure(|| rest.chunks(ROUND).for_each(&mut round));
    assert!(counted.count_total > 0, "it is counted");
    let left = (counted.count_current, counted.bytes_current);
    assert!(left.0 < MANY as i64 / 100 && left.1 < 8 * MANY as i64, "{left:?} blocks and bytes");
}

/// A user with requests ready to be sent.
struct User {
    client: TestClient,
    requests: Vec<Vec<u8>>,
    ends: End,
}

/// How an allocation ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Deleted,
    Expired,
    ClientGone,
}

/// A client with a name, an address and a port of its own.
fn stranger(number: usize, secret: &str) -> TestClient {
    let address = format!("198.{}.{}.7:{}", 51 + number / 200, number % 200, 10_000 + number);
    TestClient::new(&address).timed(&format!("1900000000:{number}"), secret)
}

fn udp(writer: &mut MessageWriter<'_>) -> Result<(), BufferFull> {
    writer.attribute(&RequestedTransport::UDP).map(drop)
}

/// A user of its own, with an allocation of each kind and end in turn.
fn user(relay: &mut Relay, number: usize) -> User {
    let ends = [End::Deleted, End::Expired, End::ClientGone][number % 3];
    let transport = if ends == End::ClientGone { Transport::Tcp } else { Transport::Udp };
    let mut client = stranger(number, SECRET);
    client.path.five_tuple.transport = transport;
    client.learn_nonce(relay);
    let even = EvenPort { reserve_next: number.is_multiple_of(2) };
    let mut requests = vec![
        client.signed(Method::ALLOCATE, |writer| udp(writer.attribute(&even)?)),
        client.signed(Method::CHANNEL_BIND, |writer| {
            let number = ChannelNumber::new(0x4000).unwrap();
            writer.attribute(&number)?.attribute(&XorPeerAddress(peer())).map(drop)
        }),
    ];
    if ends == End::Deleted {
        requests.push(client.signed_refresh(0));
    }
    User { client, requests, ends }
}

#[test]
fn allocations_that_have_come_and_gone_leave_nothing() {
    let mut relay = Relay::with(settings_for_many());
    let users: Vec<_> = (0..MANY + WARM_UP).map(|number| user(&mut relay, number)).collect();
    assert_flat(&users, |users| {
        for step in 0..3 {
            for User { client, requests, .. } in users {
                if let Some(request) = requests.get(step) {
                    assert_eq!(client.exchange(&mut relay, request).code(), 0);
                }
            }
        }
        for gone in users.iter().filter(|user| user.ends == End::ClientGone) {
            relay.turn.client_gone(relay.now, &gone.client.path.five_tuple);
            relay.drain();
        }
        relay.wait(Duration::from_secs(600));
        relay.events.clear();
        assert!(relay.is_empty());
    });
}

#[test]
fn permissions_and_channels_that_have_come_and_gone_leave_nothing() {
    let mut relay = Relay::with(settings_for_many());
    let mut alice = TestClient::new("198.51.100.7:4000");
    alice.allocate(&mut relay);
    let requests: Vec<_> = (0..MANY + WARM_UP)
        .map(|number| {
            let peer = at(&format!("192.1.{}.{}:{}", number / 250, 1 + number % 250, 1 + number));
            if number.is_multiple_of(2) {
                return alice.signed(Method::CREATE_PERMISSION, |writer| {
                    writer.attribute(&XorPeerAddress(peer)).map(drop)
                });
            }
            let channel = ChannelNumber::new(0x4000 + (number % 0x1000) as u16).unwrap();
            alice.signed(Method::CHANNEL_BIND, |writer| {
                writer.attribute(&channel)?.attribute(&XorPeerAddress(peer)).map(drop)
            })
        })
        .collect();
    let prolong = alice.signed_refresh(3600);
    assert_flat(&requests, |requests| {
        for request in requests.iter().chain([&prolong]) {
            assert_eq!(alice.exchange(&mut relay, request).code(), 0);
        }
        // Those of the round before are still there, so that the allocation is never without any.
        relay.wait(Duration::from_secs(200));
        assert_eq!(relay.turn.stats().permissions, ROUND as u64);
    });
    relay.wait(Duration::from_secs(600));
    assert_eq!((relay.turn.stats().permissions, relay.turn.stats().channels), (0, 0));
}

/// A request of a user of its own that is refused, with the code that it gets.
fn refused(relay: &mut Relay, alice: &TestClient, number: usize) -> (TestClient, Vec<u8>, u16) {
    let wrong = "another secret, which is nobody's";
    let mut client = stranger(number, if number.is_multiple_of(7) { wrong } else { SECRET });
    if number % 7 == 6 {
        client.path = alice.path;
    }
    client.learn_nonce(relay);
    if number % 7 == 1 {
        *client.nonce.last_mut().unwrap() ^= 1;
    }
    let (code, request) = match number % 7 {
        0 => (401, client.signed_allocate()),
        1 => (438, client.signed_allocate()),
        2 => (400, client.signed(Method::ALLOCATE, |_| Ok(()))),
        3 => (420, client.signed(Method::ALLOCATE, |it| it.raw(AttributeType(0x7000), &[]).map(drop))),
        4 => (437, client.signed_refresh(600)),
        5 => {
            let token = ReservationToken([number as u8; 8]);
            (508, client.signed(Method::ALLOCATE, |it| udp(it.attribute(&token)?)))
        }
        _ => (441, client.signed_refresh(600)),
    };
    (client, request, code)
}

#[test]
fn refused_requests_leave_nothing() {
    let mut relay = Relay::with(settings_for_many());
    let mut alice = TestClient::new("198.51.100.7:4000");
    alice.allocate(&mut relay);
    let all: Vec<_> = (0..MANY + WARM_UP).map(|number| refused(&mut relay, &alice, number)).collect();
    assert_flat(&all, |requests| {
        for (client, request, code) in requests {
            assert_eq!(client.exchange(&mut relay, request).code(), *code);
        }
    });
    assert_eq!(relay.turn.allocations(), 1);
}
