//! One page of shared memory: which generation counts, and what crashes there were.

use std::io;

use turn::record::AllocationRecord;

use super::Vault;

/// The page, of whom keeper and relay each have a mapping.
#[derive(Debug)]
pub struct State {}

/// Why a process ended that should not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crash {
    /// SIGKILL: nothing of ours is to blame.
    Killed,
    /// A panic, or a worker that stalled: the process aborted itself.
    Aborted,
    /// Another fatal signal, such as SIGSEGV.
    Fault,
    /// It ended before it served what it had found.
    NotRestored,
}

impl State {
    /// The vault's page, a new one if it has none that this program and boot can read.
    pub fn open(_vault: &Vault) -> io::Result<Self> {
        todo!()
    }

    /// The generation that counts; 0 before there was one.
    pub fn generation(&self) -> u64 {
        todo!()
    }

    /// From now on `generation` counts.
    pub fn set_generation(&self, _generation: u64) {
        todo!()
    }

    /// A number for a new generation, which nobody else gets.
    pub fn next_generation(&self) -> u64 {
        todo!()
    }

    /// Whether the relay has served since its keeper last started one.
    pub fn has_served(&self) -> bool {
        todo!()
    }

    /// Says so.
    pub fn set_served(&self, _served: bool) {
        todo!()
    }

    /// The keeper counts a crash.
    pub fn count_crash(&self, _crash: Crash) {
        todo!()
    }

    /// How many of a kind there were, since the page was made.
    pub fn crashes(&self, _crash: Crash) -> u64 {
        todo!()
    }

    /// A relay started without some records, or without all, since they may be why it crashed.
    pub fn count_left_out(&self, _records: u64) {
        todo!()
    }

    /// How many records were left out so.
    pub fn left_out(&self) -> u64 {
        todo!()
    }

    /// Worker `worker` is about to touch this allocation's records.
    pub fn touch(&self, _worker: usize, _allocation: Touched) {
        todo!()
    }

    /// What the workers of the processes before touched last, of as many crashes as may count: moves what
    /// [`Self::touch`] noted among the suspects and tells all of these.
    pub fn suspects(&self) -> Vec<Touched> {
        todo!()
    }

    /// Nobody is suspected any more.
    pub fn clear_suspects(&self) {
        todo!()
    }
}

/// An allocation, known across processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Touched(pub u64);

impl Touched {
    /// Of its 5-tuple and its beginning.
    pub fn of(_allocation: &AllocationRecord) -> Self {
        todo!()
    }
}
