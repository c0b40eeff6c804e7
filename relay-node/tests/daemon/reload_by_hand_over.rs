//! A relay hands over to itself: so settings are applied that need a restart, and no call ends.

use std::fs;

use crate::support::ALICE;
use crate::support::{BOTH, Call, Daemon, Site, UDP, assert_joined, join, run, text, wait_until};
use rustix::process::Signal;

/// Replaces a part of the configuration.
fn edit(relay: &Daemon, from: &str, to: &str) {
    let path = relay.file("edgerelay.toml");
    let settings = fs::read_to_string(&path).unwrap();
    assert!(settings.contains(from), "{settings}");
    fs::write(&path, settings.replace(from, to)).unwrap();
}

/// How many relays have become ready.
fn starts(relay: &Daemon) -> usize {
    relay.log().iter().filter(|line| line.contains("\"message\":\"ready\"")).count()
}

/// Has the first process start another relay, and waits until that serves.
fn replace(relay: &Daemon) {
    let before = starts(relay);
    relay.signal(Signal::USR2);
    wait_until("another relay serves", || starts(relay) > before);
}

#[test]
fn calls_go_on_without_a_directory() {
    let relay = Daemon::serve(&format!("{ALICE}\n{BOTH}"));
    let (mut alice, mut carol) = (Call::udp(&relay), Call::tcp(&relay));
    join(0x4001, &mut alice, &mut carol);
    for workers in [3, 1, 2] {
        let settings = fs::read_to_string(relay.file("edgerelay.toml")).unwrap();
        let now = settings.lines().find(|line| line.starts_with("workers")).unwrap().to_owned();
        edit(&relay, &now, &format!("workers = {{ count = {workers}, pin = false }}"));
        replace(&relay);
        alice.assert_on();
        carol.assert_on();
        assert_joined(0x4001, &mut alice, &mut carol);
        let counted = relay.get("/metrics").1;
        let is_own = |line: &&str| line.starts_with("turn_allocations{") && !line.contains("generation=");
        assert_eq!(counted.lines().filter(is_own).count(), workers);
    }
    assert_eq!(alice.client.refresh(600), 600);
}

#[test]
fn a_listener_more_is_served() {
    let relay = Daemon::serve(&format!("{ALICE}\n{UDP}"));
    let mut alice = Call::udp(&relay);
    edit(&relay, UDP, BOTH);
    replace(&relay);
    alice.assert_on();
    Call::tcp(&relay);
}

#[test]
fn a_configuration_that_cannot_be_used_changes_nothing() {
    let relay = Daemon::serve(&format!("{ALICE}\n{UDP}\nreload_interval = '1h'"));
    let mut alice = Call::udp(&relay);
    edit(&relay, "count = 1", "count = 'many'");
    relay.signal(Signal::USR2);
    relay.line("there was no hand-over: the relay goes on as if nothing had been");
    alice.assert_on();
    edit(&relay, "count = 'many'", "count = 2");
    replace(&relay);
    alice.assert_on();
}

#[test]
fn a_relay_that_crashes_afterwards_goes_on() {
    let relay = Daemon::serve(&format!("{ALICE}\n{UDP}"));
    let mut alice = Call::udp(&relay);
    for _ in 0..2 {
        replace(&relay);
        relay.crash(Signal::KILL);
        alice.assert_on();
    }
}

#[test]
fn the_command_tells_what_came_of_it() {
    let site = Site::new();
    let relay = site.serve(&format!("{UDP}\nreload_interval = '1h'"));
    let mut alice = Call::udp(&relay);
    let directory = site.directory();
    let reload = || run(&["reload", "--recovery-directory", directory.to_str().unwrap()]);
    for _ in 0..2 {
        let done = reload();
        assert!(done.status.success(), "{}", text(&done.stderr));
        alice.assert_on();
    }
    edit(&relay, UDP, &UDP.replace("127.0.0.1:0", "192.0.2.77:3478"));
    let refused = reload();
    assert!(!refused.status.success());
    let said = text(&refused.stderr);
    assert!(said.contains("192.0.2.77 is no address of this machine"), "{said}");
    alice.assert_on();
}

#[test]
fn it_ends_with_its_calls() {
    let mut relay = Daemon::serve(&format!("{ALICE}\n{BOTH}"));
    let mut carol = Call::tcp(&relay);
    replace(&relay);
    relay.signal(Signal::TERM);
    relay.line("draining: no new allocations");
    carol.assert_on();
    assert_eq!(carol.client.refresh(0), 0);
    assert!(relay.wait().success());
}
