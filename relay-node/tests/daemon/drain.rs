//! SIGTERM: no new allocations, the old ones served until they end, a deadline, or a second signal.
//! SIGUSR1 takes that back.

use std::net::UdpSocket;

use crate::support::{ALICE, Client, Daemon, Packet, UDP, peer, receive, wait_until};
use rustix::process::Signal;

/// A relay that drains with a call on it.
struct Call {
    relay: Daemon,
    alice: Client<UdpSocket>,
    peer: UdpSocket,
}

impl Call {
    fn that_drains(deadline: &str) -> Self {
        let relay = Daemon::serve(&format!("drain_deadline = '{deadline}'\n{ALICE}\n{UDP}"));
        let mut alice = Client::udp(relay.address("udp"));
        alice.allocate();
        let peer = peer();
        alice.bind(0x4000, peer.local_addr().unwrap());
        wait_until("the allocation is seen", || relay.metric("turn_allocations", &[]) == 1);
        relay.signal(Signal::TERM);
        Self { relay, alice, peer }
    }

    fn assert_served(&mut self) {
        self.alice.send_channel(0x4000, b"there");
        let (payload, relayed) = receive(&self.peer);
        assert_eq!(payload, b"there");
        self.peer.send_to(b"back", relayed).unwrap();
        assert_eq!(self.alice.receive(), Packet::Channel { number: 0x4000, payload: b"back".to_vec() });
        assert_eq!(self.alice.refresh(600), 600);
    }
}

#[test]
fn without_allocations_it_ends_at_once() {
    let mut relay = Daemon::serve(&format!("drain_deadline = '1h'\n{ALICE}\n{UDP}"));
    relay.signal(Signal::TERM);
    assert_eq!(relay.wait().code(), Some(0));
    relay.line("drained");
}

#[test]
fn a_call_goes_on_and_no_other_begins() {
    let mut call = Call::that_drains("1h");
    call.relay.line("draining: no new allocations");
    wait_until("readiness tells of it", || {
        call.relay.get("/ready") == (200, "{\"state\":\"draining\"}".to_owned())
    });
    assert_eq!(call.relay.metric("edgerelay_draining", &[]), 1);
    call.assert_served();
    let address = call.relay.address("udp");
    wait_until("new allocations are refused", || {
        let mut other = Client::udp(address);
        match other.try_allocate() {
            Ok(_) => other.refresh(0) != 0,
            refused => refused == Err(508),
        }
    });
    assert!(call.relay.runs());

    assert_eq!(call.alice.refresh(0), 0);
    assert_eq!(call.relay.wait().code(), Some(0), "the last call has ended");
}

#[test]
fn it_can_be_taken_back() {
    let mut call = Call::that_drains("1h");
    call.relay.line("draining: no new allocations");
    call.relay.signal(Signal::USR1);
    call.relay.line("the drain is taken back: new allocations are served again");
    assert_eq!(call.relay.get("/ready"), (200, "{\"state\":\"ready\"}".to_owned()));
    assert_eq!(call.relay.metric("edgerelay_draining", &[]), 0);
    let mut other = Client::udp(call.relay.address("udp"));
    wait_until("new allocations are served", || other.try_allocate().is_ok());

    assert_eq!((other.refresh(0), call.alice.refresh(0)), (0, 0));
    wait_until("no allocation is left", || call.relay.metric("turn_allocations", &[]) == 0);
    assert!(call.relay.runs(), "without a drain, the last call ends nothing");
    call.relay.signal(Signal::TERM);
    assert_eq!(call.relay.wait().code(), Some(0), "the next drain is one as any other");
}

#[test]
fn without_a_drain_there_is_none_to_take_back() {
    let mut relay = Daemon::serve(&format!("{ALICE}\n{UDP}"));
    relay.signal(Signal::USR1);
    relay.line("there is no drain to take back");
    assert!(relay.runs());
}

#[test]
fn changes_are_taken_meanwhile() {
    let mut call = Call::that_drains("1h");
    call.relay.line("draining: no new allocations");
    let path = call.relay.file("edgerelay.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("drain_deadline = '1h'", "drain_deadline = '1s'")).unwrap();
    call.relay.signal(Signal::HUP);
    call.relay.line("the configuration as it is now is in force");
    assert_eq!(call.relay.wait().code(), Some(0));
    call.relay.line("the drain deadline is over");
}

#[test]
fn the_deadline_ends_it() {
    let mut call = Call::that_drains("1s");
    assert_eq!(call.relay.wait().code(), Some(0));
    call.relay.line("the drain deadline is over");
    let closed = call.relay.line("allocation closed");
    assert_eq!(closed["reason"], "stopped");
}

#[test]
fn a_second_signal_ends_it() {
    let mut call = Call::that_drains("1h");
    call.relay.line("draining: no new allocations");
    call.assert_served();
    call.relay.signal(Signal::INT);
    assert_eq!(call.relay.wait().code(), Some(0));
    call.relay.line("told again: ending at once");
}
