//! Time-limited credentials (the TURN REST convention): `expiry[:tenant]:user`.

use std::time::Duration;

use crate::support::{Relay, SECRET, START, Scheme, TestClient, at, credentials, settings};
use turn::Quota;

const NEW_SECRET: &str = "the secret that comes after it";

/// A name that is good for `seconds` from the start of the test.
fn name(seconds: u64, user: &str) -> String {
    format!("{}:{user}", START.unix.get() + seconds)
}

fn carol(port: u16, seconds: u64, secret: &str) -> TestClient {
    TestClient::new(&format!("198.51.100.9:{port}")).timed(&name(seconds, "carol"), secret)
}

#[test]
fn a_name_and_its_password_are_enough() {
    for scheme in [Scheme::Classic, Scheme::Sha256] {
        let mut relay = Relay::new();
        let mut client = carol(1, 60, SECRET).signing(scheme);
        client.allocate(&mut relay);
        assert_eq!(client.refresh(&mut relay, 600).code(), 0);
        assert_eq!(client.permit(&mut relay, at("192.0.2.1:1")).code(), 0);
    }
}

#[test]
fn a_name_without_a_user_is_one_too() {
    let mut relay = Relay::new();
    let only_time = (START.unix.get() + 60).to_string();
    TestClient::new("198.51.100.9:1").timed(&only_time, SECRET).allocate(&mut relay);
}

#[test]
fn another_secret_or_another_name_proves_nothing() {
    let mut relay = Relay::new();
    assert_eq!(carol(1, 60, NEW_SECRET).try_allocate(&mut relay).code(), 401);
    let mut prolonged = carol(2, 60, SECRET);
    prolonged.username = name(6000, "carol").into_bytes();
    assert_eq!(prolonged.try_allocate(&mut relay).code(), 401);
}

#[test]
fn every_secret_in_force_is_good() {
    let mut rotating = settings();
    rotating.credentials = credentials(&[NEW_SECRET, SECRET]);
    let mut relay = Relay::with(rotating);
    carol(1, 60, SECRET).allocate(&mut relay);
    carol(2, 60, NEW_SECRET).allocate(&mut relay);
}

#[test]
fn a_call_outlives_its_secret() {
    for scheme in [Scheme::Classic, Scheme::Sha256] {
        let mut relay = Relay::new();
        let mut live = carol(1, 60, SECRET).signing(scheme);
        let relayed = live.allocate(&mut relay);
        let mut rotated = settings();
        rotated.credentials = credentials(&[NEW_SECRET]);
        relay.apply(rotated);

        assert_eq!(live.refresh(&mut relay, 600).code(), 0);
        assert_eq!(live.bind(&mut relay, 0x4000, at("192.0.2.1:1")).code(), 0);
        assert!(relay.peer_sends(at("192.0.2.1:1"), relayed, b"hello").is_some());
        assert_eq!(carol(2, 60, SECRET).try_allocate(&mut relay).code(), 401);
        assert_eq!(live.refresh(&mut relay, 0).code(), 0);
        assert_eq!(live.try_allocate(&mut relay).code(), 401, "a new call needs a new secret");
    }
}

#[test]
fn the_time_bounds_when_a_call_begins_and_not_how_long_it_lasts() {
    let mut relay = Relay::new();
    let mut live = carol(1, 100, SECRET);
    live.allocate(&mut relay);
    relay.wait(Duration::from_secs(500));
    assert_eq!(live.refresh(&mut relay, 600).code(), 0);
    assert_eq!(live.permit(&mut relay, at("192.0.2.1:1")).code(), 0);
    assert_eq!(live.bind(&mut relay, 0x4000, at("192.0.2.1:1")).code(), 0);
    assert_eq!(carol(2, 100, SECRET).try_allocate(&mut relay).code(), 401);
}

#[test]
fn the_time_is_over_at_the_second_it_names() {
    let mut relay = Relay::new();
    relay.wait(Duration::from_secs(59));
    carol(1, 60, SECRET).allocate(&mut relay);
    relay.wait(Duration::from_secs(1));
    assert_eq!(carol(2, 60, SECRET).try_allocate(&mut relay).code(), 401);
}

#[test]
fn malformed_and_overflowing_times_are_nobodys() {
    let malformed = [
        "carol",
        "",
        ":",
        ":carol",
        "carol:1900000000",
        "+1900000000:carol",
        "-1:carol",
        " 1900000000:carol",
        "1900000000 :carol",
        "1e12:carol",
        "0x7fffffff:carol",
        "18446744073709551616:carol",
        "99999999999999999999999999999999:carol",
        "1900000000:carol\n",
        "1900000000:\u{202e}carol",
        "\u{661}900000000:carol",
    ];
    for malformed in malformed {
        let mut relay = Relay::new();
        let mut client = TestClient::new("198.51.100.9:1").timed(malformed, SECRET);
        assert_eq!(client.try_allocate(&mut relay).code(), 401, "{malformed:?}");
        assert_eq!(relay.ledger.users(), 0);
    }
}

#[test]
fn the_largest_time_is_no_overflow() {
    let mut relay = Relay::new();
    TestClient::new("198.51.100.9:1").timed("18446744073709551615:carol", SECRET).allocate(&mut relay);
}

#[test]
fn all_names_of_one_user_share_its_quota() {
    let mut limited = settings();
    limited.limits.user = Quota { allocations: 1, ..limited.limits.user };
    let mut relay = Relay::with(limited);
    carol(1, 60, SECRET).allocate(&mut relay);
    assert_eq!(carol(2, 61, SECRET).try_allocate(&mut relay).code(), 486);
    for (port, tenant) in [(3, "one:carol"), (4, "two:carol")] {
        TestClient::new(&format!("198.51.100.9:{port}"))
            .timed(&name(60, tenant), SECRET)
            .allocate(&mut relay);
    }
}
