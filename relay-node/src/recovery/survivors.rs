//! What of an [`Estate`] goes on, and with which worker.

use std::cmp::Reverse;
use std::collections::HashSet;
use std::net::SocketAddr;

use turn::record::{DeletionRecord, ReservationRecord, Survivor};

use super::records::Estate;
use super::state::Touched;

/// What one worker takes in.
#[derive(Debug, Default)]
pub struct Share {
    /// Allocations, newest first.
    pub survivors: Vec<Survivor>,
    /// Deletions of its clients.
    pub deletions: Vec<DeletionRecord>,
}

/// An estate, divided.
#[derive(Debug, Default)]
pub struct Shares {
    /// By worker.
    pub workers: Vec<Share>,
    /// For the first worker, after all allocations.
    pub reservations: Vec<ReservationRecord>,
    /// Allocations of TCP and TLS clients, whose connections are gone.
    pub of_streams: usize,
    /// Older ones of two with a port or a 5-tuple in common.
    pub outdated: usize,
    /// Left out as suspects.
    pub suspected: usize,
}

/// Divides `estate` among `workers`, of whom `owner` names a client's.
pub fn divide(
    estate: Estate,
    workers: usize,
    owner: impl Fn(SocketAddr) -> usize,
    suspects: &[Touched],
) -> Shares {
    let Estate { mut survivors, reservations, deletions, damaged: _ } = estate;
    let mut shares = Shares { reservations, ..Shares::default() };
    shares.workers.resize_with(workers.max(1), Share::default);
    let (mut known, suspects) = (Known::default(), suspects.iter().collect::<HashSet<_>>());
    survivors.sort_by_key(|survivor| Reverse(survivor.allocation.created));
    for survivor in survivors {
        let five_tuple = survivor.allocation.five_tuple;
        // Before all else: what is left out below was there all the same, and what is older was not any more.
        if known.contradict(&survivor) {
            shares.outdated += 1;
        } else if five_tuple.transport.is_stream() {
            shares.of_streams += 1;
        } else if suspects.contains(&Touched::of(&survivor.allocation)) {
            shares.suspected += 1;
        } else if let Some(share) = shares.workers.get_mut(owner(five_tuple.client.get())) {
            share.survivors.push(survivor);
        }
    }
    // A client whose connection is gone repeats nothing.
    for deletion in deletions.into_iter().filter(|deletion| !deletion.five_tuple.transport.is_stream()) {
        if let Some(share) = shares.workers.get_mut(owner(deletion.five_tuple.client.get())) {
            share.deletions.push(deletion);
        }
    }
    shares
}

/// What the newer allocations have.
#[derive(Debug, Default)]
struct Known {
    five_tuples: HashSet<turn::FiveTuple>,
    relayed: HashSet<SocketAddr>,
}

impl Known {
    /// Whether one of them has something of `survivor`, whose end nobody wrote down then. If not, it is one
    /// of them.
    fn contradict(&mut self, survivor: &Survivor) -> bool {
        let relayed = || survivor.allocation.relayed.present().map(|(_, relayed)| relayed.local());
        let five_tuple = survivor.allocation.five_tuple;
        if self.five_tuples.contains(&five_tuple) || relayed().any(|it| self.relayed.contains(&it)) {
            return true;
        }
        self.five_tuples.insert(five_tuple);
        self.relayed.extend(relayed());
        false
    }
}

#[cfg(test)]
mod tests;
