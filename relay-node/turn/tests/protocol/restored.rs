//! A process that is killed leaves its records behind, and another one goes on with them: no client and no
//! peer notices. (That all later answers are those of one that never died is for the reference model to say.)

use std::net::SocketAddr;
use std::slice;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::support::{
    Relay, SECRET, START, Scheme, Store, TestClient, at, channel_data, data_indication, peer,
    relay_addresses, settings,
};
use stun::attribute::{ChannelNumber, EvenPort, ReservationToken, XorRelayedAddress};
use turn::ledger::PortLoss;
use turn::record::Survivor;
use turn::{
    AddressFamily, CloseReason, DropReason, Event, Forward, Ledger, OpenError, PathId, PeerAddr, Quota,
    RelayAddresses, RelayPort, Settings, Unrestorable, WorkerId,
};
use turn_client::Allocate;

/// The way to all clients in a process that goes on.
const PATH: PathId = PathId(77);

fn recording(relay: Relay) -> Relay {
    relay.recording(&Arc::default())
}

/// `relay` is killed, and another process goes on under `settings`.
fn reborn_under(settings: Settings, relay: Relay) -> Relay {
    let mut other = recording(Relay::with(settings));
    assert_eq!(inherit(&mut other, relay), []);
    other
}

fn reborn(relay: Relay) -> Relay {
    reborn_under(settings(), relay)
}

/// `other` takes in what `relay` leaves, and tells why it does not take all of it.
fn inherit(other: &mut Relay, relay: Relay) -> Vec<Unrestorable> {
    other.now = relay.now;
    relay.left_behind().restore(slice::from_mut(other), |_| (0, PATH))
}

/// Alice with a relayed address, where a peer has a channel.
fn call(settings: Settings, mut alice: TestClient) -> (Relay, TestClient, SocketAddr) {
    let mut relay = recording(Relay::with(settings));
    let relayed = alice.allocate(&mut relay);
    assert_eq!(alice.bind(&mut relay, 0x4000, peer()).code(), 0);
    (relay, alice, relayed)
}

fn alice(port: u16) -> TestClient {
    TestClient::new(&format!("198.51.100.7:{port}"))
}

fn bob() -> TestClient {
    TestClient::new("198.51.100.8:1").named("bob", "builder")
}

/// The only survivor of `relay`.
fn survivor(relay: Relay) -> Survivor {
    let [survivor] = relay.left_behind().survivors.try_into().unwrap();
    survivor
}

fn restore(relay: &mut Relay, survivor: &Survivor) -> Result<(), Unrestorable> {
    let restored = relay.turn.restore(relay.now, survivor.clone(), PATH);
    assert_eq!(relay.drain(), []);
    restored
}

/// Whether packets pass both ways.
fn passes(relay: &mut Relay, client: &TestClient, relayed: SocketAddr) -> bool {
    let there = client.channel_data(relay, 0x4000, b"there").len();
    let back = relay.peer_sends(peer(), relayed, b"back");
    assert_eq!(there > 0, back.is_some());
    back.is_some_and(|(to, packet)| to == client.address() && packet == channel_data(0x4000, b"back"))
}

#[test]
fn a_call_goes_on() {
    for (scheme, anonymous) in [(Scheme::Classic, false), (Scheme::Sha256, false), (Scheme::Sha256, true)] {
        let mut alice = alice(1).signing(scheme);
        alice.anonymous = anonymous;
        let (relay, mut alice, relayed) = call(settings(), alice);
        let mut relay = reborn(relay);
        assert!(passes(&mut relay, &alice, relayed));
        assert_eq!(alice.refresh(&mut relay, 600).code(), 0);
        assert_eq!(alice.bind(&mut relay, 0x4001, at("192.0.2.11:1")).code(), 0);
        assert_eq!(alice.refresh(&mut relay, 0).code(), 0);
        assert!(relay.is_empty());
    }
}

#[test]
fn a_retransmitted_request_gets_the_same_answer() {
    let mut relay = recording(Relay::new());
    let mut alice = alice(1);
    alice.learn_nonce(&mut relay);
    let pair = Allocate { even_port: Some(EvenPort { reserve_next: true }), ..Allocate::default() };
    let request = alice.signed_request(&turn_client::Request::Allocate(pair));
    let answer = alice.exchange(&mut relay, &request);
    let mut relay = reborn(relay);
    assert_eq!(alice.exchange(&mut relay, &request).0, answer.0);
    let request = alice.signed_refresh(0);
    let answer = alice.exchange(&mut relay, &request);
    let mut relay = reborn(relay);
    assert_eq!(alice.exchange(&mut relay, &request).0, answer.0);
}

#[test]
fn nothing_is_told_or_counted_as_if_it_were_new() {
    let (relay, ..) = call(settings(), alice(1));
    let relay = reborn(relay);
    let stats = relay.turn.stats();
    assert!(relay.events.is_empty());
    assert_eq!((stats.allocations_created, stats.allocations_restored), (0, 1));
    assert_eq!((stats.permissions, stats.channels), (1, 1));
}

#[test]
fn everything_ends_when_it_would_have() {
    let (mut relay, mut alice, relayed) = call(settings(), alice(1));
    relay.wait(Duration::from_secs(299));
    let mut relay = reborn(relay);
    assert!(passes(&mut relay, &alice, relayed));
    relay.wait(Duration::from_secs(1));
    assert_eq!(alice.send(&mut relay, peer(), b"there"), [], "the permission is over");
    let mut relay = reborn(relay);
    relay.wait(Duration::from_secs(299));
    assert_eq!(relay.turn.allocations(), 1);
    relay.wait(Duration::from_secs(1));
    let [Event::AllocationClosed { reason, age, .. }] = &relay.events[..] else {
        panic!("{:?}", relay.events)
    };
    assert_eq!((*reason, *age), (CloseReason::Expired, Duration::from_secs(600)));
    assert!(relay.is_empty());
}

#[test]
fn packets_are_counted_on() {
    let (mut relay, mut alice, relayed) = call(settings(), alice(1));
    for packets in [2, 3] {
        for _ in 0..packets {
            assert!(passes(&mut relay, &alice, relayed));
        }
        relay = reborn(relay);
    }
    alice.refresh(&mut relay, 0);
    let [Event::AllocationClosed { to_peers, to_client, .. }] = &relay.events[..] else {
        panic!("{:?}", relay.events)
    };
    assert_eq!((to_peers.packets, to_peers.bytes), (5, 5 * 5));
    assert_eq!((to_client.packets, to_client.bytes), (5, 5 * 4));
}

#[test]
fn packets_pass_that_are_counted_nowhere_else() {
    let mut relay = recording(Relay::new());
    let mut clients: Vec<_> = (1..=Store::SLOTS as u16 + 1).map(alice).collect();
    for client in &mut clients {
        let relayed = client.allocate(&mut relay);
        client.bind(&mut relay, 0x4000, peer());
        assert!(passes(&mut relay, client, relayed));
    }
}

fn limited(user: Quota, total: Quota) -> Settings {
    let mut settings = settings();
    (settings.limits.user, settings.limits.total) = (user, total);
    settings
}

/// How many of 20 packets of 1,000 bytes pass to the peer.
fn sent(relay: &mut Relay, client: &TestClient) -> usize {
    (0..20).filter(|_| !client.channel_data(relay, 0x4000, &[0; 1000]).is_empty()).count()
}

#[test]
fn bandwidth_that_was_used_stays_used() {
    let unlimited = settings().limits.user;
    // Ten packets a second with their headers.
    let ten = Quota { bits_per_second: Some(82_240), ..unlimited };
    for (user, total, bobs) in [(ten, unlimited, 10), (unlimited, ten, 0)] {
        let (mut relay, alice, _) = call(limited(user, total), alice(1));
        let mut bob = bob();
        bob.allocate(&mut relay);
        bob.bind(&mut relay, 0x4000, peer());
        assert_eq!(sent(&mut relay, &alice), 10);
        let mut relay = reborn_under(limited(user, total), relay);
        assert_eq!((sent(&mut relay, &alice), sent(&mut relay, &bob)), (0, bobs));
        relay.wait(Duration::from_millis(300));
        assert_eq!(sent(&mut relay, &alice), 3);
    }
}

#[test]
fn a_quota_that_was_lowered_ends_no_call() {
    let (mut relay, mut first, relayed) = call(settings(), alice(1));
    let mut second = alice(2);
    second.allocate(&mut relay);
    let one = Quota { allocations: 1, permissions: 0, channels: 0, bits_per_second: None };
    let mut relay = reborn_under(limited(one, one), relay);
    assert!(passes(&mut relay, &first, relayed));
    assert_eq!(alice(3).try_allocate(&mut relay).code(), 486);
    second.refresh(&mut relay, 0);
    assert_eq!(alice(3).try_allocate(&mut relay).code(), 486);
    first.refresh(&mut relay, 0);
    assert_eq!(alice(3).try_allocate(&mut relay).code(), 0);
}

#[test]
fn a_call_outlives_its_secret_but_not_its_user() {
    let name = format!("{}:carol", START.unix.get() + 60);
    let (mut relay, mut carol, _) = call(settings(), alice(1).timed(&name, SECRET));
    let mut bob = bob();
    bob.allocate(&mut relay);
    let others = turn::Credentials::new(&settings().realm, &[], vec![]).unwrap();
    let mut relay = reborn_under(Settings { credentials: others, ..settings() }, relay);
    assert_eq!(carol.refresh(&mut relay, 600).code(), 0);
    assert_eq!(bob.refresh(&mut relay, 600).code(), 401);
}

#[test]
fn packets_take_the_way_that_leads_to_the_client_now() {
    let (relay, _, relayed) = call(settings(), alice(1));
    let mut relay = reborn(relay);
    let (mut buffer, span) = crate::support::with_room(b"back");
    let id = relay.sockets[&relayed];
    let forward = relay.turn.peer_packet(relay.now, id, PeerAddr::new(peer()), &mut buffer, span);
    assert!(matches!(forward, Forward::ToClient { client, .. } if client.path == PATH));
}

#[test]
fn another_worker_takes_its_packets_from_other_relayed_addresses() {
    let store = Arc::<Mutex<Store>>::default();
    let workers = |numbers: [u8; 2]| {
        let ledger = Arc::new(Ledger::new(relay_addresses(), 50000..=59999));
        numbers.map(|number| Relay::beside(settings(), Arc::clone(&ledger), number).recording(&store))
    };
    let (mut alice, mut bob) = (alice(1), bob());
    let [mut first, mut second] = workers([1, 2]);
    let (alices, bobs) = (alice.allocate(&mut first), bob.allocate(&mut second));
    alice.permit(&mut first, bobs);
    bob.permit(&mut second, alices);
    let remains = first.left_behind();

    // Each at the other's.
    let mut workers = workers([3, 4]);
    let home = |five_tuple: &turn::FiveTuple| (usize::from(*five_tuple == alice.path.five_tuple), PATH);
    assert_eq!(remains.restore(&mut workers, home), []);
    let [bobs_worker, alices_worker] = &mut workers;
    let [sent] = alice.send(alices_worker, bobs, b"hello").try_into().unwrap();
    assert_eq!(sent.by_shortcut().worker(), WorkerId(3));
    let (to, packet) = bobs_worker.shortcut(sent.by_shortcut(), b"hello").unwrap();
    assert_eq!((to, data_indication(&packet)), (bob.address(), (alices, b"hello".as_slice())));
}

#[test]
fn a_token_is_good_once_whatever_dies() {
    let mut relay = recording(Relay::new());
    let pair = Allocate { even_port: Some(EvenPort { reserve_next: true }), ..Allocate::default() };
    let answer = alice(1).allocate_as(&mut relay, pair);
    let (first, token) = (answer.relayed()[0], answer.get::<ReservationToken>());
    let redeem = |relay: &mut Relay, port: u16| {
        alice(port).allocate_as(relay, Allocate { reservation: token, ..Allocate::default() })
    };
    let mut relay = reborn(relay);
    assert_eq!(redeem(&mut relay, 2).get::<XorRelayedAddress>().unwrap().0.port(), first.port() + 1);
    alice(2).refresh(&mut relay, 0);
    let mut relay = reborn(relay);
    assert_eq!(redeem(&mut relay, 3).code(), 508);
}

#[test]
fn nothing_of_an_allocation_that_ended_comes_back() {
    let (mut relay, mut alice, _) = call(settings(), alice(1));
    alice.refresh(&mut relay, 0);
    // It has the same slot.
    let mut bob = bob();
    bob.allocate(&mut relay);
    let mut relay = reborn(relay);
    assert_eq!((relay.turn.stats().permissions, relay.turn.stats().channels), (0, 0));
    assert_eq!(bob.send(&mut relay, peer(), b"there"), []);
    assert_eq!(relay.dropped(DropReason::NoPermission), 1);
}

#[test]
fn what_ended_meanwhile_is_not_taken_in() {
    let (mut relay, ..) = call(settings(), alice(1));
    // Nobody looks after its timers.
    relay.now = relay.now.after(Duration::from_secs(600));
    let mut other = recording(Relay::new());
    assert_eq!(inherit(&mut other, relay), [Unrestorable::Expired]);
    assert!(other.is_empty());
}

#[test]
fn a_port_that_somebody_else_has_ends_the_call() {
    let (relay, mut alice, relayed) = call(settings(), alice(1));
    let mut other = recording(Relay::new());
    other.busy = [relayed.port()].into();
    assert_eq!(inherit(&mut other, relay), []);
    let [Event::RelayedAddressLost { address, reason, .. }, Event::AllocationClosed { reason: why, .. }] =
        &other.events[..]
    else {
        panic!("{:?}", other.events)
    };
    assert_eq!((*address, *reason), (relayed, PortLoss::NoSocket(OpenError::InUse)));
    assert_eq!(*why, CloseReason::AddressLost);
    assert!(other.is_empty());
    assert_eq!(alice.refresh(&mut other, 600).code(), 437);
    assert_eq!(inherit(&mut recording(Relay::new()), other), []);
}

#[test]
fn of_two_relayed_addresses_one_may_be_lost() {
    let mut relay = recording(Relay::new());
    let mut alice = alice(1);
    let peers = [peer(), at("[2001:db8:2::1]:1")];
    let relayed = alice.allocate_both(&mut relay).relayed();
    assert_eq!(alice.permit_all(&mut relay, &peers).code(), 0);
    let mut other = recording(Relay::new());
    other.failing[1] = [OpenError::Unavailable].into();
    assert_eq!(inherit(&mut other, relay), []);
    let [Event::RelayedAddressLost { address, .. }] = &other.events[..] else { panic!("{:?}", other.events) };
    assert_eq!(*address, relayed[1]);
    assert_eq!(other.turn.stats().permissions, 1);
    assert_eq!(alice.send(&mut other, peers[0], b"there").len(), 1);
    assert_eq!(alice.permit(&mut other, peers[1]).code(), 443);
    // And so it stays.
    let mut other = reborn(other);
    assert!(other.events.is_empty());
    alice.refresh(&mut other, 0);
    assert!(other.is_empty());
}

#[test]
fn what_is_not_on_the_relays_ports_any_more_is_not_taken_in() {
    let elsewhere = RelayAddresses { v4: None, ..relay_addresses() };
    for (mut other, loss) in [
        (Relay::on_ports(settings(), 40000..=49999), PortLoss::OutOfRange),
        (Relay::on_addresses(settings(), elsewhere), PortLoss::AddressGone),
    ] {
        let (relay, ..) = call(settings(), alice(1));
        assert_eq!(inherit(&mut other, relay), [Unrestorable::AddressLost(loss)]);
        assert!(other.is_empty());
    }
}

#[test]
fn of_two_that_contradict_each_other_the_first_goes_on() {
    let (relay, alice, relayed) = call(settings(), alice(1));
    let survivor = survivor(relay);
    let mut other = recording(Relay::new());
    assert_eq!(restore(&mut other, &survivor), Ok(()));
    assert_eq!(restore(&mut other, &survivor), Err(Unrestorable::FiveTupleTaken));
    let mut same_port = survivor;
    same_port.allocation.five_tuple = bob().path.five_tuple;
    assert_eq!(restore(&mut other, &same_port), Err(Unrestorable::AddressLost(PortLoss::Taken)));
    assert_eq!((other.turn.allocations(), other.sockets.len()), (1, 1));
    assert!(passes(&mut other, &alice, relayed));
}

#[test]
fn an_allocation_that_contradicts_itself_is_not_taken_in() {
    let (relay, ..) = call(settings(), alice(1));
    let survivor = survivor(relay);
    let (permission, channel) = (survivor.permissions[0], survivor.channels[0]);
    let twice = |change: fn(&mut turn::record::ChannelRecord)| {
        let mut second = channel;
        change(&mut second);
        Survivor { channels: vec![channel, second], ..survivor.clone() }
    };
    for contradictory in [
        Survivor { permissions: vec![permission, permission], ..survivor.clone() },
        twice(|it| it.number = ChannelNumber::LAST),
        twice(|it| it.peer = PeerAddr::new(at("192.0.2.11:1"))),
    ] {
        let mut other = recording(Relay::new());
        assert_eq!(restore(&mut other, &contradictory), Err(Unrestorable::Contradiction));
        assert!(other.is_empty());
        let port = contradictory.allocation.relayed.v4.unwrap().port;
        assert!(other.ledger.claim_port(relay_addresses().v4.unwrap(), port).is_ok());
    }
}

#[test]
fn a_reserved_port_that_an_allocation_has_stays_the_allocations() {
    let mut relay = recording(Relay::new());
    let pair = Allocate { even_port: Some(EvenPort { reserve_next: true }), ..Allocate::default() };
    let first = alice(1).allocate_as(&mut relay, pair).relayed()[0];
    let remains = relay.left_behind();
    let mut other = recording(Relay::on_ports(settings(), first.port() + 1..=first.port() + 1));
    bob().allocate(&mut other);
    let [out_of_range, taken] = [PortLoss::OutOfRange, PortLoss::Taken].map(Unrestorable::AddressLost);
    assert_eq!(remains.restore(slice::from_mut(&mut other), |_| (0, PATH)), [out_of_range, taken]);
    assert!(other.ledger.holder(AddressFamily::V4, RelayPort::new(first.port() + 1)).is_some());
}
