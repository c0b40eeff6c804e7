//! The files that a configuration names, as they were read.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// Files that are read once each, and stay as they were then: what was checked is what is used, and can be
/// had again when they are gone. Most hold secrets: `Debug` shows none.
#[derive(Deserialize, Serialize)]
#[serde(transparent)]
pub struct Files {
    read: RefCell<BTreeMap<PathBuf, File>>,
    #[serde(skip)]
    on_disk: bool,
}

/// A file as it was read.
#[derive(Clone, Deserialize, PartialEq, Eq, Serialize)]
pub struct File {
    content: Content,
    is_exposed: bool,
}

/// Nearly all of our files are text, which JSON holds as it is.
#[derive(Clone, Deserialize, PartialEq, Eq, Serialize)]
#[serde(untagged)]
enum Content {
    Text(String),
    Bytes(Vec<u8>),
}

impl Files {
    /// None read yet.
    pub fn on_disk() -> Self {
        Self { read: RefCell::default(), on_disk: true }
    }

    /// Reads a file, or tells what was read from it before.
    ///
    /// # Errors
    /// What the system says; not found, where these are no files of the disk any more.
    pub fn read(&self, path: &Path) -> io::Result<File> {
        if let Some(file) = self.read.borrow().get(path) {
            return Ok(file.clone());
        }
        if !self.on_disk {
            return Err(io::ErrorKind::NotFound.into());
        }
        let file = File::read(path)?;
        self.read.borrow_mut().insert(path.to_owned(), file.clone());
        Ok(file)
    }
}

impl File {
    /// Reads a file of the disk.
    ///
    /// # Errors
    /// What the system says.
    pub fn read(path: &Path) -> io::Result<Self> {
        let mut file = fs::File::open(path)?;
        let mut content = Vec::new();
        file.read_to_end(&mut content)?;
        let content =
            String::from_utf8(content).map_or_else(|error| Content::Bytes(error.into_bytes()), Content::Text);
        Ok(Self { content, is_exposed: file.metadata()?.mode() & 0o004 != 0 })
    }

    /// What was in it.
    pub fn bytes(&self) -> &[u8] {
        match &self.content {
            Content::Text(text) => text.as_bytes(),
            Content::Bytes(bytes) => bytes,
        }
    }

    /// What was in it, which is to be UTF-8.
    ///
    /// # Errors
    /// When it is not.
    pub fn text(self) -> io::Result<String> {
        match self.content {
            Content::Text(text) => Ok(text),
            Content::Bytes(_) => Err(io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8")),
        }
    }

    /// Whether every user of the machine could read it.
    pub fn is_exposed(&self) -> bool {
        self.is_exposed
    }
}

/// By what was read, wherever from.
impl PartialEq for Files {
    fn eq(&self, other: &Self) -> bool {
        self.read == other.read
    }
}

impl fmt::Debug for Files {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.read.borrow().keys()).finish()
    }
}
