//! In steady state a live worker allocates nothing for a packet, in any direction: real bursts, from
//! many allocations at once, over every transport.
//!
//! Alone in its file: the counting allocator is the process's.
#![allow(unsafe_code, reason = "an allocator cannot be written without")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

#[path = "daemon/support/mod.rs"]
mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use stun::TransactionId;
use support::{Client, Dynasty, Identity, NodePlan, Packet, Wire, peer, receive};
use turn::Transport;
use turn_client::{Path, channel_data, send_indication};

/// Counts what every thread but the test's own allocates: the workers.
struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);
/// Those that were not given back yet.
static LIVE: AtomicI64 = AtomicI64::new(0);

thread_local! {
    static IS_THE_TEST: Cell<bool> = const { Cell::new(false) };
}

fn count(live: i64) {
    if !IS_THE_TEST.get() {
        ALLOCATIONS.fetch_add(u64::from(live >= 0), Ordering::SeqCst);
        LIVE.fetch_add(live, Ordering::SeqCst);
    }
}

// SAFETY: everything is the system allocator's work; counting touches no memory of the caller.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(1);
        // SAFETY: as the caller has promised.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(1);
        // SAFETY: as the caller has promised.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, start: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(0);
        // SAFETY: as the caller has promised.
        unsafe { System.realloc(start, layout, size) }
    }

    unsafe fn dealloc(&self, start: *mut u8, layout: Layout) {
        count(-1);
        // SAFETY: as the caller has promised.
        unsafe { System.dealloc(start, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Rounds that are counted together: 20,000 packets and more, both ways.
const ROUNDS: usize = 20;
const TRIES: usize = 10;
/// Packets that each client or peer sends before anything is read.
const BURST: usize = 64;
/// Clients of each transport, all at once.
const CLIENTS: usize = 4;
/// Bytes of a payload: of a voice packet, of a part of a picture, and the least.
const SIZES: [usize; 3] = [160, 1200, 1];
const CHANNEL: u16 = 0x4000;
const ANY_PORT: &str = "127.0.0.1:0";

/// A client with an allocation, and a peer of its own on its channel.
struct Talk {
    client: Box<dyn Talker>,
    relayed: SocketAddr,
    peer: UdpSocket,
}

/// A client of any transport.
trait Talker {
    /// Sends a burst to the peer: on the channel and as Send indications in turn, all at once.
    fn burst(&mut self, peer: SocketAddr, payload: &[u8]);
    fn receive(&mut self) -> Packet;
}

impl<W: Wire> Talker for Client<W> {
    fn burst(&mut self, peer: SocketAddr, payload: &[u8]) {
        let packets = (0..BURST).map(|number| match number % 2 {
            0 => channel_data(CHANNEL, payload, self.wire.path()),
            _ => send_indication(TransactionId::new([7; 12]), peer, payload, false).unwrap(),
        });
        if self.wire.path() == Path::Stream {
            let together: Vec<u8> = packets.flatten().collect();
            self.wire.send(&together);
        } else {
            packets.collect::<Vec<_>>().iter().for_each(|packet| self.wire.send(packet));
        }
    }

    fn receive(&mut self) -> Packet {
        Client::receive(self)
    }
}

fn talk<W: Wire + 'static>(mut client: Client<W>) -> Talk {
    let peer = peer();
    let relayed = client.allocate();
    client.bind(CHANNEL, peer.local_addr().unwrap());
    Talk { client: Box::new(client), relayed, peer }
}

/// All clients send a burst at once, then all peers do; every packet arrives.
fn round(talks: &mut [Talk], payload: &[u8]) {
    for Talk { client, peer, .. } in &mut *talks {
        client.burst(peer.local_addr().unwrap(), payload);
    }
    for Talk { relayed, peer, .. } in &*talks {
        for _ in 0..BURST {
            assert_eq!(receive(peer), (payload.to_vec(), *relayed));
        }
    }
    for Talk { relayed, peer, .. } in &*talks {
        for _ in 0..BURST {
            peer.send_to(payload, *relayed).unwrap();
        }
    }
    for Talk { client, .. } in &mut *talks {
        for _ in 0..BURST {
            assert_eq!(client.receive(), Packet::Channel { number: CHANNEL, payload: payload.to_vec() });
        }
    }
}

/// All clients send a burst to the next one of them at once; every packet arrives.
fn round_of_clients(ring: &mut [(Client<UdpSocket>, SocketAddr)], payload: &[u8]) {
    for number in 0..ring.len() {
        let (_, next) = ring[(number + 1) % ring.len()];
        ring[number].0.burst(next, payload);
    }
    for (client, _) in ring {
        for _ in 0..BURST {
            assert!(matches!(client.receive(), Packet::Channel { number, .. } if number == CHANNEL + 1));
        }
    }
}

/// What the workers allocate in [`ROUNDS`] of these bursts, and how much of it they keep.
fn measure(mut round: impl FnMut(&[u8]), size: usize) -> (u64, i64) {
    let before = (ALLOCATIONS.load(Ordering::SeqCst), LIVE.load(Ordering::SeqCst));
    (0..ROUNDS).for_each(|_| round(&vec![size as u8; size]));
    (ALLOCATIONS.load(Ordering::SeqCst) - before.0, LIVE.load(Ordering::SeqCst) - before.1)
}

/// Repeats that until nothing is allocated any more: how much comes at once differs, and so a buffer may
/// grow late. What takes memory once in 10,000 packets is never through.
fn assert_settles(mut round: impl FnMut(&[u8]), size: usize, is_settled: impl Fn(u64, i64) -> bool) {
    let mut seen = Vec::new();
    while seen.last().is_none_or(|(allocations, left)| !is_settled(*allocations, *left)) {
        assert!(seen.len() < TRIES, "with payloads of {size} bytes: allocations and what is left {seen:?}");
        seen.push(measure(&mut round, size));
    }
}

#[test]
fn packets_of_live_allocations_allocate_nothing() {
    IS_THE_TEST.set(true);
    let identity = Identity::new();
    let mut plan = NodePlan::udp().listen(Transport::Tcp, ANY_PORT).listen(Transport::Tls, ANY_PORT);
    plan.listeners[2].tls = Some(identity.certificates());
    // As shipped, with records.
    let mut dynasty = Dynasty::new();
    let node = dynasty.records(plan).start();
    let (udp, tcp, tls) = (node.address(), node.address_of(1), node.address_of(2));
    let plain = |_| [talk(Client::udp(udp)), talk(Client::tcp(tcp))];
    let mut talks: Vec<_> = (0..CLIENTS).flat_map(plain).collect();
    assert!(ALLOCATIONS.load(Ordering::SeqCst) > 0, "setting up is counted");
    for size in SIZES {
        assert_settles(|payload| round(&mut talks, payload), size, |allocations, _| allocations == 0);
    }

    // rustls makes a buffer for each record that it writes, one for each packet, and a few for what it reads.
    talks.extend((0..CLIENTS).map(|_| talk(Client::tls(tls, &identity, &[]).unwrap())));
    let most = (CLIENTS * ROUNDS * (BURST + 16)) as u64;
    for size in SIZES {
        let is_settled = |allocations, left| allocations <= most && left == 0;
        assert_settles(|payload| round(&mut talks, payload), size, is_settled);
    }
    let (datagrams, calls) = (node.count(|it| it.datagrams_received), node.count(|it| it.receive_calls));
    assert!(datagrams > calls, "{datagrams} datagrams in {calls} calls: the bursts were not taken as such");

    // From client to client, of one worker and of two.
    let node = dynasty.records(NodePlan::udp().workers(2)).start();
    let mut ring = node.ring(2 * CLIENTS, CHANNEL);
    for size in SIZES {
        assert_settles(
            |payload| round_of_clients(&mut ring, payload),
            size,
            |allocations, _| allocations == 0,
        );
    }
}
