//! The place of everything that outlives a relay's process.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use thiserror::Error;

/// Named pieces of memory: files of a directory, or memory without a name (memfd) that lives as long as the
/// descriptor table that keeper and relay share.
#[derive(Debug)]
pub struct Vault {}

/// Why a directory cannot be a vault.
#[derive(Debug, Error)]
pub enum VaultError {}

impl Vault {
    /// The vault in `directory`, which is made (0700) if need be and has to be this user's alone.
    ///
    /// # Errors
    /// When it is somebody else's, or cannot be used.
    pub fn in_directory(_directory: &Path) -> Result<Self, VaultError> {
        todo!()
    }

    /// One that ends with the keeper.
    pub fn in_memory() -> Self {
        todo!()
    }

    /// Its directory, if it has one.
    pub fn directory(&self) -> Option<&Path> {
        todo!()
    }

    /// A new, empty piece, to read and write (0600). One of that name that was there is gone.
    pub fn create(&self, _name: &str) -> io::Result<OwnedFd> {
        todo!()
    }

    /// The piece of this name, if there is one. In memory it is a copy of the descriptor.
    pub fn open(&self, _name: &str) -> io::Result<Option<OwnedFd>> {
        todo!()
    }

    /// Removes a piece. In memory: closes it.
    pub fn remove(&self, _name: &str) -> io::Result<()> {
        todo!()
    }

    /// The names of all pieces.
    pub fn names(&self) -> io::Result<Vec<String>> {
        todo!()
    }

    /// The descriptors that are pieces, which whoever closes inherited ones has to leave open. None in a
    /// directory.
    pub fn descriptors(&self) -> io::Result<Vec<i32>> {
        todo!()
    }

    /// Keeps `bytes` as `name` instead of what was kept under it: whoever is killed meanwhile leaves the one or
    /// the other, whole.
    pub fn keep(&self, _name: &str, _bytes: &[u8]) -> io::Result<()> {
        todo!()
    }

    /// What [`Self::keep`] kept last; nothing if it was damaged.
    pub fn kept(&self, _name: &str) -> io::Result<Option<Vec<u8>>> {
        todo!()
    }
}
