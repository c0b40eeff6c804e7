//! What a relay knows of its fleet outlives it: credentials that were good are good after a crash and a hand-over, with
//! Redis away; so is a drain by command. Without Redis it serves, and says what is missing.

use std::net::UdpSocket;

use rustix::process::Signal;
use serde_json::Value;
use turn_client::Credential;

use crate::daemon::{Client, datagram_socket, text, wait_until};
use crate::fleet::Fleet;

/// A credential that the fleet gives, once it has a secret.
fn issued(fleet: &Fleet) -> Credential {
    wait_until("there is a secret", || fleet.command(0, &["issue", "--user", "carol"]).status.success());
    let told = fleet.ask(0, &["issue", "--user", "carol"]);
    let part = |name: &str| told[name].as_str().unwrap();
    Credential::new(part("username"), part("password"))
}

fn client(fleet: &Fleet, credential: &Credential) -> Client<UdpSocket> {
    let wire = datagram_socket("127.0.0.1:0");
    wire.connect(fleet.relays[0].daemon.address("udp")).unwrap();
    Client::of(credential.clone(), wire)
}

/// What readiness says: always that packets are served.
fn ready(fleet: &Fleet) -> Value {
    let (code, body) = fleet.relays[0].daemon.get("/ready");
    assert_eq!(code, 200, "{body}");
    serde_json::from_str(&body).unwrap()
}

#[test]
fn a_credential_that_was_good_is_good_after_a_crash_with_redis_away() {
    let mut fleet = Fleet::of(1);
    let credential = issued(&fleet);
    let mut before = client(&fleet, &credential);
    before.allocate();
    fleet.redis.kill();
    fleet.relays[0].daemon.crash(Signal::KILL);
    // From its first packet on: nobody is told that the credential is wrong.
    client(&fleet, &credential).allocate();
    assert_eq!(before.refresh(600), 600, "its nonce is still good");
}

#[test]
fn without_redis_a_relay_serves_and_says_so_until_it_is_back() {
    let mut fleet = Fleet::of(1);
    let credential = issued(&fleet);
    wait_until("nothing is wrong", || ready(&fleet).get("degraded").is_none());
    fleet.redis.kill();
    wait_until("it is told", || ready(&fleet)["degraded"].as_str().is_some_and(|why| !why.is_empty()));
    assert_eq!(ready(&fleet)["state"], "ready");
    client(&fleet, &credential).allocate();
    fleet.redis.start_again();
    wait_until("nothing is wrong any more", || ready(&fleet).get("degraded").is_none());
}

#[test]
fn a_drain_by_command_outlives_a_crash_and_a_signal_ends_the_relay_all_the_same() {
    let mut fleet = Fleet::of(1);
    let credential = issued(&fleet);
    let mut before = client(&fleet, &credential);
    before.allocate();
    assert!(fleet.command(0, &["drain", "a"]).status.success());
    assert_eq!(ready(&fleet)["state"], "draining");
    fleet.relays[0].daemon.crash(Signal::KILL);
    wait_until("it drains", || ready(&fleet)["state"] == "draining");
    assert_eq!(before.refresh(600), 600);
    // Who is not known to go elsewhere is served, and so is who comes later.
    client(&fleet, &credential).allocate();
    let daemon = &mut fleet.relays[0].daemon;
    daemon.signal(Signal::TERM);
    daemon.line("draining: no new allocations");
    daemon.signal(Signal::TERM);
    assert!(daemon.wait().success());
}

#[test]
fn a_drain_by_command_ends_the_old_calls_at_its_deadline_and_the_relay_stays() {
    let fleet = Fleet::of(1);
    let credential = issued(&fleet);
    let mut before = client(&fleet, &credential);
    before.allocate();
    let told = fleet.command(0, &["drain", "a", "--deadline", "1s"]);
    assert!(told.status.success(), "{}", text(&told.stderr));
    wait_until("its call ends", || before.try_refresh(600) == Err(437));
    assert_eq!(ready(&fleet)["state"], "draining");
    assert!(fleet.command(0, &["undrain", "a"]).status.success());
    assert_eq!(ready(&fleet)["state"], "ready");
    client(&fleet, &credential).allocate();
}

#[test]
fn a_hand_over_hands_the_fleet_over_too() {
    let mut fleet = Fleet::of(1);
    let credential = issued(&fleet);
    let mut before = client(&fleet, &credential);
    before.allocate();
    fleet.redis.kill();
    let daemon = &fleet.relays[0].daemon;
    let starts = daemon.starts();
    daemon.signal(Signal::USR2);
    wait_until("another relay serves", || daemon.starts() > starts);
    client(&fleet, &credential).allocate();
    assert_eq!(before.refresh(600), 600);
}
