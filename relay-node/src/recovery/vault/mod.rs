//! The place of everything that outlives a relay's process.

mod anonymous;
mod directory;
mod kept;
#[cfg(test)]
pub(super) mod tests;

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use self::anonymous::Anonymous;
use self::directory::Directory;
pub use self::directory::VaultError;

/// Named pieces of memory: files of a directory, or memory without a name (memfd) that lives as long as the
/// descriptor table that keeper and relay share.
#[derive(Debug)]
pub struct Vault(Place);

#[derive(Debug)]
enum Place {
    Directory(Directory),
    Memory(Anonymous),
}

impl Vault {
    /// The vault in `directory`, which is made (0700) if need be and has to be this user's alone.
    ///
    /// # Errors
    /// When it is somebody else's, or cannot be used.
    pub fn in_directory(directory: &Path) -> Result<Self, VaultError> {
        Directory::open(directory).map(|directory| Self(Place::Directory(directory)))
    }

    /// One that ends with the keeper.
    pub fn in_memory() -> Self {
        Self(Place::Memory(Anonymous::new()))
    }

    /// From now on this process alone makes and removes pieces of a vault in memory, and need not look for them
    /// again among all that is open.
    ///
    /// # Errors
    /// When there is no way to tell what is open.
    pub fn settle(&self) -> io::Result<()> {
        match &self.0 {
            Place::Directory(_) => Ok(()),
            Place::Memory(memory) => memory.settle(),
        }
    }

    /// Its directory, if it has one.
    pub fn directory(&self) -> Option<&Path> {
        match &self.0 {
            Place::Directory(directory) => Some(directory.path()),
            Place::Memory(_) => None,
        }
    }

    /// A new, empty piece, to read and write (0600). One of that name that was there is gone.
    pub fn create(&self, name: &str) -> io::Result<OwnedFd> {
        match &self.0 {
            Place::Directory(directory) => directory.create(name),
            Place::Memory(memory) => memory.create(name),
        }
    }

    /// The piece of this name, if there is one. In memory it is a copy of the descriptor.
    ///
    /// # Errors
    /// When it is not a file that this user alone may read and write: then nothing in it is to be trusted.
    pub fn open(&self, name: &str) -> io::Result<Option<OwnedFd>> {
        match &self.0 {
            Place::Directory(directory) => directory.open_piece(name),
            Place::Memory(memory) => memory.open(name),
        }
    }

    /// Makes a piece of another vault in memory, that is called `name` there, one of this one's. In a directory
    /// there is nothing to do: whoever shares it has it.
    pub fn adopt(&self, name: &str, piece: OwnedFd) -> io::Result<()> {
        match &self.0 {
            Place::Directory(_) => Ok(()),
            Place::Memory(memory) => memory.adopt(name, piece),
        }
    }

    /// Removes a piece. In memory: closes it.
    pub fn remove(&self, name: &str) -> io::Result<()> {
        match &self.0 {
            Place::Directory(directory) => directory.remove(name),
            Place::Memory(memory) => memory.remove(name),
        }
    }

    /// The names of all pieces, in no order. In a directory: of all that is there.
    pub fn names(&self) -> io::Result<Vec<String>> {
        match &self.0 {
            Place::Directory(directory) => directory.names(),
            Place::Memory(memory) => memory.names(),
        }
    }

    /// The descriptors that are pieces, which whoever closes inherited ones has to leave open. None in a
    /// directory, and no copy that [`Self::create`] or [`Self::open`] gave out.
    pub fn descriptors(&self) -> io::Result<Vec<i32>> {
        match &self.0 {
            Place::Directory(_) => Ok(Vec::new()),
            Place::Memory(memory) => memory.descriptors(),
        }
    }

    /// Where a piece of this name is, to be told.
    pub(super) fn place_of(&self, name: &str) -> String {
        match &self.0 {
            Place::Directory(directory) => directory.path().join(name).display().to_string(),
            Place::Memory(_) => format!("the keeper's memory {name}"),
        }
    }

    /// Nobody else is in [`Self::exclusively`] meanwhile, whichever process it is.
    pub(super) fn exclusively<T>(&self, work: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        match &self.0 {
            Place::Directory(directory) => directory.exclusively(work),
            // The keeper makes what there is before it has a child.
            Place::Memory(_) => work(),
        }
    }
}
