//! A second relay with the same directory takes over from one that serves: UDP clients notice nothing, those of
//! connections stay where they are, and all reach each other.

use std::net::UdpSocket;
use std::thread;
use std::time::Duration;

use crate::support::{
    BOTH, Call, Client, Daemon, Site, UDP, assert_joined, both_on_a_fixed_port, join, receive, wait_until,
};
use rustix::process::Signal;

/// The node's own address is no peer, but for relayed addresses.
const STRICT: [&str; 2] = ["--set", "peers.allow=['127.0.0.2/32']"];

#[test]
fn a_udp_call_goes_on_at_its_address() {
    let site = Site::new();
    let mut old = site.serve(UDP);
    let mut call = Call::udp(&old);

    let new = site.serve(UDP);
    assert_eq!(new.address("udp"), old.address("udp"));
    assert_eq!(new.admin(), old.admin());
    assert!(old.wait().success(), "it has no connection to wait for");
    call.assert_on();
    assert_eq!(call.client.refresh(600), 600);
    assert_eq!(new.metric("turn_answers_total", &["code=\"438\""]), 0, "with the nonce that it had");
    assert_eq!(new.metric("turn_allocations", &[]), 1);
    Call::udp(&new);
}

/// Packets that a call sends or gets while relays hand over.
const PACKETS: u16 = 2000;

#[test]
fn no_packet_is_lost() {
    let site = Site::new();
    let mut relay = site.serve(UDP);
    let Call { mut client, peer, relayed } = Call::udp(&relay);
    let (from, to) = (client.wire.try_clone().unwrap(), peer.try_clone().unwrap());
    let sending = thread::spawn(move || {
        for number in 0..PACKETS {
            client.send_channel(0x4000, &number.to_be_bytes());
            peer.send_to(&number.to_be_bytes(), relayed).unwrap();
            thread::sleep(Duration::from_millis(1));
        }
        client
    });
    let receiving = [from, to].map(|socket: UdpSocket| {
        thread::spawn(move || {
            let packets = (0..PACKETS).map(|_| receive(&socket).0);
            packets
                .map(|packet| u16::from_be_bytes(packet.last_chunk().copied().unwrap()))
                .collect::<Vec<_>>()
        })
    });
    for workers in ["3", "1", "2"] {
        let mut old = std::mem::replace(&mut relay, site.serve_by(&["--workers", workers], UDP));
        assert!(old.wait().success());
    }
    sending.join().unwrap();
    for received in receiving.map(|it| it.join().unwrap()) {
        let mut sorted = received.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..PACKETS).collect::<Vec<_>>());
    }
}

#[test]
fn more_or_fewer_workers_have_the_same_calls() {
    let site = Site::new();
    let mut relay = site.serve_by(&["--workers", "2"], UDP);
    let mut calls: Vec<_> = (0..20).map(|_| Call::udp(&relay)).collect();
    for workers in ["4", "1", "3"] {
        let mut old = std::mem::replace(&mut relay, site.serve_by(&["--workers", workers], UDP));
        assert!(old.wait().success());
        calls.iter_mut().for_each(Call::assert_on);
        calls.push(Call::udp(&relay));
        assert_eq!(relay.metric("turn_allocations", &[]), calls.len() as u64);
    }
}

#[test]
fn a_tcp_call_stays_with_the_old_relay_until_it_ends() {
    let site = Site::new();
    let mut old = site.serve(BOTH);
    let mut carol = Call::tcp(&old);

    let new = site.serve(BOTH);
    carol.assert_on();
    assert_eq!(carol.client.refresh(600), 600);
    let mut dave = Call::tcp(&new);
    assert!(old.runs());
    // The admin server is the new one's, and tells of both.
    let allocations = |labels: &[&str]| new.metric("turn_allocations", labels);
    wait_until("the old one is shown", || allocations(&["generation="]) == 1);
    assert_eq!(allocations(&[]), 2);

    drop(carol);
    assert!(old.wait().success());
    wait_until("the old one is gone", || !new.get("/metrics").1.contains("generation="));
    dave.assert_on();
}

#[test]
fn clients_of_all_relays_reach_each_other() {
    let site = Site::new();
    let first = site.serve_by(&STRICT, BOTH);
    let (mut alice, mut carol) = (Call::udp(&first), Call::tcp(&first));
    join(0x4001, &mut alice, &mut carol);
    assert_joined(0x4001, &mut alice, &mut carol);

    let second = site.serve_by(&STRICT, BOTH);
    assert_joined(0x4001, &mut alice, &mut carol);
    let mut dave = Call::tcp(&second);
    join(0x4002, &mut carol, &mut dave);
    assert_joined(0x4002, &mut carol, &mut dave);

    let third = site.serve_by(&STRICT, BOTH);
    assert_joined(0x4001, &mut alice, &mut carol);
    assert_joined(0x4002, &mut carol, &mut dave);
    let mut erin = Call::udp(&third);
    join(0x4003, &mut erin, &mut dave);
    assert_joined(0x4003, &mut erin, &mut dave);
    let shown = |generation: &str| third.metric("turn_allocations", &[generation]);
    wait_until("both old ones are shown", || {
        shown("generation=\"1\"") == 1 && shown("generation=\"2\"") == 1
    });
}

#[test]
fn what_is_no_relayed_address_of_either_is_not_reached() {
    let site = Site::new();
    let old = site.serve_by(&STRICT, BOTH);
    let mut carol = Call::tcp(&old);
    let new = site.serve_by(&STRICT, BOTH);
    let mut alice = Call::udp(&new);
    let other = crate::support::datagram_socket("127.0.0.1:0");
    let other = other.local_addr().unwrap();
    alice.client.permit(other);
    carol.client.permit(other);
    let dropped = || new.metric("turn_dropped_packets_total", &["policy"]);
    alice.client.send(other, b"secret", false);
    carol.client.send(other, b"secret", false);
    wait_until("both are dropped", || dropped() == 2);
}

#[test]
fn the_old_relay_takes_the_settings_of_the_new_one() {
    let site = Site::new();
    let old = site.serve(BOTH);
    let mut carol = Call::tcp(&old);
    let mut late = Client::tcp(old.address("tcp"));
    late.binding();

    let new = site.serve(&format!("{BOTH}\nreload_interval = '1h'"));
    let path = new.file("edgerelay.toml");
    let settings = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, settings.replace("alice = 'wonderland'", "dora = 'wonderland'")).unwrap();
    new.signal(Signal::HUP);
    wait_until("alice is unknown at the old one", || late.try_allocate() == Err(401));
    carol.assert_on();
}

#[test]
fn a_drain_waits_for_the_calls_of_the_old_relay_too() {
    let site = Site::new();
    let mut old = site.serve(BOTH);
    let mut carol = Call::tcp(&old);
    let mut late = Client::tcp(old.address("tcp"));
    late.binding();
    let mut new = site.serve(BOTH);
    wait_until("the old one is heard", || new.metric("turn_allocations", &["generation="]) == 1);

    new.signal(Signal::TERM);
    wait_until("the old one drains", || new.metric("edgerelay_draining", &["generation="]) == 1);
    assert_eq!(late.try_allocate(), Err(508));
    carol.assert_on();
    assert!(new.runs());
    assert_eq!(carol.client.refresh(0), 0);
    assert!(new.wait().success());
    assert!(old.wait().success());
}

#[test]
fn the_old_relay_comes_back_to_one_that_crashed() {
    let site = Site::new();
    let old = site.serve_by(&STRICT, BOTH);
    let mut carol = Call::tcp(&old);
    let new = site.serve_by(&STRICT, BOTH);
    let mut alice = Call::udp(&new);
    join(0x4001, &mut alice, &mut carol);
    assert_joined(0x4001, &mut alice, &mut carol);

    new.crash(Signal::KILL);
    alice.assert_on();
    carol.assert_on();
    wait_until("the old one is back", || new.metric("turn_allocations", &["generation="]) == 1);
    assert_joined(0x4001, &mut alice, &mut carol);
}

#[test]
fn one_whose_keeper_is_killed_too_is_followed_by_another() {
    let (site, listeners) = (Site::new(), both_on_a_fixed_port());
    let old = site.serve(&listeners);
    let mut carol = Call::tcp(&old);
    let new = site.serve(&listeners);
    let mut alice = Call::udp(&new);
    drop(new);
    let next = site.serve(&listeners);
    alice.assert_on();
    carol.assert_on();
    wait_until("the old one is back", || next.metric("turn_allocations", &["generation="]) == 1);
}

#[test]
fn an_older_deployment_that_is_started_again_waits_idle() {
    let site = Site::new();
    let instance = |name: &str| format!("{UDP}\nrecovery.instance = '{name}'");
    let mut old = site.serve(&instance("a"));
    let mut call = Call::udp(&old);
    let _new = site.serve(&instance("b"));
    assert!(old.wait().success());

    let mut again = start(&site, &instance("a"));
    again.line(
        "this deployment has handed over to another one, which may be newer: waiting idle until SIGTERM. To have it \
         serve again, give it another recovery.instance",
    );
    call.assert_on();
    // On an address of its own, so that it does not ask the one that serves.
    assert_eq!(again.get("/live").0, 200);
    let (code, state) = again.get("/ready");
    assert_eq!((code, state.as_str()), (503, "{\"state\":\"superseded\"}"));
    again.signal(Signal::TERM);
    assert!(again.wait().success());
    call.assert_on();
}

/// A relay that may not come to serve.
fn start(site: &Site, settings: &str) -> Daemon {
    Daemon::begin(&[], &site.settings(settings))
}

#[test]
fn without_a_keeper_it_is_the_same() {
    let site = Site::new();
    let alone = format!("{BOTH}\nrecovery.keeper = false");
    let mut old = site.serve(&alone);
    let (mut alice, mut carol) = (Call::udp(&old), Call::tcp(&old));
    let new = site.serve(&alone);
    alice.assert_on();
    carol.assert_on();
    drop(carol);
    assert!(old.wait().success());
    let _kept = site.serve(BOTH);
    alice.assert_on();
    drop(new);
    alice.assert_on();
}
