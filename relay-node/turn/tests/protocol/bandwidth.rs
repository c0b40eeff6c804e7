//! Bits per second, of one user and of all together.

use std::net::SocketAddr;
use std::time::Duration;

use crate::support::{Relay, TestClient, peer, settings};
use turn::{DropReason, IcmpError, Quota, Settings};

/// 10,280 bytes a second: ten packets of 1,000 with 28 bytes of headers each.
const LIMIT: Option<u64> = Some(82_240);

fn user_limited() -> Settings {
    let mut settings = settings();
    settings.limits.user = Quota { bits_per_second: LIMIT, ..settings.limits.user };
    settings
}

fn total_limited() -> Settings {
    let mut settings = settings();
    settings.limits.total = Quota { bits_per_second: LIMIT, ..settings.limits.total };
    settings
}

/// Gives a client an allocation with a channel to the peer.
fn join(relay: &mut Relay, mut client: TestClient) -> (TestClient, SocketAddr) {
    let relayed = client.allocate(relay);
    client.bind(relay, 0x4000, peer());
    (client, relayed)
}

fn alice(relay: &mut Relay, port: u16) -> (TestClient, SocketAddr) {
    join(relay, TestClient::new(&format!("198.51.100.7:{port}")))
}

fn bob(relay: &mut Relay) -> (TestClient, SocketAddr) {
    join(relay, TestClient::new("198.51.100.8:1").named("bob", "builder"))
}

/// How many of 100 packets of 1,000 bytes pass to the peer.
fn sent(relay: &mut Relay, client: &TestClient) -> usize {
    (0..100).filter(|_| !client.channel_data(relay, 0x4000, &[0; 1000]).is_empty()).count()
}

/// How many of 100 packets of 1,000 bytes pass to the client.
fn received(relay: &mut Relay, relayed: SocketAddr) -> usize {
    (0..100).filter(|_| relay.peer_sends(peer(), relayed, &[0; 1000]).is_some()).count()
}

#[test]
fn a_user_has_its_rate_and_no_more() {
    let mut relay = Relay::with(user_limited());
    let (client, _) = alice(&mut relay, 1);
    assert_eq!(sent(&mut relay, &client), 10);
    assert_eq!(relay.dropped(DropReason::Bandwidth), 90);
    relay.wait(Duration::from_millis(300));
    assert_eq!(sent(&mut relay, &client), 3);
    relay.wait(Duration::from_secs(100));
    assert_eq!(sent(&mut relay, &client), 10, "what was not used is not saved up");
}

#[test]
fn both_directions_count_together() {
    let mut relay = Relay::with(user_limited());
    let (client, relayed) = alice(&mut relay, 1);
    assert_eq!(received(&mut relay, relayed), 10);
    assert_eq!(sent(&mut relay, &client), 0);
    let (mut second, _) = bob(&mut relay);
    assert_eq!(second.send(&mut relay, peer(), &[0; 1000]).len(), 1, "another user has a rate of its own");
}

#[test]
fn all_allocations_of_a_user_count_together() {
    let mut relay = Relay::with(user_limited());
    let (first, _) = alice(&mut relay, 1);
    let (second, _) = alice(&mut relay, 2);
    assert_eq!(sent(&mut relay, &first), 10);
    assert_eq!(sent(&mut relay, &second), 0);
}

#[test]
fn all_users_together_have_the_total() {
    let mut relay = Relay::with(total_limited());
    let (alice, _) = alice(&mut relay, 1);
    let (bob, _) = bob(&mut relay);
    assert_eq!(sent(&mut relay, &alice), 10);
    assert_eq!(sent(&mut relay, &bob), 0);
    relay.wait(Duration::from_secs(1));
    assert_eq!(sent(&mut relay, &bob), 10);
}

#[test]
fn without_a_limit_everything_passes() {
    let mut relay = Relay::new();
    let (client, relayed) = alice(&mut relay, 1);
    assert_eq!((sent(&mut relay, &client), received(&mut relay, relayed)), (100, 100));
}

#[test]
fn a_new_allocation_does_not_renew_the_rate_while_another_lives() {
    let mut relay = Relay::with(user_limited());
    let (first, _) = alice(&mut relay, 1);
    assert_eq!(sent(&mut relay, &first), 10);
    let (mut second, _) = alice(&mut relay, 2);
    second.refresh(&mut relay, 0);
    let (third, _) = alice(&mut relay, 3);
    assert_eq!(sent(&mut relay, &third), 0);
}

#[test]
fn a_new_allocation_does_not_renew_the_rate_after_the_last_one_either() {
    let mut relay = Relay::with(user_limited());
    let mut passed = 0;
    for port in 1..=5 {
        let (mut client, _) = alice(&mut relay, port);
        passed += sent(&mut relay, &client);
        client.refresh(&mut relay, 0);
        assert_eq!(relay.ledger.users(), 0);
    }
    assert_eq!(passed, 10);
    relay.wait(Duration::from_millis(300));
    let (client, _) = alice(&mut relay, 6);
    assert_eq!(sent(&mut relay, &client), 3, "what is paid for may be used again");
}

#[test]
fn a_user_who_left_in_debt_takes_nothing_from_others() {
    let mut relay = Relay::with(user_limited());
    let (mut client, _) = alice(&mut relay, 1);
    assert_eq!(sent(&mut relay, &client), 10);
    client.refresh(&mut relay, 0);
    let (bob, _) = bob(&mut relay);
    assert_eq!(sent(&mut relay, &bob), 10);
}

#[test]
fn packets_without_payload_count_by_their_headers() {
    let mut relay = Relay::with(user_limited());
    let (client, relayed) = alice(&mut relay, 1);
    let half = 10_280 / 28 / 2;
    let there = (0..half).filter(|_| !client.channel_data(&mut relay, 0x4000, b"").is_empty()).count();
    let back = (0..1000).filter(|_| relay.peer_sends(peer(), relayed, b"").is_some()).count();
    assert_eq!((there, back), (half, 10_280 / 28 - half));
}

#[test]
fn icmp_errors_count_too() {
    let mut relay = Relay::with(user_limited());
    let (client, relayed) = alice(&mut relay, 1);
    let unreachable = IcmpError { kind: 3, code: 3, data: [0; 4] };
    let told = (0..1000).filter(|_| !relay.icmp(peer(), relayed, unreachable).is_empty()).count();
    assert_eq!(told, 10_280 / 32);
    assert_eq!(sent(&mut relay, &client), 0);
}
