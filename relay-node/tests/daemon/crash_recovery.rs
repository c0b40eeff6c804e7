//! A relay that a signal ends goes on in another process, and so do the calls of its UDP clients.

use std::fs;

use rustix::process::Signal;
use testbed::process;

use crate::support::{ALICE, Call, Client, Daemon, Packet, Site, UDP, is_closed, receive, wait_until};

/// A TCP listener on a free port.
const TCP: &str = "listeners = [{ transport = 'tcp', address = '127.0.0.1:0' }]";

#[test]
fn a_call_goes_on_whatever_signal_ends_its_relay() {
    let relay = Daemon::serve(&format!("{ALICE}\n{UDP}"));
    let mut call = Call::udp(&relay);
    for signal in [Signal::KILL, Signal::ABORT, Signal::FPE, Signal::KILL] {
        relay.crash(signal);
        call.assert_on();
    }
    // With the nonce that it had: the client is not challenged again.
    assert_eq!(call.client.refresh(600), 600);
    assert_eq!(relay.metric("turn_answers_total", &["code=\"438\""]), 0);
    assert_eq!(relay.metric("turn_allocations", &[]), 1);
    assert_eq!(relay.metric("edgerelay_restarts_total", &["reason=\"killed\""]), 2);
    assert_eq!(relay.metric("edgerelay_restarts_total", &["reason=\"aborted\""]), 1);
    assert_eq!(relay.metric("edgerelay_restarts_total", &["reason=\"fault\""]), 1);
    assert_eq!(relay.metric("edgerelay_records_left_out_total", &[]), 0);
    assert_eq!(call.client.refresh(0), 0);
}

#[test]
fn so_does_one_with_a_directory_however_often() {
    let site = Site::new();
    let relay = site.serve(UDP);
    let mut call = Call::udp(&relay);
    for _ in 0..5 {
        relay.crash(Signal::KILL);
        call.assert_on();
    }
}

#[test]
fn what_comes_while_no_relay_serves_is_served_by_the_next_one() {
    let relay = Daemon::serve(&format!("{ALICE}\n{UDP}"));
    let mut call = Call::udp(&relay);
    relay.halt();
    for number in 0..10 {
        call.client.send_channel(0x4000, &[number]);
        call.peer.send_to(&[number], call.relayed).unwrap();
    }
    relay.crash(Signal::KILL);
    for number in 0..10 {
        assert_eq!(receive(&call.peer), (vec![number], call.relayed));
        assert_eq!(call.client.receive(), Packet::Channel { number: 0x4000, payload: vec![number] });
    }
}

#[test]
fn with_several_workers_each_goes_on_with_its_clients() {
    let relay = Daemon::serve_by(&["--workers", "3"], &format!("{ALICE}\n{UDP}"));
    let mut calls: Vec<_> = (0..20).map(|_| Call::udp(&relay)).collect();
    relay.crash(Signal::KILL);
    calls.iter_mut().for_each(Call::assert_on);
    assert_eq!(relay.metric("turn_allocations", &[]), 20);
    assert_eq!(relay.metric("edgerelay_handed_over_datagrams_total", &[]), 0);
}

#[test]
fn connections_are_closed_at_once() {
    let relay = Daemon::serve(&format!("{ALICE}\n{TCP}"));
    let mut alice = Client::tcp(relay.address("tcp"));
    alice.allocate();
    relay.crash(Signal::KILL);
    assert!(is_closed(&mut alice.wire.stream));
    // And the listener goes on.
    alice = Client::tcp(relay.address("tcp"));
    alice.allocate();
    wait_until("one allocation is there", || relay.metric("turn_allocations", &[]) == 1);
}

#[test]
fn scrapers_find_it_where_it_was() {
    let relay = Daemon::serve(&format!("{ALICE}\n{UDP}"));
    relay.crash(Signal::KILL);
    assert_eq!(relay.get("/live").0, 200);
}

#[test]
fn a_relay_that_had_all_files_open_that_it_may_goes_on() {
    let limit = "ulimit -S -n 64; ulimit -H -n 300";
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("edgerelay.toml");
    fs::write(&path, Daemon::settings(&format!("limits.user.allocations = 1000\n{ALICE}\n{UDP}"))).unwrap();
    let serve = format!(
        "exec {} serve --log-format json --config {}",
        env!("CARGO_BIN_EXE_edgerelay"),
        path.display()
    );
    let mut shell = process::command("sh");
    let relay = Daemon::start(shell.args(["-c", &format!("{limit}; {serve}")]), directory);
    relay.line("ready");
    let mut calls = Vec::new();
    loop {
        let mut alice = Client::udp(relay.address("udp"));
        match alice.try_allocate() {
            Ok(_) => calls.push(alice),
            Err(code) => break assert_eq!(code, 508, "all are taken"),
        }
    }
    assert!(calls.len() > 100);
    relay.crash(Signal::KILL);
    for alice in &mut calls {
        assert_eq!(alice.refresh(600), 600);
    }
}
