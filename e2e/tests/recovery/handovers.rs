//! Another process takes over from a relay that serves: the calls lose nothing, whether it can or not.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use edgerelay_e2e::Network;
use edgerelay_e2e::binary;
use edgerelay_e2e::calls::{Calls, Impact, Report};
use edgerelay_e2e::relay::Relay;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use testbed::family::members;
use testbed::{Process, within};

use crate::accounts;
use crate::multitude::{LIMITS, Multitude};
use crate::place::Place;
use crate::scene::{
    CALLS, OF_EACH_USER, SETTINGS, SOON, await_ready, during, nobody_acted, seed, silence_is_below,
};

const DURATION: Duration = Duration::from_secs(60);
const INTERVAL: Duration = Duration::from_secs(5);
/// What is aimed at is 50 ms; a busy machine has less time for the relay.
const SILENCE: Duration = Duration::from_secs(1);
/// How often a successor is killed in the midst.
const KILLS: u32 = 20;

#[test]
fn every_five_seconds_to_another_version_with_other_workers() {
    let builds = [binary::next_relay(), binary::relay()];
    let network = Network::new();
    let place = Place::new();
    let mut relay = Relay::undisturbed(&network, &place.settings(&SETTINGS));
    let calls = Calls::begin(&network, &relay, CALLS, OF_EACH_USER);
    let course = during(&network, &relay, calls, || {
        let (begun, mut moments) = (Instant::now(), Vec::new());
        let mut serving: Option<Process> = None;
        for (program, workers) in builds.into_iter().cycle().zip([3, 1, 4, 2].into_iter().cycle()) {
            thread::sleep((begun + INTERVAL * (moments.len() as u32 + 1)).duration_since(Instant::now()));
            if begun.elapsed() >= DURATION {
                break;
            }
            moments.push(Instant::now());
            let mut next = start_with(&relay, &place, program, workers);
            await_ready(&mut next);
            if let Some(mut former) = serving.replace(next) {
                assert!(former.wait(SOON).success(), "{}", former.output());
            }
        }
        (moments, serving)
    });
    let (moments, serving) = course.outcome;
    let mut first = relay.becomes(serving.expect("a minute is long enough"));
    assert!(first.wait(SOON).success());
    tell("handed over", &course.report.impacts(&moments));
    lost_nothing(&course.report);
    accounts::are_exactly_those_of(course.calls, &network, &relay);
}

#[test]
fn to_itself_by_a_signal() {
    let network = Network::new();
    let mut relay = Relay::undisturbed(&network, &SETTINGS);
    let calls = Calls::begin(&network, &relay, CALLS, OF_EACH_USER);
    let course = during(&network, &relay, calls, || {
        let mut moments = Vec::new();
        for _ in 0..5 {
            thread::sleep(INTERVAL / 5);
            moments.push(Instant::now());
            relay.reload();
        }
        moments
    });
    tell("handed over", &course.report.impacts(&course.outcome));
    lost_nothing(&course.report);
    assert!(relay.process().runs(), "the first process stays");
    accounts::are_exactly_those_of(course.calls, &network, &relay);
}

#[test]
fn ten_thousand_allocations_go_to_another_process() {
    let network = Network::new();
    let place = Place::new();
    let settings = place.settings(&LIMITS);
    let mut relay = Relay::undisturbed(&network, &settings);
    let mut multitude = Multitude::begin(&network, &relay);
    let mut next = relay.another(binary::relay(), &settings);
    await_ready(&mut next);
    let mut former = relay.becomes(next);
    assert!(former.wait(SOON).success(), "{}", former.output());
    let said = former.output();
    println!(
        "the one before says: {}",
        said.lines().find(|line| line.contains("handed over")).unwrap_or(&said)
    );
    multitude.assert_on(&relay);
}

#[test]
fn to_one_that_cannot_serve() {
    const CANNOT: [(&str, &str); 3] = [
        ("relay.ports", "\"70000-70001\""),
        ("relay.addresses", "[{ bind = '198.51.100.1' }]"),
        ("listeners", "[{ transport = 'udp', address = '198.51.100.1:3478' }]"),
    ];
    let network = Network::new();
    let place = Place::new();
    let relay = Relay::undisturbed(&network, &place.settings(&SETTINGS));
    let calls = Calls::begin(&network, &relay, CALLS, OF_EACH_USER);
    let course = during(&network, &relay, calls, || {
        for setting in CANNOT {
            thread::sleep(INTERVAL / 5);
            let settings = place.settings(&[setting]);
            let mut next = relay.another(binary::relay(), &settings);
            let status = next.wait(SOON);
            assert!(!status.success(), "{setting:?} is of no use: {}", next.output());
            println!("{setting:?}: {}", next.output().lines().last().unwrap_or("nothing was said"));
            assert!(relay.is_ready());
        }
    });
    lost_nothing(&course.report);
    accounts::are_exactly_those_of(course.calls, &network, &relay);
}

/// The process that takes over is killed at random moments, its keeper with it. Where it had taken over already, the
/// one before has let go, and nobody serves until it is started again: that is no hand-over any more.
#[test]
fn to_one_that_is_killed_in_the_midst() {
    let network = Network::new();
    let place = Place::new();
    let mut relay = Relay::undisturbed(&network, &place.settings(&SETTINGS));
    let calls = Calls::begin(&network, &relay, CALLS, OF_EACH_USER);
    let mut random = StdRng::seed_from_u64(seed());
    let course = during(&network, &relay, calls, || {
        let begun = Instant::now();
        let mut first = start_with(&relay, &place, binary::relay(), 2);
        await_ready(&mut first);
        let takes = begun.elapsed();
        println!("one that is not killed takes {takes:?}");
        let (mut kills, mut serving) = (Vec::new(), first);
        for _ in 0..KILLS {
            thread::sleep(INTERVAL / 5);
            let next = start_with(&relay, &place, binary::relay(), 2);
            thread::sleep(takes.mul_f64(random.random()));
            let killed = Instant::now();
            next.kill_all();
            // Who has let go ends at once, as no connection is left.
            let gone = within(INTERVAL / 5, || members(serving.id()).is_empty().then_some(())).is_some();
            kills.push((killed, gone));
            if gone {
                serving = start_with(&relay, &place, binary::relay(), 2);
                await_ready(&mut serving);
            }
        }
        (kills, serving)
    });
    let (kills, serving) = course.outcome;
    relay.becomes(serving);
    let moments: Vec<Instant> = kills.iter().map(|(killed, _)| *killed).collect();
    let (mut lost, mut silence, mut in_the_midst) = (0, Duration::ZERO, 0);
    for (impact, (_, too_late)) in course.report.impacts(&moments).iter().zip(&kills) {
        println!("  killed {} at {impact}", if *too_late { "too late" } else { "in the midst" });
        if !too_late {
            (lost, silence, in_the_midst) = (lost + impact.lost, silence.max(impact.gap), in_the_midst + 1);
        }
    }
    println!("{in_the_midst} of {KILLS} were killed in the midst");
    assert!(in_the_midst > 0, "all were too late: the test shows nothing");
    assert_eq!(lost, 0, "packets were lost by a hand-over that failed");
    assert!(silence < SILENCE, "a call was silent for {silence:?}");
    accounts::are_exactly_those_of(course.calls, &network, &relay);
}

fn start_with(relay: &Relay<'_>, place: &Place, program: &Path, workers: u32) -> Process {
    let workers = format!("{{ count = {workers}, pin = false }}");
    relay.another(program, &place.settings(&[SETTINGS[1], ("workers", &workers)]))
}

fn lost_nothing(report: &Report) {
    assert_eq!(report.lost(), 0, "packets were lost");
    nobody_acted(report);
    silence_is_below(SILENCE, report);
}

fn tell(what: &str, impacts: &[Impact]) {
    impacts.iter().for_each(|impact| println!("  {what} at {impact}"));
    let late = impacts.iter().filter(|impact| impact.gap > Duration::from_millis(50)).count();
    println!("{} times, {late} of them with a gap of more than 50 ms", impacts.len());
}
