//! Sockets of a UDP listener's group whose workers there are no more.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use turn::{Client, Entrance};

use crate::net::steering::Steering;
use crate::worker::counters::SocketStats;
use crate::worker::datagrams::{Datagrams, Listener};
use crate::worker::mailbox::{Mailbox, Post};

/// How long a datagram may be on its way inside the kernel to the socket that the old program chose.
const ON_THE_WAY: Duration = Duration::from_millis(2);
/// How long a worker may take to make room in its mailbox.
const PATIENCE: Duration = Duration::from_secs(1);

/// A socket that the program does not name any more.
pub(super) struct Leaving {
    /// Its listener's place in the plan.
    pub(super) place: usize,
    /// Its place in its group, counted from the first that leaves.
    pub(super) number: usize,
    pub(super) socket: UdpSocket,
    /// Where it is.
    pub(super) address: SocketAddr,
    /// By which way clients come there.
    pub(super) entrance: Entrance,
}

/// Hands what waits in them to the workers that it belongs to, which run, and closes them, the last of a group
/// first.
pub(super) fn empty(mut leaving: Vec<Leaving>, steering: Steering, mailboxes: &[Arc<Mailbox>]) {
    if leaving.is_empty() {
        return;
    }
    leaving.sort_by_key(|leaving| std::cmp::Reverse(leaving.number));
    let listener = |Leaving { socket, address, place, entrance, .. }: Leaving| {
        Some(Listener::new(socket, address, place, entrance))
    };
    let sockets = leaving.len();
    let mut courier = Courier {
        datagrams: Datagrams::new(leaving.into_iter().map(listener).collect()),
        steering,
        post: Post::new(mailboxes.to_vec()),
    };
    for _ in 0..2 {
        (0..sockets).for_each(|index| courier.empty(index));
        thread::sleep(ON_THE_WAY);
    }
    // Dropped in this order, in which they are closed.
    drop(courier);
}

struct Courier {
    datagrams: Datagrams,
    steering: Steering,
    post: Post,
}

impl Courier {
    /// Empties the socket at `index`.
    fn empty(&mut self, index: usize) {
        // What the sockets of workers count is theirs.
        let stats = &mut SocketStats::default();
        while let Some(received) = self.datagrams.receive_from_clients(index, stats)
            && (received.more || !received.slots.is_empty())
        {
            for slot in received.slots {
                let Some(client) = self.datagrams.client(index, slot) else { continue };
                let (buffer, packet) = self.datagrams.slot_mut(slot);
                let packet = buffer.get(packet).unwrap_or_default();
                hand_over(&mut self.post, self.steering, &client, packet);
            }
            self.datagrams.end_round(stats);
            self.post.ring();
        }
    }
}

/// Hands a datagram to its owner, who may have to make room for it first.
fn hand_over(post: &mut Post, steering: Steering, client: &Client, packet: &[u8]) {
    let begin = Instant::now();
    let owner = steering.owner(client.five_tuple.client.get());
    while !post.hand_over(owner, client, packet) && begin.elapsed() < PATIENCE {
        post.ring();
        thread::yield_now();
    }
}
