//! Pieces that are files of a directory, which nobody but this user may touch.

use std::fs::DirBuilder;
use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, Dir, FileType, FlockOperation, Mode, OFlags, Stat, flock, fstat, open, openat, unlinkat,
};
use rustix::process::geteuid;
use thiserror::Error;

/// Why a directory cannot be a vault.
#[derive(Debug, Error)]
pub enum VaultError {
    /// It is not there, and cannot be made.
    #[error("cannot make the directory {path}: {source}; make it, or name another one in recovery.directory")]
    Make {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It cannot be opened.
    #[error("cannot use the directory {path}: {source}; name another one in recovery.directory")]
    Open {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It belongs to another user, who could put anything there.
    #[error(
        "the directory {path} belongs to the user {owner}, not to the relay's ({user}); change its owner"
    )]
    OfAnother {
        /// Which.
        path: PathBuf,
        /// User id of its owner.
        owner: u32,
        /// User id of this process.
        user: u32,
    },
    /// Others may look into it, where keys are.
    #[error("others may use the directory {path} (mode {mode:04o}), which holds keys: chmod 0700 it")]
    OpenToOthers {
        /// Which.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
}

/// An open directory. All that is in it is reached through the descriptor, so that it stays the one that was
/// checked.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    descriptor: OwnedFd,
}

impl Directory {
    pub(super) fn open(path: &Path) -> Result<Self, VaultError> {
        let path = path.to_owned();
        if let Err(source) = DirBuilder::new().recursive(true).mode(0o700).create(&path) {
            return Err(VaultError::Make { path, source });
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let opened = open(&path, flags, Mode::empty()).and_then(|it| fstat(&it).map(|stat| (it, stat)));
        let (descriptor, stat) = match opened {
            Ok(opened) => opened,
            Err(error) => return Err(VaultError::Open { path, source: error.into() }),
        };
        let user = geteuid().as_raw();
        if stat.st_uid != user {
            return Err(VaultError::OfAnother { path, owner: stat.st_uid, user });
        }
        match stat.st_mode & 0o7777 {
            mode if mode & 0o077 != 0 => Err(VaultError::OpenToOthers { path, mode }),
            _ => Ok(Self { path, descriptor }),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn create(&self, name: &str) -> io::Result<OwnedFd> {
        self.remove(name)?;
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(openat(&self.descriptor, name, flags, Mode::RUSR | Mode::WUSR)?)
    }

    pub(super) fn open_piece(&self, name: &str) -> io::Result<Option<OwnedFd>> {
        // Not to wait for the other end, if it is a pipe.
        let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let piece = match openat(&self.descriptor, name, flags, Mode::empty()) {
            Ok(piece) => piece,
            Err(rustix::io::Errno::NOENT) => return Ok(None),
            // A symbolic link, a directory or a socket.
            Err(rustix::io::Errno::LOOP | rustix::io::Errno::ISDIR | rustix::io::Errno::NXIO) => {
                return Err(self.foreign(name, "is not a regular file"));
            }
            Err(error) => return Err(error.into()),
        };
        match strangeness(&fstat(&piece)?) {
            Some(strange) => Err(self.foreign(name, strange)),
            None => Ok(Some(piece)),
        }
    }

    pub(super) fn remove(&self, name: &str) -> io::Result<()> {
        match unlinkat(&self.descriptor, name, AtFlags::empty()) {
            Ok(()) | Err(rustix::io::Errno::NOENT) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    pub(super) fn names(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in Dir::read_from(&self.descriptor)? {
            // What is not UTF-8 is none of ours.
            if let Ok(name) = entry?.file_name().to_str()
                && !matches!(name, "." | "..")
            {
                names.push(name.to_owned());
            }
        }
        Ok(names)
    }

    pub(super) fn exclusively<T>(&self, work: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        // An open file of its own, since those that are copies of one share its lock.
        let lock = openat(&self.descriptor, ".", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
        flock(&lock, FlockOperation::LockExclusive)?;
        work()
    }

    fn foreign(&self, name: &str, strange: &str) -> io::Error {
        let path = self.path.join(name);
        let said = format!("{} {strange}: no relay made it so; remove it", path.display());
        io::Error::new(ErrorKind::PermissionDenied, said)
    }
}

/// What shows that no relay of this user made the file, or that somebody changed it.
fn strangeness(stat: &Stat) -> Option<&'static str> {
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        Some("is not a regular file")
    } else if stat.st_uid != geteuid().as_raw() {
        Some("belongs to another user")
    } else if stat.st_mode & 0o7777 != 0o600 {
        Some("has another mode than 0600")
    } else if stat.st_nlink > 1 {
        Some("has a second name elsewhere")
    } else {
        None
    }
}
