//! What `edgerelay try` has to know of a relay that `edgerelay dev` runs: a file of this user's alone.

use std::env;
use std::fs::{self, DirBuilder, Permissions};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process;

use serde::{Deserialize, Serialize};
use thiserror::Error;

const FILE: &str = "dev.json";

/// A running trial relay.
#[derive(Clone, Deserialize, Serialize)]
pub struct State {
    /// Its process.
    pid: u32,
    /// The URL of each of its listeners.
    pub urls: Vec<String>,
    /// What time-limited credentials are signed with.
    pub secret: String,
    /// Its certificate (PEM), to be trusted.
    pub certificate: String,
    /// Its admin server.
    pub admin: SocketAddr,
}

/// Why the state cannot be kept or found.
#[derive(Debug, Error)]
pub enum StateError {
    /// No relay has left its state.
    #[error(
        "no relay of `edgerelay dev` is running; start one in another terminal, or name a relay by --url"
    )]
    NotRunning,
    /// The directory belongs to somebody else, who could read or swap what is in it.
    #[error("{0} is not this user's alone; remove it, or set XDG_RUNTIME_DIR to a directory that is")]
    Exposed(PathBuf),
    /// The file or its directory.
    #[error(
        "the state of the trial relay cannot be kept in {path}: {source}; check its permissions, or set XDG_RUNTIME_DIR"
    )]
    Io {
        /// Which.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Another version of this program wrote it.
    #[error("{0} is not what this version writes; end the relay that wrote it and remove the file")]
    Foreign(PathBuf),
}

impl State {
    /// The state of this process.
    pub fn new(urls: Vec<String>, secret: String, certificate: String, admin: SocketAddr) -> Self {
        Self { pid: process::id(), urls, secret, certificate, admin }
    }

    /// Leaves the state where [`Self::read`] finds it.
    ///
    /// # Errors
    /// When the directory is not this user's, or the file cannot be written.
    pub fn write(&self) -> Result<(), StateError> {
        let directory = directory()?;
        let path = directory.join(FILE);
        let failed = |source| StateError::Io { path: path.clone(), source };
        let text = serde_json::to_string_pretty(self).map_err(|error| failed(error.into()))?;
        // Made with mode 0600; a reader sees the whole of it or nothing.
        let mut file = tempfile::NamedTempFile::new_in(&directory).map_err(failed)?;
        file.write_all(text.as_bytes()).map_err(failed)?;
        file.persist(&path).map_err(|error| failed(error.error))?;
        Ok(())
    }

    /// The state of the trial relay that runs.
    ///
    /// # Errors
    /// When none runs, or its state cannot be read.
    pub fn read() -> Result<Self, StateError> {
        let path = directory()?.join(FILE);
        match fs::read_to_string(&path) {
            Ok(text) => serde_json::from_str(&text).map_err(|_| StateError::Foreign(path)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(StateError::NotRunning),
            Err(source) => Err(StateError::Io { path, source }),
        }
    }

    /// Removes the state if this process left it.
    ///
    /// # Errors
    /// When it is there and cannot be removed.
    pub fn remove_own() -> Result<(), StateError> {
        let path = directory()?.join(FILE);
        match Self::read() {
            Ok(state) if state.pid == process::id() => {
                fs::remove_file(&path).map_err(|source| StateError::Io { path, source })
            }
            _ => Ok(()),
        }
    }
}

/// The directory of the state, made if need be, and this user's alone.
pub(super) fn directory() -> Result<PathBuf, StateError> {
    let user = rustix::process::getuid().as_raw();
    let path = match env::var_os("XDG_RUNTIME_DIR").filter(|path| !path.is_empty()) {
        Some(runtime) => Path::new(&runtime).join("edgerelay"),
        None => env::temp_dir().join(format!("edgerelay-{user}")),
    };
    let failed = |source| StateError::Io { path: path.clone(), source };
    match DirBuilder::new().mode(0o700).create(&path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(failed(error)),
        Ok(()) | Err(_) => {}
    }
    // In a shared directory somebody else may have made it first, or put a link there.
    let metadata = fs::symlink_metadata(&path).map_err(failed)?;
    if !metadata.is_dir() || metadata.uid() != user {
        return Err(StateError::Exposed(path));
    }
    fs::set_permissions(&path, Permissions::from_mode(0o700)).map_err(failed)?;
    Ok(path)
}
