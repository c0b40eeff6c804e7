//! SIGTERM: no new allocations, the old ones served until they end, a deadline, or a second signal.

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
        assert_eq!(self.alice.refresh(600), 0);
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
        let code = other.try_allocate().code();
        if code == 0 {
            assert_eq!(other.refresh(0), 0);
        }
        code == 508
    });
    assert!(call.relay.runs());

    assert_eq!(call.alice.refresh(0), 0);
    assert_eq!(call.relay.wait().code(), Some(0), "the last call has ended");
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
