//! Out of open files, a relay refuses what is new and serves what it has.
//!
//! Alone in its file: the limit is the process's.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

#[path = "daemon/support/mod.rs"]
mod support;

use std::fs::{self, File};
use std::net::TcpStream;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use support::{Client, NodePlan, connect, is_closed, peer, receive};
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

#[test]
fn new_ones_are_refused_until_there_are_files_again() {
    let node = NodePlan::udp().listen(Transport::Tcp, "127.0.0.1:0").start();
    let (mut old, mut new, peer) = (Client::udp(node.address()), Client::udp(node.address()), peer());
    let relayed = old.allocate();
    old.bind(0x4000, peer.local_addr().unwrap());

    // The client's end of a connection has its descriptor; the relay's end will find none.
    let client_end = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    let files = take_all_files();
    assert_eq!(new.try_allocate().code(), 508);
    client_end.connect(&node.address_of(1).into()).unwrap();
    client_end.set_read_timeout(Some(support::PATIENCE)).unwrap();
    assert!(is_closed(&mut TcpStream::from(client_end)));
    old.send_channel(0x4000, b"hello");
    assert_eq!(receive(&peer), (b"hello".to_vec(), relayed));

    drop(files);
    limit_files(None);
    new.allocate();
    let mut stream = Client::over(support::StreamWire::new(connect(node.address_of(1))));
    assert_eq!(stream.binding().code(), 0);
}
