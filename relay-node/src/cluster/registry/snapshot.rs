//! Of the nodes that are known, who clients are sent to.
//!
//! Whole nodes of the own zone come first. Others are no choice as long as these have room, for with two random ones
//! of all, a client would leave its zone whenever both are elsewhere. Among those that come first, room decides: what a node
//! can still take, less where it relays more than others.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use rand::{Rng, RngExt as _};
use turn::{AddressFamily, Alternate, Transport};

use super::entry::Entry;

/// A node, and how often it has been chosen here since it told its load.
#[derive(Clone, Debug)]
pub(super) struct Choice {
    /// What it told.
    pub(super) entry: Arc<Entry>,
    /// Counted up by who chooses it.
    pub(super) chosen: Arc<AtomicU32>,
    /// Whether it is this node itself.
    pub(super) own: bool,
}

/// A way to reach a node: nodes of the one can be full, and those of the other have room.
type Way = (Transport, AddressFamily);

/// How late a node's turn is: those that are less than whole come last, those of other zones after those of the own.
type Turn = (bool, bool);

const TURNS: [Turn; 4] = [(false, false), (false, true), (true, false), (true, true)];

/// Below this, what a node relays hardly counts, in bits per second.
const LITTLE: u64 = 100_000_000;

/// Who clients of this zone are sent to.
pub(super) fn alternates(nodes: &[Choice], zone: &str) -> Vec<Alternate> {
    let last_turns = ways().map(|way| (way, last_turn(nodes, zone, way)));
    let busiest = busiest(nodes);
    let alternate = |node: &Choice| {
        let turn = node.turn(zone);
        let is_needed = |way| last_turns.iter().any(|(it, last)| *it == way && turn <= *last);
        let addresses: Vec<_> = node.addresses().filter(|address| is_needed(way_of(address))).collect();
        let tls = node.entry.tls.as_ref();
        (!addresses.is_empty()).then(|| Alternate {
            addresses,
            domain: tls.and_then(|tls| tls.domain.as_deref().map(Into::into)),
            certificate_covers: tls.map(|tls| tls.covers.clone()).unwrap_or_default(),
            room: room(&node.entry, busiest),
            chosen: Arc::clone(&node.chosen),
            own: node.own,
        })
    };
    nodes.iter().filter(|node| node.takes_calls()).filter_map(alternate).collect()
}

/// The best `most` nodes that are reached by one of the families, the first one chosen thereby: of two random ones whose turn
/// it is the one with more room, again and again.
pub(super) fn best<'a>(
    nodes: &'a [Choice],
    zone: &str,
    families: &[AddressFamily],
    most: usize,
    random: &mut impl Rng,
) -> Vec<&'a Choice> {
    let reached = |node: &Choice| node.entry.families().any(|family| families.contains(&family));
    let busiest = busiest(nodes);
    let room = |node: &Choice| {
        i64::from(room(&node.entry, busiest)) - i64::from(node.chosen.load(Ordering::Relaxed))
    };
    let mut best = Vec::new();
    for turn in TURNS {
        let fits = |node: &&Choice| node.takes_calls() && reached(node) && node.turn(zone) == turn;
        let mut left: Vec<&Choice> = nodes.iter().filter(fits).collect();
        while best.len() < most && !left.is_empty() {
            let (one, other) = (random.random_range(0..left.len()), random.random_range(0..left.len()));
            let better = [one, other].into_iter().max_by_key(|at| left.get(*at).map(|node| room(node)));
            best.push(left.swap_remove(better.unwrap_or(one)));
        }
    }
    if let Some(first) = best.first() {
        first.chosen.fetch_add(1, Ordering::Relaxed);
    }
    best
}

impl Choice {
    /// Where clients can be sent. What is read from Redis has been checked; what the configuration of this node says
    /// has not.
    fn addresses(&self) -> impl Iterator<Item = (Transport, SocketAddr)> {
        self.entry.addresses.iter().copied().filter(|(_, address)| super::entry::is_public(*address))
    }

    fn takes_calls(&self) -> bool {
        !self.entry.load.draining && self.entry.free() > 0
    }

    /// This node is never less than the others for its own troubles: what it has with Redis, they have too.
    fn turn(&self, zone: &str) -> Turn {
        (!self.own && !self.entry.degraded.is_empty(), self.entry.zone != zone)
    }

    /// What it can take beyond those who are on their way.
    fn left(&self) -> u64 {
        self.entry.free().saturating_sub(self.chosen.load(Ordering::Relaxed)).into()
    }
}

/// Up to whose turn nodes are needed, so that a tenth of what those can have that come by `way` is free.
fn last_turn(nodes: &[Choice], zone: &str, way: Way) -> Turn {
    let (mut left, mut capacity) = (0, 0);
    let is_there =
        |node: &&Choice| !node.entry.load.draining && node.addresses().any(|at| way_of(&at) == way);
    for turn in TURNS {
        for node in nodes.iter().filter(is_there).filter(|node| node.turn(zone) == turn) {
            left += node.left();
            capacity += u64::from(node.entry.load.capacity);
        }
        if left > capacity / 10 {
            return turn;
        }
    }
    (true, true)
}

fn ways() -> [Way; 6] {
    let [v4, v6] = [AddressFamily::V4, AddressFamily::V6];
    let [udp, tcp, tls] = [Transport::Udp, Transport::Tcp, Transport::Tls];
    [(udp, v4), (udp, v6), (tcp, v4), (tcp, v6), (tls, v4), (tls, v6)]
}

fn way_of((transport, address): &(Transport, SocketAddr)) -> Way {
    (*transport, AddressFamily::of(address.ip()))
}

fn busiest(nodes: &[Choice]) -> u64 {
    nodes.iter().map(|node| node.entry.load.bits_per_second).max().unwrap_or(0)
}

/// What it can take, half of it where it is the busiest one by far.
fn room(entry: &Entry, busiest: u64) -> u32 {
    let scale = u128::from(busiest.max(LITTLE));
    let room = u128::from(entry.free()) * scale / (scale + u128::from(entry.load.bits_per_second));
    u32::try_from(room).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
