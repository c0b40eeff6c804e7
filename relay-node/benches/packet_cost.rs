//! What a live worker pays for a packet, and whether that grows with the number of allocations.
//!
//! A worker and its load are on loopback, each on a core of its own where there are two. Told is the
//! worker thread's CPU time for each relayed packet, by the kernel's own account; a packet's whole way
//! through the kernel to the receiver's socket is in it. Beside it stands the part of it that was spent
//! in user space: the rest is the kernel's, which finds thousands of sockets in no cache either.
//!
//! With one allocation the kernel gets many packets at a time for one socket, with many a few for each.
//!
//! `cargo bench -p edgerelay --bench packet_cost`
#![allow(clippy::print_stdout, reason = "the result of a benchmark is what it prints")]
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a benchmark that fails should stop at once"
)]

#[path = "../tests/daemon/support/mod.rs"]
mod support;

use std::cell::RefCell;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::rc::Rc;

use edgerelay::net::affinity;
use edgerelay::net::receive::ReceiveBatch;
use edgerelay::net::send::{Datagram, SendBatch};
use edgerelay::net::udp;
use procfs::process::Process;
use rustix::event::{PollFd, PollFlags, poll};
use support::{Client, NodePlan, Wire};
use turn_client::{Path, channel_data};

const ALLOCATIONS: [usize; 3] = [1, 1_000, 10_000];
const SIZES: [usize; 2] = [160, 1200];
/// Packets under way at a time.
const WINDOW: usize = 64;
/// Packets for one figure.
const PACKETS: usize = 400_000;
const CHANNEL: u16 = 0x4000;

/// One socket that speaks for all clients, each with an address of its own.
struct Clients {
    socket: UdpSocket,
    relay: SocketAddr,
    received: ReceiveBatch,
    leaving: SendBatch,
}

impl Clients {
    fn address(number: usize) -> IpAddr {
        Ipv4Addr::from_bits(0x7F01_0000 + number as u32).into()
    }

    fn send(&mut self, number: usize, packet: &[u8]) {
        let packet = self.received.memory_mut().write(packet).expect("a small packet");
        let from = Some(Self::address(number));
        let taken =
            self.leaving.push(Datagram { socket: 0, to: self.relay, from, packet, dont_fragment: false });
        assert!(taken, "a window is less than a batch");
    }

    fn flush(&mut self) {
        let sent = self.leaving.flush(self.received.memory(), |_| Some(self.socket.as_fd()));
        assert_eq!(sent.blocked + sent.refused, 0);
        self.received.memory_mut().clear_outbox();
    }

    /// Waits for `count` packets; `see` gets each.
    fn receive(&mut self, count: usize, see: impl FnMut(&[u8])) {
        receive(&mut self.received, &self.socket, count, see);
    }
}

/// Waits for `count` datagrams; `see` gets each.
fn receive(batch: &mut ReceiveBatch, socket: &UdpSocket, count: usize, mut see: impl FnMut(&[u8])) {
    let mut seen = 0;
    while seen < count {
        let ready = poll(&mut [PollFd::new(socket, PollFlags::IN)], Some(&TIMEOUT)).unwrap();
        assert!(ready > 0, "{} packets were lost", count - seen);
        let Ok(slots) = batch.receive(socket, WINDOW) else { continue };
        for slot in slots {
            let payload = batch.payload(slot);
            see(&batch.memory_mut().slot_mut(slot)[payload]);
            seen += 1;
        }
        batch.clear();
    }
}

const TIMEOUT: rustix::time::Timespec = rustix::time::Timespec { tv_sec: 5, tv_nsec: 0 };

/// One of them, for setting up its allocation.
struct OneOf(Rc<RefCell<Clients>>, usize);

impl Wire for OneOf {
    fn send(&mut self, packet: &[u8]) {
        let mut clients = self.0.borrow_mut();
        clients.send(self.1, packet);
        clients.flush();
    }

    fn receive(&mut self) -> Vec<u8> {
        let mut packet = Vec::new();
        self.0.borrow_mut().receive(1, |bytes| packet.extend_from_slice(bytes));
        packet
    }

    fn path(&self) -> Path {
        Path::Datagrams
    }
}

/// The worker thread's time on a core, in microseconds: all of it, and in user space.
fn worker_time() -> [f64; 2] {
    let threads = Process::myself().unwrap().tasks().unwrap().flatten();
    let mut threads = threads.map(|thread| (thread.stat().unwrap(), thread.schedstat().unwrap()));
    let (stat, schedule) = threads.find(|(stat, _)| stat.comm == "worker-0").unwrap();
    let nanos = schedule.sum_exec_runtime as f64;
    [nanos / 1000.0, stat.utime as f64 * 1_000_000.0 / procfs::ticks_per_second() as f64]
}

/// The worker's time for each packet of `traffic`: all of it, and in user space.
fn cost(traffic: impl FnOnce()) -> String {
    let before = worker_time();
    traffic();
    let after = worker_time();
    let [all, user] = [0, 1].map(|which| (after[which] - before[which]) / PACKETS as f64);
    format!("{all:>9.2} {user:>6.2}")
}

fn measure(allocations: usize) {
    let mut plan = NodePlan::udp();
    plan.pin = true;
    // Far more ports than allocations: others have some of them.
    plan.ports = 20_000..=65_535;
    let node = plan.start();
    let socket = udp::listener("0.0.0.0:0".parse().unwrap()).unwrap();
    let clients = Rc::new(RefCell::new(Clients {
        socket,
        relay: node.address(),
        received: ReceiveBatch::new(WINDOW),
        leaving: SendBatch::new(WINDOW, false),
    }));
    let peer = udp::listener("127.0.0.2:0".parse().unwrap()).unwrap();
    let relayed: Vec<SocketAddr> = (0..allocations)
        .map(|number| {
            let mut client = Client::over(OneOf(Rc::clone(&clients), number));
            let relayed = client.allocate();
            client.bind(CHANNEL, peer.local_addr().unwrap());
            relayed
        })
        .collect();
    let mut clients = clients.borrow_mut();
    let mut inbox = ReceiveBatch::new(WINDOW);
    for size in SIZES {
        let payload = vec![7; size];
        let packet = channel_data(CHANNEL, &payload, Path::Datagrams);
        let to_peer = cost(|| {
            let mut next = (0..allocations).cycle();
            for _ in 0..PACKETS / WINDOW {
                for number in next.by_ref().take(WINDOW) {
                    clients.send(number, &packet);
                }
                clients.flush();
                receive(&mut inbox, &peer, WINDOW, |bytes| assert_eq!(bytes.len(), size));
            }
        });
        let to_client = cost(|| {
            let mut next = relayed.iter().cycle();
            for _ in 0..PACKETS / WINDOW {
                for address in next.by_ref().take(WINDOW) {
                    peer.send_to(&payload, address).unwrap();
                }
                clients.receive(WINDOW, |bytes| assert_eq!(bytes.len(), size + 4));
            }
        });
        println!("{allocations:>11} {size:>6} {to_peer} {to_client}");
    }
}

fn main() {
    edgerelay::net::descriptors::raise_limit();
    if let Some(core) = affinity::allowed_cores().last() {
        affinity::pin_to(*core).unwrap();
    }
    println!("CPU time of the worker in microseconds for each packet");
    println!("                     client to peer   peer to client");
    println!("allocations  bytes       all   user       all   user");
    ALLOCATIONS.into_iter().for_each(measure);
}
