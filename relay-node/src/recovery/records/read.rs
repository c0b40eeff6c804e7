//! Taking in what a generation left, which is never trusted: whatever stands in its files, this ends with what
//! can be read, or with a sentence.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use rustix::fs::{SeekFrom, seek};
use rustix::io::Errno;
use thiserror::Error;
use turn::record::{VERSION, gather};

use super::format::{self, Contents, Header, Owner, Source, Stranger};
use super::{Estate, name};
use crate::recovery::{Vault, boot};

/// Why a generation cannot be taken in.
#[derive(Debug, Error)]
pub enum Unusable {
    /// Its files cannot be read.
    #[error("cannot read {piece}: {source}; its calls are lost")]
    Io {
        /// What of it.
        piece: String,
        /// Why.
        source: io::Error,
    },
    /// There is nothing of it.
    #[error(
        "{place} has no records of generation {generation}: somebody removed them, and its calls are lost"
    )]
    Missing {
        /// Where.
        place: String,
        /// Which.
        generation: u64,
    },
    /// It is of no relay, or of one with another version.
    #[error("{piece} {stranger}: start the relay that wrote it, or remove it and lose its calls")]
    Stranger {
        /// What of it.
        piece: String,
        /// Why.
        stranger: Stranger,
    },
    /// It was moved there from elsewhere.
    #[error("{piece} was written under another name: remove it")]
    Moved {
        /// What of it.
        piece: String,
    },
    /// The system was started anew since: no socket and no time of then is left.
    #[error("{piece} is of an earlier boot of the system, with which its calls ended")]
    OtherBoot {
        /// What of it.
        piece: String,
    },
    /// Its times are by another clock.
    #[error("{piece} is of another time namespace, whose clock is not this one's: its calls are lost")]
    OtherClock {
        /// What of it.
        piece: String,
    },
    /// A relay of another version asks for records that this one does not know.
    #[error("cannot write records of version {version}: this relay knows versions up to {VERSION}")]
    Unwritable {
        /// Which.
        version: u16,
    },
    /// Records for a relay of another version cannot be written.
    #[error("cannot write the records once more for a relay of another version: {source}")]
    NotRewritten {
        /// Why.
        source: io::Error,
    },
}

/// Reads what `generation` left.
///
/// # Errors
/// When it is of another boot, another layout, or forged.
pub fn read(vault: &Vault, generation: u64) -> Result<Estate, Unusable> {
    let mut estate = Estate::default();
    for (_, contents) in contents(vault, generation)? {
        let permissions = contents.permissions.into_iter().map(|(_, record)| record);
        let channels = contents.channels.into_iter().map(|(_, record)| record);
        estate.survivors.extend(gather(contents.allocations, permissions, channels));
        estate.deletions.extend(contents.deletions.into_iter().map(|(_, record)| record));
        estate.reservations.extend(contents.reservations);
        estate.damaged += contents.damaged;
    }
    Ok(estate)
}

/// What each of a generation's files says.
pub(super) fn contents(vault: &Vault, generation: u64) -> Result<Vec<(Owner, Contents)>, Unusable> {
    let clock = boot::clock().map_err(|source| Unusable::Io { piece: "/proc".to_owned(), source })?;
    files(vault, generation)?
        .into_iter()
        .map(|(piece, owner, file)| {
            let header = header(&piece, owner, generation, &file)?;
            if header.clock.boot != clock.boot {
                return Err(Unusable::OtherBoot { piece });
            }
            if header.clock != clock {
                return Err(Unusable::OtherClock { piece });
            }
            match Contents::read(&file, owner) {
                Ok(contents) => Ok((owner, contents)),
                Err(source) => Err(Unusable::Io { piece, source }),
            }
        })
        .collect()
}

/// A generation's files, with what to call them: one at least.
pub(super) fn files(vault: &Vault, generation: u64) -> Result<Vec<(String, Owner, File)>, Unusable> {
    let place = || vault.place_of("records");
    let names = vault.names().map_err(|source| Unusable::Io { piece: place(), source })?;
    let mut files = Vec::new();
    for (of, owner) in names.iter().filter_map(|name| name::parse(name)) {
        let name = name::of(of, owner);
        let piece = vault.place_of(&name);
        if of == generation {
            match vault.open(&name) {
                Ok(Some(file)) => files.push((piece, owner, File::from(file))),
                // Somebody removed it meanwhile.
                Ok(None) => {}
                Err(source) => return Err(Unusable::Io { piece, source }),
            }
        }
    }
    if files.is_empty() { Err(Unusable::Missing { place: place(), generation }) } else { Ok(files) }
}

/// The header of a file that should be of that owner.
pub(super) fn header(piece: &str, owner: Owner, generation: u64, file: &File) -> Result<Header, Unusable> {
    let piece = piece.to_owned();
    match format::header(file) {
        Ok(Ok(header)) if (header.generation, header.owner) == (generation, owner) => Ok(header),
        Ok(Ok(_)) => Err(Unusable::Moved { piece }),
        Ok(Err(stranger)) => Err(Unusable::Stranger { piece, stranger }),
        Err(source) => Err(Unusable::Io { piece, source }),
    }
}

/// By system calls, which fail where memory would be a fatal signal.
impl Source for File {
    fn read_at(&self, mut offset: u64, mut bytes: &mut [u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match FileExt::read_at(self, bytes, offset) {
                Ok(0) => {
                    bytes.fill(0);
                    break;
                }
                Ok(count) => {
                    bytes = bytes.get_mut(count..).unwrap_or_default();
                    offset += count as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn next_data(&self, offset: u64) -> io::Result<Option<u64>> {
        match seek(self, SeekFrom::Data(offset)) {
            Ok(data) => Ok(Some(data)),
            // Behind the end, or nothing but a hole up to it.
            Err(Errno::NXIO) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}
