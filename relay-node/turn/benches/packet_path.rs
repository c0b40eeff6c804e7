//! What a relayed packet costs the core, however many allocations there are, what an allocation
//! costs from its first to its last request, and what it costs to refuse one.
//!
//! `cargo bench -p edgerelay-turn`, or only the last: `... --bench packet_path -- refusal`

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    missing_docs,
    unreachable_pub,
    reason = "a benchmark fails by panicking"
)]

mod calls;
#[path = "../tests/protocol/support/mod.rs"]
mod support;

use std::hint::black_box;
use std::time::Duration;

use calls::{Calls, Way};
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use stun::Method;
use stun::attribute::{Lifetime, RequestedTransport};
use support::{Relay, TestClient, credentials, settings, with_room};
use turn::{Client, Forward};

fn relayed_packets(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("packet");
    group.throughput(Throughput::Elements(1));
    for count in [1, 1_000, 10_000] {
        let mut calls = Calls::new(count);
        for way in Way::WITH_PEERS {
            assert_ne!(calls.packet(way), Forward::Nothing);
            group.bench_function(BenchmarkId::new(way.name(), count), |bencher| {
                bencher.iter(|| calls.packet(way));
            });
        }
    }
}

/// From client to client of one node.
fn relay_to_relay(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("relay to relay");
    group.throughput(Throughput::Elements(1));
    for pairs in [1, 100, 1_000] {
        let mut calls = Calls::in_pairs(pairs);
        let way = Way::ClientToClient;
        assert!(matches!(calls.packet(way), Forward::ToClient { .. }));
        group.bench_function(BenchmarkId::new(format!("{}, pairs", way.name()), pairs), |bencher| {
            bencher.iter(|| calls.packet(way));
        });
    }
}

/// Allocate and Refresh with lifetime 0, without the client's part of the work.
fn allocations(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("allocation");
    for count in [1, 1_000, 10_000] {
        let mut relay = Calls::new(count).relay;
        let mut client = TestClient::new("198.18.0.1:4000");
        client.learn_nonce(&mut relay);
        let sign = |client: &mut TestClient| {
            [
                client
                    .signed(Method::ALLOCATE, |writer| writer.attribute(&RequestedTransport::UDP).map(drop)),
                client.signed(Method::REFRESH, |writer| writer.attribute(&Lifetime(0)).map(drop)),
            ]
            .map(|request| with_room(&request))
        };
        let path = client.path;
        group.bench_function(BenchmarkId::new("Allocate and Refresh 0 beside", count), |bencher| {
            bencher.iter_batched(
                || sign(&mut client),
                |requests| {
                    for (request, place) in requests {
                        relay.turn.client_packet(relay.now, &path, &mut { request }, place);
                        black_box(relay.drain());
                    }
                    relay.events.clear();
                },
                BatchSize::SmallInput,
            );
        });
        assert_eq!(relay.turn.allocations(), count);
    }
}

/// What each kind of refusal costs, and a Binding: the longer somebody can keep the relay at it, the cheaper
/// it has to be.
fn refusals(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("refusal");
    let (in_time, at_once) = (Duration::from_secs(1), Duration::ZERO);
    // One request a second is within every limit; without a pause between them, they are soon over it.
    let mut cost = |name: &str, secrets: usize, pause, request: &dyn Fn(&mut Relay) -> (Client, Vec<u8>)| {
        let mut settings = settings();
        let secrets: Vec<_> = (0..secrets).map(|n| format!("secret number {n} of the bench")).collect();
        settings.credentials = credentials(&secrets.iter().map(String::as_str).collect::<Vec<_>>());
        let mut relay = Relay::with(settings);
        let (client, packet) = request(&mut relay);
        let (mut buffer, place) = with_room(&packet);
        let mut ask = || {
            relay.now.monotonic = relay.now.monotonic.after(pause);
            relay.turn.client_packet(relay.now, &client, black_box(&mut buffer), place);
            let answered = relay.turn.poll_output().is_some();
            assert!(relay.turn.poll_output().is_none());
            answered
        };
        let answered = (0..3_000).map(|_| ask()).last();
        assert_eq!(answered, Some(pause > at_once), "{name}");
        group.bench_function(name, |bencher| bencher.iter(&mut ask));
    };
    let bare = |method| {
        move |_: &mut Relay| {
            let mut client = stranger();
            let request = client.bare(method, |_| Ok(()));
            (client.path, request)
        }
    };
    cost("Binding answered", 1, in_time, &bare(Method::BINDING));
    cost("no credentials: challenge", 1, in_time, &bare(Method::ALLOCATE));
    cost("budget used up: silence", 1, at_once, &bare(Method::ALLOCATE));
    let forged = |_: &mut Relay| {
        let mut client = guesser();
        client.nonce = b"obMatJos2AAADforged".to_vec();
        signed(&mut client)
    };
    cost("nonce never given, 1 secret", 1, in_time, &forged);
    cost("nonce never given, 8 secrets", 8, in_time, &forged);
    let expired = |relay: &mut Relay| {
        let mut client = stranger();
        client.learn_nonce(relay);
        relay.now.unix = relay.now.after(Duration::from_secs(601)).unix;
        signed(&mut client)
    };
    cost("nonce expired", 1, in_time, &expired);
    let wrong = |client: fn() -> TestClient| {
        move |relay: &mut Relay| {
            let mut client = client();
            client.learn_nonce(relay);
            signed(&mut client)
        }
    };
    cost("unknown user", 1, in_time, &wrong(|| stranger().named("mallory", "x")));
    cost("user's wrong password", 1, in_time, &wrong(|| stranger().named("alice", "x")));
    for secrets in [1, 8] {
        let name = format!("timed name's wrong password, {secrets} secrets");
        cost(&name, secrets, in_time, &wrong(guesser));
    }
    cost("guessed too often: silence", 8, at_once, &wrong(guesser));
}

fn stranger() -> TestClient {
    TestClient::new("198.51.100.7:4000")
}

/// Somebody with a name that may be and a password that is not.
fn guesser() -> TestClient {
    stranger().named("1900000000:mallory", "guessed")
}

fn signed(client: &mut TestClient) -> (Client, Vec<u8>) {
    let request =
        client.signed(Method::ALLOCATE, |writer| writer.attribute(&RequestedTransport::UDP).map(drop));
    (client.path, request)
}

criterion_group!(benches, relayed_packets, relay_to_relay, allocations, refusals);
criterion_main!(benches);
