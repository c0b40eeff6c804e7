//! Records of allocations in shared memory: one file for each worker of a generation.
//!
//! A generation is one relay process's life. It writes into files of its own, named by it, and takes in those
//! of the generation that [`State::generation`](super::state::State::generation) names, until all of it is
//! taken in and that word names its own.
//!
//! | | |
//! | --- | --- |
//! | [`format`] | what stands where in a file, and how it is read, from any bytes |
//! | [`table`] | cells as memory, of which a file takes room as they are used |
//! | [`read`](mod@read) | what a generation left, never trusted |
//! | [`rewrite`](mod@rewrite) | the same once more, for a relay of another version |

pub mod format;
mod name;
mod read;
mod rewrite;
mod table;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use turn::record::{
    AllocationId, AllocationRecord, Change, DeletionRecord, Record, ReservationRecord, Survivor, Tally,
    VERSION,
};
use zeroize::Zeroizing;

use self::format::{
    ALLOCATIONS, CHANNELS, Clock, DELETIONS, Header, Owner, PERMISSIONS, RESERVATIONS, SEGMENT, TALLIES,
};
pub use self::read::{Unusable, read};
pub use self::rewrite::{highest_version, rewrite, version_of};
use self::table::{Table, take_room};
use super::memory::Tallies;
use super::{Vault, boot};

/// Where one worker writes its records.
#[derive(Debug)]
pub struct Records {
    version: u16,
    file: OwnedFd,
    tallies: Tallies,
    /// By segment: whether the file has these tallies already.
    shared: Vec<bool>,
    allocations: Table,
    permissions: Table,
    channels: Table,
    deletions: Table,
    node: Arc<OwnedFd>,
    reservations: Table,
    /// For one record at a time.
    bytes: Zeroizing<Vec<u8>>,
}

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
    pub fn create(vault: &Vault, generation: u64, workers: usize) -> io::Result<Vec<Self>> {
        let files = NewFiles::of(vault, generation, VERSION)?;
        let node = Arc::new(files.create(Owner::Node)?);
        let worker = |worker| Self::new(&files, Owner::Worker(worker), Arc::clone(&node));
        (0..workers as u32).map(worker).collect()
    }

    /// What [`turn::Turn::recording`] takes.
    pub const fn tallies(&self) -> &'static [Tally] {
        self.tallies.all()
    }

    /// Writes a change down. Whoever is killed meanwhile leaves what was, or what is.
    ///
    /// # Errors
    /// When there is no room for it: the call goes on, and is not protected.
    pub fn write(&mut self, change: &Change) -> io::Result<()> {
        if let Change::Allocation { id, record: Some(_) } = change {
            self.share_tally(*id)?;
        }
        let Self { file, node, .. } = self;
        let (file, node) = (file.as_fd(), node.as_fd());
        let mut encoder = Encoder { version: self.version, bytes: &mut self.bytes };
        match change {
            Change::Allocation { id, record: Some(record) } => {
                self.allocations.write(file, id.index(), encoder.encode(&**record)?)
            }
            Change::Allocation { id, record: None } => self.allocations.clear(file, id.index()),
            Change::Permission { place, record } => {
                self.permissions.write(file, place.index(), encoder.encode(record)?)
            }
            Change::Channel { place, record } => {
                self.channels.write(file, place.index(), encoder.encode(record)?)
            }
            Change::Deletion { place, record } => {
                self.deletions.write(file, place.index(), encoder.encode(record)?)
            }
            Change::Reservation { family, port, record } => {
                let cell = format::reservation(*family, *port);
                match record {
                    Some(record) => self.reservations.write(node, cell, encoder.encode(&**record)?),
                    // Another worker may have written it.
                    None => self.reservations.write(node, cell, &[]),
                }
            }
        }
    }

    fn new(files: &NewFiles<'_>, owner: Owner, node: Arc<OwnedFd>) -> io::Result<Self> {
        Ok(Self {
            version: files.version,
            file: files.create(owner)?,
            tallies: Tallies::new(TALLIES.cells)?,
            shared: vec![false; TALLIES.cells / TALLIES.in_segment()],
            allocations: Table::new(&ALLOCATIONS),
            permissions: Table::new(&PERMISSIONS),
            channels: Table::new(&CHANNELS),
            deletions: Table::new(&DELETIONS),
            node,
            reservations: Table::new(&RESERVATIONS),
            bytes: Zeroizing::new(vec![0; AllocationRecord::MAX_LEN.max(ReservationRecord::MAX_LEN)]),
        })
    }

    /// Makes the file say what an allocation's tally does.
    fn share_tally(&mut self, id: AllocationId) -> io::Result<()> {
        let (segment, _) = TALLIES.place(id.index()).ok_or(ErrorKind::StorageFull)?;
        match self.shared.get_mut(segment) {
            Some(shared) if !*shared => {
                let start = TALLIES.start_of(segment);
                take_room(self.file.as_fd(), start)?;
                self.tallies.share(segment * SEGMENT, &self.file, start, SEGMENT)?;
                *shared = true;
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

/// Removes the files of all generations but `kept`.
pub fn remove_all_but(vault: &Vault, kept: &[u64]) -> io::Result<()> {
    for name in vault.names()? {
        if name::parse(&name).is_some_and(|(generation, _)| !kept.contains(&generation)) {
            vault.remove(&name)?;
        }
    }
    Ok(())
}

/// The generations of which there are files.
pub(super) fn generations(vault: &Vault) -> io::Result<Vec<u64>> {
    let names = vault.names()?;
    Ok(names.iter().filter_map(|name| name::parse(name)).map(|(generation, _)| generation).collect())
}

/// Makes the files of a generation.
#[derive(Debug)]
struct NewFiles<'v> {
    vault: &'v Vault,
    generation: u64,
    version: u16,
    clock: Clock,
}

impl<'v> NewFiles<'v> {
    fn of(vault: &'v Vault, generation: u64, version: u16) -> io::Result<Self> {
        Ok(Self { vault, generation, version, clock: boot::clock()? })
    }

    fn create(&self, owner: Owner) -> io::Result<OwnedFd> {
        let Self { vault, generation, version, clock } = *self;
        let file = File::from(vault.create(&name::of(generation, owner))?);
        file.write_all_at(&Header { version, generation, owner, clock }.to_bytes(), 0)?;
        Ok(file.into())
    }
}

/// Makes bytes of records, of which it holds one at a time.
struct Encoder<'b> {
    version: u16,
    bytes: &'b mut Zeroizing<Vec<u8>>,
}

impl Encoder<'_> {
    fn encode<R: Record>(&mut self, record: &R) -> io::Result<&[u8]> {
        let length = record.encode_as(self.version, self.bytes).ok_or(ErrorKind::InvalidInput)?;
        self.bytes.get(..length).ok_or(ErrorKind::InvalidInput.into())
    }
}
