//! What of an [`Estate`] goes on, and with which worker.

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
    _estate: Estate,
    _workers: usize,
    _owner: impl Fn(SocketAddr) -> usize,
    _suspects: &[Touched],
) -> Shares {
    todo!()
}
