//! How many credentials a second a relay gives out, by gRPC and by HTTPS, beside what an application makes by itself
//! that has the secret, as with coturn: no request at all.
//!
//! `cargo bench -p edgerelay --bench credential_service`. Needs Debian's redis-server; the relay, Redis and this share the
//! machine's cores.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    missing_docs,
    unreachable_pub,
    reason = "a benchmark fails by panicking, and tells by printing"
)]

#[path = "../tests/daemon/support/mod.rs"]
mod daemon;
#[allow(dead_code, reason = "the tests use more of it")]
#[path = "../tests/cluster/fleet.rs"]
mod fleet;

use std::hint::black_box;
use std::io::{BufRead, BufReader, Read, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use edgerelay::cluster::contract::IssueRequest;
use edgerelay::cluster::contract::credentials_client::CredentialsClient;
use edgerelay::ice_servers::TimedCredential;
use tokio::task::JoinSet;
use turn::UnixSeconds;
use turn::credentials::Secret;

use fleet::{APPLICATION, Fleet, TOKEN};

/// For each figure.
const TIME: Duration = Duration::from_secs(5);
/// Requests at a time.
const AT_ONCE: usize = 16;

fn main() {
    let fleet =
        Fleet::with(1, "cluster.issuing.per_caller_per_second = 1_000_000\ntelemetry.log_level = 'warn'");
    println!("credentials a second, {AT_ONCE} requests at a time:");
    println!("{:>9.0}  by gRPC, one connection", by_grpc(&fleet));
    println!("{:>9.0}  by HTTPS, {AT_ONCE} connections that stay", by_https(&fleet));
    println!("{:>9.0}  in the application, which has the secret: no request, one core", by_itself());
}

fn by_grpc(fleet: &Fleet) -> f64 {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let done = runtime.block_on(async {
        let channel = fleet.call(0, &[APPLICATION]).await.unwrap();
        let until = Instant::now() + TIME;
        let mut callers = JoinSet::new();
        for number in 0..AT_ONCE {
            let mut client = CredentialsClient::new(channel.clone());
            let request = IssueRequest { user: format!("user{number}"), ..IssueRequest::default() };
            callers.spawn(async move {
                let mut done = 0;
                while Instant::now() < until {
                    client.issue(request.clone()).await.unwrap();
                    done += 1;
                }
                done
            });
        }
        callers.join_all().await.into_iter().sum::<u64>()
    });
    done as f64 / TIME.as_secs_f64()
}

fn by_https(fleet: &Fleet) -> f64 {
    let request = format!(
        "GET /?service=turn&username=alice HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n\r\n"
    );
    let (done, until) = (AtomicU64::new(0), Instant::now() + TIME);
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                let mut stream = BufReader::new(fleet.https(0, None));
                while Instant::now() < until {
                    stream.get_mut().write_all(request.as_bytes()).unwrap();
                    read_answer(&mut stream);
                    done.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    done.into_inner() as f64 / TIME.as_secs_f64()
}

/// Reads one answer to its end; it is a good one.
fn read_answer(stream: &mut impl BufRead) {
    let (mut line, mut length) = (String::new(), 0);
    stream.read_line(&mut line).unwrap();
    assert!(line.starts_with("HTTP/1.1 200 "), "{line}");
    while line != "\r\n" {
        line.clear();
        stream.read_line(&mut line).unwrap();
        if let Some(told) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = told.trim().parse().unwrap();
        }
    }
    stream.take(length).read_to_end(&mut Vec::new()).unwrap();
}

fn by_itself() -> f64 {
    let secret = Secret::new(b"0123456789abcdef0123456789abcdef").unwrap();
    let (mut done, until) = (0_u64, Instant::now() + TIME);
    while Instant::now() < until {
        for number in 0..1000 {
            black_box(TimedCredential::until(
                &secret,
                "user",
                UnixSeconds::new(black_box(1_800_000_000 + number)),
            ));
        }
        done += 1000;
    }
    done as f64 / TIME.as_secs_f64()
}
