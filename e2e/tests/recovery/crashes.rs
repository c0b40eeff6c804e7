//! `kill -9` of the relay's process every half to three seconds for a minute: clients notice nothing, and what they
//! have is what the relay has given out.

use std::thread;
use std::time::{Duration, Instant};

use edgerelay_e2e::Network;
use edgerelay_e2e::calls::Calls;
use edgerelay_e2e::relay::Relay;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::accounts;
use crate::scene::{
    BATCH, CALLS, OF_EACH_USER, SETTINGS, WORKERS, during, nobody_acted, seed, silence_is_below,
};

const DURATION: Duration = Duration::from_secs(60);
/// What is aimed at is 200 ms; a busy machine has less time for the relay.
const SILENCE: Duration = Duration::from_secs(1);

#[test]
fn calls_outlive_every_kill() {
    let network = Network::new();
    let relay = Relay::undisturbed(&network, &SETTINGS);
    let calls = Calls::begin(&network, &relay, CALLS, OF_EACH_USER);
    let course = during(&network, &relay, calls, || kill_again_and_again(&relay));
    let impacts = course.report.impacts(&course.outcome);
    impacts.iter().for_each(|impact| println!("  kill at {impact}"));
    let late = impacts.iter().filter(|impact| impact.gap > Duration::from_millis(200)).count();
    let log = relay.log();
    log.lines().filter(|line| line.contains(" go on")).take(4).for_each(|line| println!("{line}"));
    println!("{} kills, {late} of them with a gap of more than 200 ms", impacts.len());

    nobody_acted(&course.report);
    for impact in &impacts {
        assert!(impact.lost <= BATCH * WORKERS, "{} packets were lost at {impact}", impact.lost);
    }
    accounts::are_exactly_those_of(course.calls, &network, &relay);
    silence_is_below(SILENCE, &course.report);
}

/// Kills the relay's process until the time is over; when that was.
fn kill_again_and_again(relay: &Relay<'_>) -> Vec<Instant> {
    let mut random = StdRng::seed_from_u64(seed());
    let begun = Instant::now();
    let mut kills = Vec::new();
    loop {
        thread::sleep(Duration::from_millis(random.random_range(500..=3000)));
        if begun.elapsed() >= DURATION {
            return kills;
        }
        relay.kill_child();
        kills.push(Instant::now());
    }
}
