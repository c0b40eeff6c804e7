//! Records for a relay of another version, which takes over from this one.

use std::io;
use std::sync::Arc;

use turn::AddressFamily;
use turn::record::{Change, Place, VERSION, is_known};

use super::format::{Contents, Owner};
use super::read::{self, Unusable, contents};
use super::{NewFiles, Records};
use crate::recovery::Vault;
use crate::recovery::state::State;

/// The last version of records that this relay can read and write.
pub const fn highest_version() -> u16 {
    VERSION
}

/// The version that a generation's records are of.
///
/// # Errors
/// When they cannot be read.
pub fn version_of(vault: &Vault, generation: u64) -> Result<u16, Unusable> {
    let mut highest = 0;
    for (piece, owner, file) in read::files(vault, generation)? {
        highest = highest.max(read::header(&piece, owner, generation, &file)?.version);
    }
    Ok(highest)
}

/// Writes what a generation has once more, in `version`, for a relay that reads no later one: as a new
/// generation, whose number this tells. Nobody may write to the former one meanwhile.
///
/// # Errors
/// When it cannot be read, or not be written in that version, or has no room twice.
pub fn rewrite(vault: &Vault, state: &State, generation: u64, version: u16) -> Result<u64, Unusable> {
    if !is_known(version) {
        return Err(Unusable::Unwritable { version });
    }
    let contents = contents(vault, generation)?;
    let into = state.next_generation();
    write(vault, into, version, contents).map_err(|source| Unusable::NotRewritten { source })?;
    Ok(into)
}

fn write(vault: &Vault, generation: u64, version: u16, contents: Vec<(Owner, Contents)>) -> io::Result<()> {
    let files = NewFiles::of(vault, generation, version)?;
    let node = Arc::new(files.create(Owner::Node)?);
    let (workers, nodes): (Vec<_>, Vec<_>) =
        contents.into_iter().partition(|(owner, _)| matches!(owner, Owner::Worker(_)));
    // Whichever worker writes them.
    let mut reservations: Vec<_> =
        nodes.into_iter().flat_map(|(_, contents)| contents.reservations).collect();
    for (owner, mut contents) in workers {
        let mut records = Records::new(&files, owner, Arc::clone(&node))?;
        contents.reservations.append(&mut reservations);
        records.write_all(contents)?;
    }
    Ok(())
}

impl Records {
    fn write_all(&mut self, contents: Contents) -> io::Result<()> {
        let Contents { allocations, permissions, channels, deletions, reservations, damaged: _ } = contents;
        let place = |cell: usize| Place::new(cell as u32);
        for (record, tallied) in allocations {
            let id = record.id;
            self.write(&Change::Allocation { id, record: Some(Box::new(record)) })?;
            if let Some(tally) = self.tallies().get(id.index()) {
                tally.write(&tallied);
            }
        }
        for (cell, record) in permissions {
            self.write(&Change::Permission { place: place(cell), record })?;
        }
        for (cell, record) in channels {
            self.write(&Change::Channel { place: place(cell), record })?;
        }
        for (cell, record) in deletions {
            self.write(&Change::Deletion { place: place(cell), record })?;
        }
        for record in reservations {
            let (family, port) = (AddressFamily::of(record.address.bind), record.port);
            self.write(&Change::Reservation { family, port, record: Some(Box::new(record)) })?;
        }
        Ok(())
    }
}
