//! Real workers that do what no worker should.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use turn::{
    AnswerLimits, Credentials, Ledger, Lifetimes, Limits, Nonces, PeerPolicy, Quota, Realm, Redirect,
    RelayAddresses, Settings,
};

use super::{Inheritance, Plan, StreamLimits, Workers, start};

const WORKERS: usize = 3;
const PATIENCE: Duration = Duration::from_millis(400);

fn workers() -> Workers {
    let plenty = Quota { allocations: 10, permissions: 10, channels: 10, bits_per_second: None };
    let realm = Realm::new("example.org").unwrap();
    let settings = Settings {
        credentials: Credentials::new(&realm, &[], vec![]).unwrap(),
        realm,
        software: None,
        nonces: Nonces::new(vec![[7; 32]], 600, true),
        lifetimes: Lifetimes::default(),
        policy: PeerPolicy::new(vec![], vec![], Vec::<IpAddr>::new()),
        limits: Limits { user: plenty, total: plenty, answers: AnswerLimits::default() },
        redirect: Redirect::default(),
        revocations: Arc::default(),
        asks_quota: false,
    };
    let long = Duration::from_secs(60);
    start(Plan {
        workers: WORKERS,
        pin: false,
        steering: true,
        listeners: Vec::new(),
        settings: Arc::new(settings),
        ledger: Arc::new(Ledger::new(RelayAddresses::default(), 50_000..=50_001)),
        streams: StreamLimits {
            connections: 10,
            connections_per_source: 10,
            handshake_deadline: long,
            idle_deadline: long,
            frame_deadline: long,
            write_buffer: 65_536,
            buffers: 1 << 20,
        },
        records: None,
        state: None,
        fleet: None,
        inheritance: Inheritance::default(),
    })
    .unwrap()
}

/// Looks, as the control thread does, until a worker has stalled.
fn first_stalled(workers: &Workers) -> usize {
    loop {
        if let Some(worker) = workers.stalled(PATIENCE) {
            return worker;
        }
        thread::sleep(PATIENCE / 20);
    }
}

/// Waits until every worker has answered; who does so has not stalled.
fn assert_all_answer(workers: &Workers) {
    workers.mailboxes.iter().for_each(|mailbox| mailbox.ask_to_open());
    while !workers.mailboxes.iter().all(|mailbox| mailbox.has_been_opened()) {
        thread::yield_now();
    }
    assert_eq!(workers.stalled(PATIENCE), None);
}

#[test]
fn a_worker_that_waits_or_works_without_an_end_has_stalled() {
    let (release, released) = channel::<()>();
    let workers = workers();
    let waits = move || {
        let _ = released.recv();
    };
    workers.misbehave(1, waits);
    assert_eq!(first_stalled(&workers), 1);
    drop(release);
    assert_all_answer(&workers);

    let end = Arc::new(AtomicBool::new(false));
    let is_over = Arc::clone(&end);
    let works = move || while !is_over.load(Ordering::Relaxed) {};
    workers.misbehave(2, works);
    assert_eq!(first_stalled(&workers), 2);
    end.store(true, Ordering::Relaxed);
    assert!(workers.alive());
}

#[test]
fn frozen_workers_have_not_stalled() {
    let workers = workers();
    workers.freeze().unwrap();
    assert_all_answer(&workers);
}

#[test]
fn a_worker_that_does_not_stand_still_in_time_freezes_nobody() {
    let (release, released) = channel::<()>();
    let workers = workers();
    let waits = move || {
        let _ = released.recv();
    };
    workers.misbehave(0, waits);
    assert!(workers.freeze().is_err());
    drop(release);
    workers.freeze().unwrap();
}
