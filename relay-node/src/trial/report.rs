//! A table for a person: a row for each transport.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "the answer of a command")]

use std::net::SocketAddr;
use std::time::Duration;

use super::error::TrialError;
use super::round_trips::RoundTrips;
use super::target::Target;

/// Prints the names of the columns.
pub(super) fn head() {
    println!(
        "{:<9} {:<24} {:>8} {:>9} {:>7} {:>8} {:>8} {:>8} {:>8}",
        "transport", "relay", "packets", "per s", "loss", "p50 ms", "p90 ms", "p99 ms", "max ms"
    );
}

/// Prints what came of one transport, and which relay served it if not the one that was named.
pub(super) fn row(target: &Target, trips: &RoundTrips, sent_to: Option<SocketAddr>) {
    println!(
        "{:<9} {:<24} {:>8} {:>9.0} {:>6.2}% {:>8.3} {:>8.3} {:>8.3} {:>8.3}",
        target.transport.name(),
        place(target),
        trips.sent(),
        trips.rate(),
        trips.loss() * 100.0,
        millis(trips.quantile(0.5)),
        millis(trips.quantile(0.9)),
        millis(trips.quantile(0.99)),
        millis(trips.max()),
    );
    if let Some(server) = sent_to {
        println!("{:<9} sent to {server}", "");
    }
}

/// Prints why one transport does not work.
pub(super) fn failure(target: &Target, error: &TrialError) {
    println!("{:<9} {:<24} failed", target.transport.name(), place(target));
    eprintln!("edgerelay try: {} to {}: {error}", target.transport.name(), place(target));
}

fn place(target: &Target) -> String {
    if target.host.contains(':') {
        format!("[{}]:{}", target.host, target.port)
    } else {
        format!("{}:{}", target.host, target.port)
    }
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}
