//! What each scenario stands on: a relay with two workers, and 200 calls through it beside which others come and go.

use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::Duration;

use edgerelay_e2e::Network;
use edgerelay_e2e::calls::{Calls, Report};
use edgerelay_e2e::pace::Over;
use edgerelay_e2e::passers_by::{PassersBy, pass_by};
use edgerelay_e2e::relay::Relay;
use rand::RngExt as _;
use testbed::{Process, eventually_true};

pub(crate) const CALLS: usize = 200;
/// What a user may have by default.
pub(crate) const OF_EACH_USER: usize = 100;
pub(crate) const WORKERS: usize = 2;
/// What each relay is started with: few ports, so that one that is not given back is missed.
pub(crate) const SETTINGS: [(&str, &str); 2] =
    [("workers", "{ count = 2, pin = false }"), ("relay.ports", "\"50000-50299\"")];
/// The ports of a family.
pub(crate) const PORTS: usize = 300;
/// What a worker holds in its hands at most.
pub(crate) const BATCH: usize = 128;
/// How long a relay may take for what it does at once on a busy machine.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// How it went.
pub(crate) struct Course<T> {
    /// The calls go on.
    pub(crate) calls: Calls,
    pub(crate) report: Report,
    /// What the disturbance returned.
    pub(crate) outcome: T,
}

/// Has calls go on and passers-by come and go while `disturb` does its work.
pub(crate) fn during<T>(
    network: &Network,
    relay: &Relay<'_>,
    calls: Calls,
    disturb: impl FnOnce() -> T,
) -> Course<T> {
    let over = AtomicBool::new(false);
    let over = &over;
    thread::scope(|scope| {
        let passers_by = scope.spawn(move || pass_by(network, relay, over));
        let (calls, report, outcome) = {
            let _over = Over(over);
            calls.during(disturb)
        };
        let PassersBy { count, slowest } = passers_by.join().expect("passers-by are served");
        println!(
            "{report}  {count} passers-by, of whom the slowest took {:.0} ms",
            slowest.as_secs_f64() * 1e3
        );
        assert!(count > 0, "nobody passed by");
        Course { calls, report, outcome }
    })
}

/// Asserts that no client made a transaction that was not due, or had one fail.
pub(crate) fn nobody_acted(report: &Report) {
    assert_eq!(report.unplanned(), 0, "clients made transactions that were not due");
    assert!(report.failures().is_empty(), "{:?}", report.failures());
}

/// Asserts that no direction of any call was silent for longer.
pub(crate) fn silence_is_below(most: Duration, report: &Report) {
    let gap = report.largest_gap();
    assert!(gap < most, "a call was silent for {gap:?}");
}

/// Waits until a relay that was started beside another one serves.
pub(crate) fn await_ready(process: &mut Process) {
    eventually_true(SOON, "the relay that was started to serve", || {
        assert!(process.runs(), "it has ended:\n{}", process.output());
        process.output().contains(" ready workers=")
    });
}

/// What a scenario's random moments follow from: another one each time, or `RECOVERY_SEED`.
pub(crate) fn seed() -> u64 {
    let wanted = std::env::var("RECOVERY_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = wanted.unwrap_or_else(|| rand::rng().random());
    println!("all that is random follows from RECOVERY_SEED={seed}");
    seed
}
