//! Records of allocations in shared memory: one file for each worker of a generation.
//!
//! A generation is one relay process's life. It writes into files of its own, named by it, and takes in those
//! of the generation that [`State::generation`](super::state::State::generation) names, until all of it is
//! taken in and that word names its own.

use std::io;

use thiserror::Error;
use turn::record::{Change, DeletionRecord, ReservationRecord, Survivor, Tally};

use super::Vault;

/// Where one worker writes its records.
#[derive(Debug)]
pub struct Records {}

/// Why a generation cannot be taken in.
#[derive(Debug, Error)]
pub enum Unusable {}

/// What a generation left.
#[derive(Debug, Default)]
pub struct Estate {
    /// Allocations with what belongs to them, of all workers, in no order.
    pub survivors: Vec<Survivor>,
    /// Ports that wait for their token.
    pub reservations: Vec<ReservationRecord>,
    /// Refreshes that deleted something.
    pub deletions: Vec<DeletionRecord>,
    /// Records that could not be read: each is left out.
    pub damaged: u64,
}

impl Records {
    /// Makes the empty records of `generation`, one for each of `workers`. Each knows the identity of the boot.
    pub fn create(_vault: &Vault, _generation: u64, _workers: usize) -> io::Result<Vec<Self>> {
        todo!()
    }

    /// What [`turn::Turn::recording`] takes.
    pub fn tallies(&self) -> &'static [Tally] {
        todo!()
    }

    /// Writes a change down. Whoever is killed meanwhile leaves what was, or what is.
    ///
    /// # Errors
    /// When there is no room for it: the call goes on, and is not protected.
    pub fn write(&mut self, _change: &Change) -> io::Result<()> {
        todo!()
    }
}

/// Reads what `generation` left.
///
/// # Errors
/// When it is of another boot, another layout, or forged.
pub fn read(_vault: &Vault, _generation: u64) -> Result<Estate, Unusable> {
    todo!()
}

/// Removes the files of all generations but `kept`.
pub fn remove_all_but(_vault: &Vault, _kept: &[u64]) -> io::Result<()> {
    todo!()
}
