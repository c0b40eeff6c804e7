//! SIGUSR2: the first process starts a second keeper, whose relay takes the place of the one that serves.

use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use testbed::family;

use crate::support::{ALICE, BOTH, Call, Daemon, is_closed, wait_until};

fn served() -> Daemon {
    Daemon::serve(&format!("{ALICE}\n{BOTH}"))
}

/// Has another relay take over, and waits until it serves.
fn replace(relay: &Daemon) {
    let starts = relay.starts();
    relay.signal(Signal::USR2);
    wait_until("another relay to serve", || relay.starts() > starts);
}

/// All processes, the first one first.
fn processes(relay: &Daemon) -> Vec<Pid> {
    let members = family::members(relay.first().as_raw_pid().cast_unsigned());
    members.iter().map(|member| Pid::from_raw(member.pid).unwrap()).collect()
}

#[test]
fn udp_calls_go_on_again_and_again() {
    let mut relay = served();
    let mut call = Call::udp(&relay);
    for _ in 0..5 {
        let before = relay.relay();
        replace(&relay);
        call.assert_on();
        assert_ne!(relay.relay(), before);
        wait_until("the one before to be gone", || test_kill_process(before).is_err());
    }
    assert_eq!(call.client.refresh(600), 600);
    assert_eq!(relay.metric("turn_answers_total", &["code=\"438\""]), 0, "with the nonce that it had");
    wait_until("first process, keeper and relay are left", || processes(&relay).len() == 3);
    assert_eq!(call.client.refresh(0), 0);
    relay.signal(Signal::TERM);
    assert_eq!(relay.wait().code(), Some(0));
}

#[test]
fn tcp_calls_stay_with_the_one_before() {
    let relay = served();
    let mut old = Call::tcp(&relay);
    replace(&relay);
    let mut new = Call::tcp(&relay);
    old.assert_on();
    new.assert_on();
    let [_, before, _, after] = processes(&relay)[..] else { panic!("two keepers with a relay each") };
    kill_process(before, Signal::KILL).unwrap();
    assert!(is_closed(&mut old.client.wire.stream), "at once: nobody goes on with it");
    new.assert_on();
    assert_eq!(relay.relay(), after);
}

#[test]
fn a_crash_of_the_one_after_is_as_any() {
    let relay = served();
    let mut call = Call::udp(&relay);
    for signal in [Signal::KILL, Signal::ABORT] {
        replace(&relay);
        relay.crash(signal);
        call.assert_on();
    }
    replace(&relay);
    call.assert_on();
}

#[test]
fn one_that_is_killed_in_the_midst_leaves_all_as_it_was() {
    let relay = served();
    let mut call = Call::udp(&relay);
    for nth in [2, 3, 2, 3] {
        let (starts, before) = (relay.starts(), processes(&relay).len());
        relay.signal(Signal::USR2);
        // Its keeper, or the relay itself, as soon as it is there.
        wait_until("it to come", || processes(&relay).len() > nth || relay.starts() > starts);
        if let Some(process) = processes(&relay).get(nth) {
            let _ = kill_process(*process, Signal::KILL);
        }
        call.assert_on();
        wait_until("its end, or that of the one before", || match processes(&relay).len() {
            3 => before == 3 || relay.starts() > starts,
            now => now == before,
        });
    }
    call.assert_on();
}

#[test]
fn a_drain_goes_on() {
    let mut relay = served();
    let mut call = Call::udp(&relay);
    relay.signal(Signal::TERM);
    wait_until("the drain is on", || relay.metric("edgerelay_draining", &[]) == 1);
    replace(&relay);
    wait_until("the drain is on again", || relay.metric("edgerelay_draining", &[]) == 1);
    call.assert_on();
    assert_eq!(call.client.refresh(0), 0);
    assert_eq!(relay.wait().code(), Some(0));
}
