//! Two workers of one node share ports, quotas and nothing else.

use std::sync::Arc;

use crate::support::{Relay, TestClient, allocated_with, peer, relay_addresses, settings};
use turn::{DropReason, Ledger, Quota, Settings};

fn workers(settings: impl Fn() -> Settings, ports: std::ops::RangeInclusive<u16>) -> [Relay; 2] {
    let ledger = Arc::new(Ledger::new(relay_addresses(), ports));
    [1, 2].map(|seed| Relay::beside(settings(), Arc::clone(&ledger), seed))
}

fn alice(port: u16) -> TestClient {
    TestClient::new(&format!("198.51.100.7:{port}"))
}

#[test]
fn never_give_out_the_same_port() {
    let [mut first, mut second] = workers(settings, 50000..=50009);
    let mut ports = Vec::new();
    for port in 0..5 {
        ports.push(alice(port).allocate(&mut first).port());
        ports.push(alice(port).allocate(&mut second).port());
    }
    ports.sort_unstable();
    assert_eq!(ports, (50000..=50009).collect::<Vec<_>>());
    assert_eq!(alice(9).try_allocate(&mut first).code(), 508);
    assert_eq!(alice(9).try_allocate(&mut second).code(), 508);
}

#[test]
fn a_port_that_one_gives_back_the_other_can_have() {
    let [mut first, mut second] = workers(settings, 50000..=50000);
    let mut holder = alice(1);
    holder.allocate(&mut first);
    assert_eq!(alice(2).try_allocate(&mut second).code(), 508);
    holder.refresh(&mut first, 0);
    alice(2).allocate(&mut second);
}

#[test]
fn a_users_quota_is_one_for_both() {
    let limited = || {
        let mut limited = settings();
        limited.limits.user =
            Quota { allocations: 2, permissions: 2, channels: 1, bits_per_second: Some(82_240) };
        limited
    };
    let [mut first, mut second] = workers(limited, 50000..=59999);
    let (mut one, mut two) = (alice(1), alice(2));
    one.allocate(&mut first);
    two.allocate(&mut second);
    assert_eq!(alice(3).try_allocate(&mut first).code(), 486);
    assert_eq!(one.bind(&mut first, 0x4000, peer()).code(), 0);
    assert_eq!(two.bind(&mut second, 0x4000, peer()).code(), 508);
    assert_eq!(two.permit(&mut second, peer()).code(), 0);
    for _ in 0..10 {
        assert_eq!(one.channel_data(&mut first, 0x4000, &[0; 1000]).len(), 1);
    }
    assert_eq!(two.send(&mut second, peer(), &[0; 1000]), []);
    assert_eq!(second.dropped(DropReason::Bandwidth), 1);
    one.refresh(&mut first, 0);
    assert_eq!(two.bind(&mut second, 0x4000, peer()).code(), 0);
    assert_eq!(alice(3).try_allocate(&mut second).code(), 0);
}

#[test]
fn the_total_is_one_for_both() {
    let limited = || {
        let mut limited = settings();
        limited.limits.total = Quota { allocations: 1, ..limited.limits.total };
        limited
    };
    let [mut first, mut second] = workers(limited, 50000..=59999);
    let mut holder = alice(1);
    holder.allocate(&mut first);
    let mut bob = TestClient::new("198.51.100.8:1").named("bob", "builder");
    assert_eq!(bob.try_allocate(&mut second).code(), 508);
    holder.refresh(&mut first, 0);
    bob.allocate(&mut second);
}

#[test]
fn a_nonce_of_one_is_good_at_the_other() {
    let [mut first, mut second] = workers(settings, 50000..=59999);
    let mut client = alice(1);
    client.learn_nonce(&mut first);
    assert_eq!(client.try_allocate(&mut second).code(), 0);
}

#[test]
fn the_end_of_one_worker_frees_what_it_had() {
    let (mut first, _, _) = allocated_with(settings());
    let mut second = Relay::beside(settings(), Arc::clone(&first.ledger), 2);
    alice(2).allocate(&mut second);
    first.turn.end_all(first.now);
    first.drain();
    assert_eq!(first.ledger.users(), 1, "Alice still has one at the other worker");
    second.turn.end_all(second.now);
    second.drain();
    assert!(first.is_empty() && second.is_empty());
}
