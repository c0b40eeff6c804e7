//! In steady state a live worker allocates nothing for a packet, in any direction.
//!
//! Alone in its file: the counting allocator is the process's.
#![allow(unsafe_code, reason = "an allocator cannot be written without")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

#[path = "daemon/support/mod.rs"]
mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};

use support::{Client, NodePlan, Packet, Wire, peer, receive};
use turn::Transport;

/// Counts what every thread but the test's own allocates: the workers.
struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

thread_local! {
    static IS_THE_TEST: Cell<bool> = const { Cell::new(false) };
}

fn count() {
    if !IS_THE_TEST.get() {
        ALLOCATIONS.fetch_add(1, Ordering::SeqCst);
    }
}

// SAFETY: everything is the system allocator's work; counting touches no memory of the caller.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: as the caller has promised.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: as the caller has promised.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, start: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: as the caller has promised.
        unsafe { System.realloc(start, layout, size) }
    }

    unsafe fn dealloc(&self, start: *mut u8, layout: Layout) {
        // SAFETY: as the caller has promised.
        unsafe { System.dealloc(start, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Bursts of packets by channel and by indication, from the client and back.
fn relay<W: Wire>(client: &mut Client<W>, relayed: std::net::SocketAddr, peer: &std::net::UdpSocket) {
    let address = peer.local_addr().unwrap();
    for round in 0..50u8 {
        for size in [1, 160, 160, 1200] {
            let payload = vec![round; size];
            client.send_channel(0x4000, &payload);
            client.send(address, &payload, false);
            assert_eq!(receive(peer), (payload.clone(), relayed));
            assert_eq!(receive(peer), (payload.clone(), relayed));
            peer.send_to(&payload, relayed).unwrap();
            peer.send_to(&payload, relayed).unwrap();
            for _ in 0..2 {
                let expected = Packet::Channel { number: 0x4000, payload: payload.clone() };
                assert_eq!(client.receive(), expected);
            }
        }
    }
}

#[test]
fn packets_of_live_allocations_allocate_nothing() {
    IS_THE_TEST.set(true);
    let node = NodePlan::udp().listen(Transport::Tcp, "127.0.0.1:0").start();
    let peer = peer();
    let (mut datagrams, mut stream) = (Client::udp(node.address()), Client::tcp(node.address_of(1)));
    let (by_datagram, by_stream) = (datagrams.allocate(), stream.allocate());
    datagrams.bind(0x4000, peer.local_addr().unwrap());
    stream.bind(0x4000, peer.local_addr().unwrap());
    assert!(ALLOCATIONS.load(Ordering::SeqCst) > 0, "setting up is counted");

    relay(&mut datagrams, by_datagram, &peer);
    relay(&mut stream, by_stream, &peer);
    let before = ALLOCATIONS.load(Ordering::SeqCst);
    relay(&mut datagrams, by_datagram, &peer);
    relay(&mut stream, by_stream, &peer);
    assert_eq!(ALLOCATIONS.load(Ordering::SeqCst) - before, 0);
}
