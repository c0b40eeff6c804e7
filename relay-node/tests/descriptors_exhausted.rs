//! Out of open files, a relay refuses what is new and serves what it has.
//!
//! Alone in its file: the limit is the process's.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

#[path = "daemon/support/mod.rs"]
mod support;

use std::fs::{self, File};
use std::net::TcpStream;
use std::sync::Mutex;
use std::time::Instant;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use support::{Client, NodePlan, StreamWire, connect, is_closed, peer, receive, wait_until};
use turn::Transport;

fn limit_files(most: Option<u64>) {
    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: most.or(maximum), maximum }).unwrap();
}

/// Leaves not one descriptor, until what it gives is dropped and the limit raised.
fn take_all_files() -> Vec<File> {
    let open = fs::read_dir("/proc/self/fd").unwrap();
    let highest = open.map(|entry| entry.unwrap().file_name().to_str().unwrap().parse().unwrap()).max();
    limit_files(highest.map(|highest: u64| highest + 1));
    std::iter::from_fn(|| File::open("/dev/null").ok()).collect()
}

/// Both tests change the limit of the process.
static LIMIT: Mutex<()> = Mutex::new(());

#[test]
fn new_ones_are_refused_until_there_are_files_again() {
    let _limit = LIMIT.lock();
    let node = NodePlan::udp().listen(Transport::Tcp, "127.0.0.1:0").start();
    let (mut old, mut new, peer) = (Client::udp(node.address()), Client::udp(node.address()), peer());
    let relayed = old.allocate();
    old.bind(0x4000, peer.local_addr().unwrap());

    // The client's end of a connection has its descriptor; the relay's end will find none.
    let client_end = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    let files = take_all_files();
    assert_eq!(new.try_allocate(), Err(508));
    client_end.connect(&node.address_of(1).into()).unwrap();
    client_end.set_read_timeout(Some(support::PATIENCE)).unwrap();
    assert!(is_closed(&mut TcpStream::from(client_end)));
    old.send_channel(0x4000, b"hello");
    assert_eq!(receive(&peer), (b"hello".to_vec(), relayed));

    drop(files);
    limit_files(None);
    new.allocate();
    let mut stream = Client::over(StreamWire::new(connect(node.address_of(1))));
    stream.binding();
}

#[test]
fn a_listener_that_cannot_even_refuse_is_left_alone_for_a_while() {
    let _limit = LIMIT.lock();
    let node = NodePlan::udp().listen(Transport::Tcp, "127.0.0.1:0").start();
    let mut old = Client::udp(node.address());
    let paused = || node.count(|stats| stats.accepts_paused);

    let client_end = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    let began = Instant::now();
    // Less than are open: giving up the reserve helps nothing either.
    limit_files(Some(3));
    client_end.connect(&node.address_of(1).into()).unwrap();
    client_end.set_read_timeout(Some(support::PATIENCE)).unwrap();
    wait_until("the listener was left alone a few times", || paused() >= 4);
    // Others are served meanwhile.
    old.binding();
    // Three pauses at least lie between four attempts, and never more attempts than fit.
    let attempts = paused();
    let most = began.elapsed().as_millis() as u64 / 100 + 1;
    assert!((4..=most).contains(&attempts), "{attempts} attempts, {most} at most");

    limit_files(None);
    Client::over(StreamWire::<TcpStream>::new(client_end.into())).binding();
}
