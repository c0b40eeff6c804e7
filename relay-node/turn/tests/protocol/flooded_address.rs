//! Somebody sends requests in the name of an address without end: a client behind that address
//! still gets its answers.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use crate::support::{Answer, Relay, Seen, TestClient, allocated, relay_addresses, settings, write};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use stun::attribute::{Nonce, RequestedTransport};
use stun::{Class, Method, TransactionId};
use turn::{AnswerBudget, Client, ClientAddr, Entrance, FiveTuple, Ledger, Nonces, PathId, Transport};

const ALICE: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 7);
const SEEDS: u64 = 8;
/// When a client sends a request without an answer, in milliseconds (RFC 8489 section 6.2.1).
const TRANSMISSIONS: [u64; 7] = [0, 500, 1_500, 3_500, 7_500, 15_500, 31_500];

/// What is sent in the name of others.
#[derive(Clone, Copy, Debug)]
enum Flood {
    /// Like `Fresh`, from 100,000 addresses of which none is Alice's.
    Everywhere(Method),
    /// From random ports of Alice's address, each a transaction of its own.
    Fresh(Method),
    /// One packet from Alice's address, over and over.
    Repeated(Method),
}

impl Flood {
    fn packet(self, random: &mut StdRng) -> (Client, Vec<u8>) {
        let (port, id) = (random.random_range(1024..=65_535), random.random());
        let (address, port, method, id) = match self {
            Self::Everywhere(method) => (elsewhere(random.random_range(0..100_000)), port, method, id),
            Self::Fresh(method) => (ALICE, port, method, id),
            Self::Repeated(method) => (ALICE, 666, method, [6; 12]),
        };
        (spoofed(address, port), write(Class::Request, method, TransactionId::new(id), |_| Ok(())))
    }
}

fn elsewhere(number: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(0x1400_0000 + number)
}

/// Who sends from an address that is not its own.
fn spoofed(address: Ipv4Addr, port: u16) -> Client {
    let FiveTuple { server, transport, .. } = alice(Transport::Udp).path.five_tuple;
    let client = ClientAddr::new((address, port).into());
    Client {
        five_tuple: FiveTuple { client, server, transport },
        path: PathId(0),
        entrance: Entrance::Direct,
    }
}

/// A relay in the middle of a flood.
struct Flooded {
    relay: Relay,
    flood: Flood,
    /// Between two packets of it.
    pause: Duration,
    random: StdRng,
}

impl Flooded {
    /// With an allocation of Alice's over UDP.
    fn with_a_live_call(flood: Flood) -> (Self, TestClient) {
        let mut flooded = Self::new(flood, 20_000, 1);
        let mut alice = alice(Transport::Udp);
        flooded.allocate(&mut alice);
        (flooded, alice)
    }

    fn new(flood: Flood, per_second: u32, seed: u64) -> Self {
        let relay =
            Relay::beside(settings(), Arc::new(Ledger::new(relay_addresses(), 50_000..=59_999)), seed as u8);
        let pause = Duration::from_secs(1) / per_second;
        let mut flooded = Self { relay, flood, pause, random: StdRng::seed_from_u64(seed) };
        // Until what may go at once is gone, and then to any moment.
        let gone = if per_second < 10_000 { 1_000 } else { 400 };
        let before = Duration::from_millis(gone + flooded.random.random_range(0..200));
        flooded.goes_on(before);
        flooded
    }

    fn goes_on(&mut self, time: Duration) {
        let end = self.relay.now.after(time);
        while self.relay.now.monotonic < end.monotonic {
            let (spoofed, packet) = self.flood.packet(&mut self.random);
            self.relay.packet(&spoofed, &packet);
            self.relay.wait(self.pause);
        }
    }

    /// Sends as RFC 8489 says until there is an answer, and tells which transmission got it.
    fn ask(&mut self, client: &TestClient, request: &[u8]) -> (usize, Answer) {
        let mut sent = 0;
        for (number, at) in TRANSMISSIONS.into_iter().enumerate() {
            self.goes_on(Duration::from_millis(at - sent));
            sent = at;
            if let [Seen::AtClient { packet, .. }] = &self.relay.packet(&client.path, request)[..] {
                return (number + 1, Answer(packet.clone()));
            }
        }
        panic!("no answer to {} transmissions", TRANSMISSIONS.len());
    }

    /// Which transmissions get Alice's challenge and her allocation.
    fn allocate(&mut self, alice: &mut TestClient) -> [usize; 2] {
        let bare =
            alice.bare(Method::ALLOCATE, |writer| writer.attribute(&RequestedTransport::UDP).map(drop));
        let (first, challenge) = self.ask(alice, &bare);
        assert_eq!(challenge.code(), 401);
        alice.nonce = challenge.get::<Nonce<'_>>().unwrap().0.to_vec();
        let signed = alice.signed_allocate();
        let (second, success) = self.ask(alice, &signed);
        assert_eq!(success.code(), 0);
        [first, second]
    }

    /// The answer to a Refresh, which comes at once.
    fn refresh(&mut self, client: &mut TestClient) -> Answer {
        let request = client.signed_refresh(600);
        let (transmission, answer) = self.ask(client, &request);
        assert_eq!(transmission, 1);
        answer
    }

    /// Asserts that Alice, who is new, is answered at once or at her first retransmission, and with a nonce at once.
    fn lets_alice_in(&mut self) {
        let mut alice = alice(Transport::Udp);
        let binding = alice.bare(Method::BINDING, |_| Ok(()));
        assert!(self.ask(&alice, &binding).0 <= 2);
        let [challenge, allocation] = self.allocate(&mut alice);
        assert!(challenge <= 2 && allocation == 1);
    }
}

fn alice(transport: Transport) -> TestClient {
    TestClient::over(transport, "198.51.100.7:4000")
}

#[test]
fn a_new_client_allocates_with_its_first_retransmission() {
    for per_second in [2_000, 20_000] {
        for seed in 0..SEEDS {
            let mut flooded = Flooded::new(Flood::Fresh(Method::ALLOCATE), per_second, seed);
            let [challenge, allocation] = flooded.allocate(&mut alice(Transport::Udp));
            assert!(challenge <= 2, "challenged at transmission {challenge} of {per_second} a second");
            assert_eq!(allocation, 1, "credentials are answered at once");
        }
    }
}

#[test]
fn a_binding_is_answered_at_once_or_at_its_first_retransmission() {
    for (per_second, least) in [(2_000, 1), (20_000, 2)] {
        for seed in 0..SEEDS {
            let mut flooded = Flooded::new(Flood::Fresh(Method::BINDING), per_second, seed);
            let mut alice = alice(Transport::Udp);
            let request = alice.bare(Method::BINDING, |_| Ok(()));
            assert!(flooded.ask(&alice, &request).0 <= least, "{per_second} a second");
        }
    }
}

#[test]
fn a_flood_of_bindings_does_not_touch_challenges() {
    let mut flooded = Flooded::new(Flood::Fresh(Method::BINDING), 20_000, 1);
    assert_eq!(flooded.allocate(&mut alice(Transport::Udp)), [1, 1]);
}

#[test]
fn over_tcp_and_tls_everything_is_answered_at_once() {
    for method in [Method::ALLOCATE, Method::BINDING] {
        for transport in [Transport::Tcp, Transport::Tls] {
            let mut flooded = Flooded::new(Flood::Fresh(method), 20_000, 1);
            let mut alice = alice(transport);
            let binding = alice.bare(Method::BINDING, |_| Ok(()));
            assert_eq!(flooded.ask(&alice, &binding).0, 1);
            assert_eq!(flooded.allocate(&mut alice), [1, 1]);
        }
    }
}

#[test]
fn one_packet_over_and_over_is_no_client_that_comes_again() {
    for method in [Method::ALLOCATE, Method::BINDING] {
        let mut flooded = Flooded::new(Flood::Repeated(method), 20_000, 1);
        flooded.lets_alice_in();
    }
}

#[test]
fn so_it_is_when_the_flood_is_from_100_000_addresses() {
    for method in [Method::ALLOCATE, Method::BINDING] {
        let mut flooded = Flooded::new(Flood::Everywhere(method), 20_000, 1);
        flooded.goes_on(Duration::from_secs(1));
        flooded.lets_alice_in();
    }
}

#[test]
fn an_old_nonce_of_a_live_call_is_told_at_once() {
    let (mut flooded, mut alice) = Flooded::with_a_live_call(Flood::Fresh(Method::ALLOCATE));
    flooded.relay.now.unix = flooded.relay.now.after(Duration::from_secs(601)).unix;
    assert_eq!(flooded.refresh(&mut alice).code(), 438);
}

#[test]
fn a_live_call_learns_of_another_nonce_key_at_once() {
    let (mut flooded, mut alice) = Flooded::with_a_live_call(Flood::Fresh(Method::ALLOCATE));
    let mut other = settings();
    other.nonces = Nonces::new(vec![[8; 32]], 600, true);
    flooded.relay.apply(other);
    flooded.goes_on(Duration::from_secs(1));
    let stale = flooded.refresh(&mut alice);
    assert_eq!(stale.code(), 438);
    alice.nonce = stale.get::<Nonce<'_>>().unwrap().0.to_vec();
    assert_eq!(flooded.refresh(&mut alice).code(), 0);

    let mut mallory = alice.clone().named("alice", "guessed");
    mallory.nonce = b"forged".to_vec();
    let forged = mallory.signed_refresh(600);
    assert_eq!(
        flooded.relay.packet(&mallory.path, &forged),
        [],
        "who cannot sign for the call is a stranger"
    );
}

/// 64 workers of one node.
fn workers() -> Vec<Relay> {
    let ledger = Arc::new(Ledger::new(relay_addresses(), 50_000..=59_999));
    let budget = Arc::new(AnswerBudget::new([1; 32]));
    (0..64).map(|seed| Relay::sharing(settings(), Arc::clone(&ledger), Arc::clone(&budget), seed)).collect()
}

#[test]
fn five_hundred_users_behind_one_nat_find_64_workers_at_once() {
    let mut workers = workers();
    let count = workers.len();
    for n in 0..500_u16 {
        let mut client = TestClient::new(&format!("198.51.100.7:{}", 10_000 + n));
        let worker = &mut workers[usize::from(n) * 7 % count];
        let binding = client.bare(Method::BINDING, |_| Ok(()));
        assert_eq!(client.exchange(worker, &binding).code(), 0);
        client.allocate(worker);
    }
}

#[test]
fn the_limit_is_one_for_64_workers() {
    let mut workers = workers();
    let mut random = StdRng::seed_from_u64(1);
    let mut bytes = 0;
    for n in 0..100_000_u32 {
        let stranger = spoofed(elsewhere(n), 4000);
        let (_, request) = Flood::Fresh(Method::ALLOCATE).packet(&mut random);
        for seen in workers[n as usize % 64].packet(&stranger, &request) {
            let Seen::AtClient { packet, .. } = seen else { panic!("{seen:?}") };
            bytes += packet.len() - request.len();
        }
    }
    assert!((700_000..=750_200).contains(&bytes), "{bytes}: three quarters of a second's worth");
}

#[test]
fn a_flood_leaves_a_live_call_alone() {
    let (mut relay, mut alice, _) = allocated();
    for n in 0..10_000_u16 {
        let mut spoofed = TestClient::new(&format!("198.51.100.7:{n}"));
        spoofed.nonce = b"forged".to_vec();
        let request = spoofed.signed_refresh(600);
        relay.packet(&spoofed.path, &request);
    }
    assert_eq!(alice.refresh(&mut relay, 600).code(), 0);
}
