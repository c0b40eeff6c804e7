//! A little shared memory: which generation counts, and what crashes there were.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, ErrorKind};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{FallocateFlags, fallocate};
use turn::record::AllocationRecord;

use super::memory::{Mapping, WORD};
use super::records::format::Clock;
use super::{Vault, boot, records};

/// Of whom keeper and relay each have a mapping.
#[derive(Debug)]
pub struct State {
    memory: Mapping,
}

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

/// The piece's name.
const NAME: &str = "state";
const MAGIC: u64 = u64::from_ne_bytes(*b"EdgeStat");
/// Grows with every change of what follows. Up to the generations, no layout is another.
const LAYOUT: u64 = 1;
/// Workers of whom it is known what they touched.
const WORKERS: usize = 1024;
/// Suspects that are remembered; more of them take the place of the first.
const SUSPECTS: usize = 4096;

/// What is beside the generation in [`word::OFFERED`] when it has taken the place.
const TAKEN: u64 = 1 << 63;

/// Where everything stands: the first word of each.
mod word {
    pub(super) const MAGIC: usize = 0;
    pub(super) const LAYOUT: usize = 1;
    pub(super) const GENERATION: usize = 2;
    pub(super) const LAST_GENERATION: usize = 3;
    pub(super) const BOOT: usize = 4;
    pub(super) const TIME_NAMESPACE: usize = 6;
    pub(super) const HAS_SERVED: usize = 7;
    pub(super) const CRASHES: usize = 8;
    pub(super) const LEFT_OUT: usize = 12;
    pub(super) const NEXT_SUSPECT: usize = 13;
    pub(super) const OFFERED: usize = 14;
    pub(super) const KEEPER: usize = 15;
    pub(super) const HEIRS_KEEPER: usize = 16;
    pub(super) const TOUCHED: usize = 17;
    pub(super) const SUSPECTS: usize = TOUCHED + super::WORKERS;
    pub(super) const END: usize = SUSPECTS + super::SUSPECTS;
}

const LEN: usize = (word::END * WORD).next_multiple_of(64 * 1024);

impl State {
    /// The vault's, a new one if it has none that this program and boot can read. One of another boot or layout
    /// leaves the generation that counted, so that whoever reads that can say what became of it.
    ///
    /// # Errors
    /// When there is no room for it, or somebody else made it.
    pub fn open(vault: &Vault) -> io::Result<Self> {
        let clock = boot::clock()?;
        vault.exclusively(|| {
            let former = match vault.open(NAME)?.map(|piece| Mapping::of(piece, 0, LEN)) {
                Some(Ok(memory)) => Some(Self { memory }),
                // Shorter than any of ours.
                Some(Err(error)) if error.kind() == ErrorKind::UnexpectedEof => None,
                Some(Err(error)) => return Err(error),
                None => None,
            };
            match former.filter(|former| former.word(word::MAGIC).load(Ordering::Acquire) == MAGIC) {
                Some(former) if former.is_of(clock) => Ok(former),
                former => Self::make(vault, clock, former.as_ref()),
            }
        })
    }

    /// The generation that counts; 0 before there was one.
    pub fn generation(&self) -> u64 {
        self.taken().unwrap_or_else(|| self.word(word::GENERATION).load(Ordering::Acquire))
    }

    /// The number of the keeper of the generation that counts; 0 if it has none.
    pub fn keeper(&self) -> u32 {
        let keeper = if self.taken().is_some() { word::HEIRS_KEEPER } else { word::KEEPER };
        self.word(keeper).load(Ordering::Acquire) as u32
    }

    /// From now on `generation` counts, which `keeper` keeps.
    pub fn set_generation(&self, generation: u64, keeper: u32) {
        self.word(word::KEEPER).store(keeper.into(), Ordering::Release);
        self.word(word::GENERATION).store(generation, Ordering::Release);
        // Last: until then a place that was taken is.
        self.word(word::OFFERED).store(0, Ordering::Release);
    }

    /// The relay that serves stands still and offers its place to `generation`.
    pub fn offer(&self, generation: u64) {
        self.word(word::OFFERED).store(generation, Ordering::Release);
    }

    /// Takes the place that was offered, if it still is: from now on `generation` counts, which `keeper` keeps.
    pub fn take_offer(&self, generation: u64, keeper: u32) -> bool {
        self.word(word::HEIRS_KEEPER).store(keeper.into(), Ordering::Release);
        // One store says all: whoever is killed before has not taken it, whoever is killed after has.
        let taken = self.end_offer(generation, generation | TAKEN);
        if taken {
            self.set_generation(generation, keeper);
        }
        taken
    }

    /// Takes the offer back; whether nobody has taken the place. Then nobody will.
    pub fn withdraw_offer(&self, generation: u64) -> bool {
        self.end_offer(generation, 0)
    }

    fn end_offer(&self, generation: u64, end: u64) -> bool {
        let offered = self.word(word::OFFERED);
        offered.compare_exchange(generation, end, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    /// The generation that has taken the place that was offered to it, until that is written down elsewhere.
    fn taken(&self) -> Option<u64> {
        let offered = self.word(word::OFFERED).load(Ordering::Acquire);
        (offered & TAKEN != 0).then_some(offered & !TAKEN)
    }

    /// A number for a new generation, which nobody else gets.
    pub fn next_generation(&self) -> u64 {
        self.word(word::LAST_GENERATION).fetch_add(1, Ordering::AcqRel).wrapping_add(1)
    }

    /// Whether the relay has served since its keeper last started one.
    pub fn has_served(&self) -> bool {
        self.word(word::HAS_SERVED).load(Ordering::Acquire) != 0
    }

    /// Says so.
    pub fn set_served(&self, served: bool) {
        self.word(word::HAS_SERVED).store(served.into(), Ordering::Release);
    }

    /// The keeper counts a crash.
    pub fn count_crash(&self, crash: Crash) {
        self.word(word::CRASHES + crash as usize).fetch_add(1, Ordering::Relaxed);
    }

    /// How many of a kind there were, since the boot.
    pub fn crashes(&self, crash: Crash) -> u64 {
        self.word(word::CRASHES + crash as usize).load(Ordering::Relaxed)
    }

    /// A relay started without some records, or without all, since they may be why it crashed.
    pub fn count_left_out(&self, records: u64) {
        self.word(word::LEFT_OUT).fetch_add(records, Ordering::Relaxed);
    }

    /// How many records were left out so.
    pub fn left_out(&self) -> u64 {
        self.word(word::LEFT_OUT).load(Ordering::Relaxed)
    }

    /// Worker `worker` is about to touch this allocation's records.
    pub fn touch(&self, worker: usize, Touched(allocation): Touched) {
        if let Some(touched) = self.words(word::TOUCHED, WORKERS).get(worker) {
            touched.store(allocation, Ordering::Relaxed);
        }
    }

    /// The process that crashed may have done so for what its workers touched last.
    pub fn suspect_touched(&self) {
        let places = self.words(word::SUSPECTS, SUSPECTS);
        for touched in self.words(word::TOUCHED, WORKERS) {
            let touched = touched.swap(0, Ordering::Relaxed);
            if touched != 0 && !places.iter().any(|it| it.load(Ordering::Relaxed) == touched) {
                let place = self.word(word::NEXT_SUSPECT).fetch_add(1, Ordering::Relaxed) as usize % SUSPECTS;
                places.iter().skip(place).take(1).for_each(|it| it.store(touched, Ordering::Relaxed));
            }
        }
    }

    /// The process ended for nothing that its workers touched.
    pub fn forget_touched(&self) {
        self.words(word::TOUCHED, WORKERS).iter().for_each(|it| it.store(0, Ordering::Relaxed));
    }

    /// What may be why processes crashed: as many crashes as there were since [`Self::clear_suspects`].
    pub fn suspects(&self) -> Vec<Touched> {
        let suspects = self.words(word::SUSPECTS, SUSPECTS).iter().map(|it| it.load(Ordering::Relaxed));
        suspects.filter(|suspect| *suspect != 0).map(Touched).collect()
    }

    /// Nobody is suspected any more.
    pub fn clear_suspects(&self) {
        self.words(word::SUSPECTS, SUSPECTS).iter().for_each(|it| it.store(0, Ordering::Relaxed));
    }

    /// A new one. What `former` says of generations stays.
    fn make(vault: &Vault, clock: Clock, former: Option<&Self>) -> io::Result<Self> {
        let (generation, last) = match former {
            Some(former) => (former.generation(), former.word(word::LAST_GENERATION).load(Ordering::Acquire)),
            None => (0, 0),
        };
        let piece = vault.create(NAME)?;
        fallocate(&piece, FallocateFlags::empty(), 0, LEN as u64)?;
        let state = Self { memory: Mapping::of(piece, 0, LEN)? };
        // Above all that left files, whoever made these.
        let last = records::generations(vault)?.into_iter().fold(last.max(generation), u64::max);
        let [high, low] = [(clock.boot >> 64) as u64, clock.boot as u64];
        let header = [
            (word::LAYOUT, LAYOUT),
            (word::GENERATION, generation),
            (word::LAST_GENERATION, last),
            (word::BOOT, high),
            (word::BOOT + 1, low),
            (word::TIME_NAMESPACE, clock.namespace),
            // Last: who is killed before leaves what nobody takes for one.
            (word::MAGIC, MAGIC),
        ];
        header.iter().for_each(|(word, value)| state.word(*word).store(*value, Ordering::Release));
        Ok(state)
    }

    fn is_of(&self, clock: Clock) -> bool {
        let of = |word| self.word(word).load(Ordering::Relaxed);
        let boot = u128::from(of(word::BOOT)) << 64 | u128::from(of(word::BOOT + 1));
        of(word::LAYOUT) == LAYOUT && clock == Clock { boot, namespace: of(word::TIME_NAMESPACE) }
    }

    fn word(&self, word: usize) -> &AtomicU64 {
        #[expect(clippy::indexing_slicing, reason = "`word` names constants, of which END is the last")]
        &self.memory.words()[word]
    }

    fn words(&self, first: usize, count: usize) -> &[AtomicU64] {
        self.memory.words().get(first..first + count).unwrap_or_default()
    }
}

/// An allocation, known across processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Touched(pub u64);

impl Touched {
    /// Of its 5-tuple and its beginning.
    pub fn of(allocation: &AllocationRecord) -> Self {
        // Without keys of its own: every process that this program makes has the same hashes. One of another
        // toolchain may not, and then suspects nobody.
        let mut hasher = DefaultHasher::new();
        (allocation.five_tuple, allocation.created).hash(&mut hasher);
        // Zero is nobody.
        Self(hasher.finish().max(1))
    }
}

#[cfg(test)]
mod tests;
