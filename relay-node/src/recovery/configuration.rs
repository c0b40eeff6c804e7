//! The last good configuration. A relay that has to start while its files are broken or gone starts with it:
//! calls go on, and so does the login of clients.
//!
//! It is kept for a relay that crashes. One that is started anew tells the person who starts it what is wrong
//! with the files: so it counts for the boot that it was kept in, until the relay ends as it was meant to, and
//! while nobody serves.

use std::io;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{SOCKET, Vault, boot};
use crate::config::{Config, Kept, Problem, Problems};

/// The piece's name.
const NAME: &str = "configuration";

/// What a relay starts with.
#[derive(Debug)]
pub struct Start {
    /// As it is or was.
    pub config: Config,
    /// What that was made of.
    pub kept: Kept,
    /// What is wrong with the configuration as it is now, where this is the last good one.
    pub fault: Option<Problems>,
}

/// What is written.
#[derive(Deserialize, Serialize)]
struct Piece<K> {
    boot: String,
    kept: K,
}

/// Why there is no last good configuration to start with.
#[derive(Debug, Error)]
enum NoneGood {
    #[error("none was kept")]
    None,
    #[error("it is of the time before the machine was started")]
    OtherBoot,
    #[error("it cannot be read: {0}")]
    Unreadable(#[from] io::Error),
    #[error("it is of another version of this program: {0}")]
    OtherVersion(#[from] serde_json::Error),
    #[error("this machine has changed since; {0}")]
    Unusable(#[from] Problems),
}

impl Start {
    /// With what was loaded.
    pub fn anew((config, kept): (Config, Kept)) -> Self {
        Self { config, kept, fault: None }
    }

    /// With what was `loaded`, or, where that cannot be used, with the last good configuration in `vault`.
    ///
    /// # Errors
    /// What is wrong with the former, where there is none of the latter.
    pub fn of(loaded: Result<(Config, Kept), Problems>, vault: &Vault) -> Result<Self, Problems> {
        match loaded {
            Ok(loaded) => Ok(Self::anew(loaded)),
            Err(problems) => Self::with_last_good(problems, vault),
        }
    }

    /// The same for the first process: `directory` tells where a vault would be, as far as that can be known.
    ///
    /// # Errors
    /// The same.
    pub fn first(
        loaded: Result<(Config, Kept), Problems>,
        directory: impl FnOnce() -> Option<PathBuf>,
    ) -> Result<Self, Problems> {
        let problems = match loaded {
            Ok(loaded) => return Ok(Self::anew(loaded)),
            Err(problems) => problems,
        };
        // Whoever is to take over from one that serves needs a configuration of its own.
        let left = directory().filter(|it| it.is_dir() && UnixStream::connect(it.join(SOCKET)).is_err());
        match left.map(|directory| Vault::in_directory(&directory)) {
            Some(Ok(vault)) => Self::with_last_good(problems, &vault),
            Some(Err(_)) | None => Err(problems),
        }
    }

    fn with_last_good(problems: Problems, vault: &Vault) -> Result<Self, Problems> {
        match last_good(vault) {
            Ok((config, kept)) => Ok(Self { config, kept, fault: Some(problems) }),
            Err(NoneGood::None | NoneGood::OtherBoot) => Err(problems),
            Err(why) => Err(problems.with(Problem {
                field: "recovery.directory".into(),
                value: vault.directory().map(|directory| directory.display().to_string()),
                fault: format!("the last good configuration is there and cannot be used either: {why}"),
                fix: "Fix what is above".into(),
            })),
        }
    }
}

/// Keeps what the configuration in force was made of.
///
/// # Errors
/// When there is no room for it.
pub fn keep(vault: &Vault, kept: &Kept) -> io::Result<()> {
    let piece = Piece { boot: boot()?, kept };
    vault.keep(NAME, &serde_json::to_vec(&piece)?)
}

/// Nobody is to start with it any more: the relay ends as it was meant to.
pub fn forget(vault: &Vault) -> io::Result<()> {
    let names = vault.names()?;
    let mut ours = names.iter().filter(|name| name.split('.').next() == Some(NAME));
    ours.try_for_each(|name| vault.remove(name))
}

fn last_good(vault: &Vault) -> Result<(Config, Kept), NoneGood> {
    let bytes = vault.kept(NAME)?.ok_or(NoneGood::None)?;
    let piece: Piece<Kept> = serde_json::from_slice(&bytes)?;
    if piece.boot != boot()? {
        return Err(NoneGood::OtherBoot);
    }
    Ok((piece.kept.load()?, piece.kept))
}

/// The machine's identity from its start to its end.
fn boot() -> io::Result<String> {
    Ok(format!("{:032x}", boot::clock()?.boot))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;
    use crate::config::{Host, Layers, value_of};

    /// Alice may relay by the secret in `file`.
    fn load(file: &Path) -> Result<(Config, Kept), Problems> {
        let mut layers = Layers::default();
        for (path, value) in [
            ("credentials.rest_secret_files", file.to_str().unwrap()),
            ("relay.addresses", "[{ bind = '127.0.0.1' }]"),
        ] {
            layers.set(path, value_of(value), "test");
        }
        Config::load(layers, Host::detect()?)
    }

    /// A folder with a secret file, and a vault that keeps the configuration which names it.
    fn kept(vault: &Vault) -> (tempfile::TempDir, Config) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret");
        fs::write(&file, "a secret of the tests").unwrap();
        let (config, kept) = load(&file).unwrap();
        keep(vault, &kept).unwrap();
        fs::remove_file(&file).unwrap();
        (folder, config)
    }

    #[test]
    fn it_counts_where_the_files_cannot_be_used() {
        let vault = Vault::in_memory();
        let (folder, config) = kept(&vault);
        let file = folder.path().join("secret");
        let start = Start::of(load(&file), &vault).unwrap();
        assert_eq!(start.config, config);
        assert!(start.fault.unwrap().to_string().contains("cannot be read"));
        fs::write(&file, "another secret of the tests").unwrap();
        let start = Start::of(load(&file), &vault).unwrap();
        assert!(start.fault.is_none() && start.config != config, "the files are good again");
    }

    #[test]
    fn it_does_not_count_after_a_meant_end_or_another_boot() {
        let vault = Vault::in_memory();
        let (folder, _) = kept(&vault);
        let file = folder.path().join("secret");
        let bytes = String::from_utf8(vault.kept(NAME).unwrap().unwrap()).unwrap();
        let identity = boot().unwrap();
        vault.keep(NAME, bytes.replace(&identity, "another").as_bytes()).unwrap();
        assert_eq!(Start::of(load(&file), &vault).unwrap_err(), load(&file).unwrap_err());
        vault.keep(NAME, bytes.as_bytes()).unwrap();
        assert!(Start::of(load(&file), &vault).is_ok());
        forget(&vault).unwrap();
        assert_eq!(Start::of(load(&file), &vault).unwrap_err(), load(&file).unwrap_err());
    }

    #[test]
    fn one_that_cannot_be_used_either_is_told() {
        let vault = Vault::in_memory();
        let (folder, _) = kept(&vault);
        vault.keep(NAME, b"{}").unwrap();
        let told = Start::of(load(&folder.path().join("secret")), &vault).unwrap_err().to_string();
        assert!(told.contains("rest_secret_files[0]"), "{told}");
        assert!(told.contains("is there and cannot be used either: it is of another version"), "{told}");
    }

    #[test]
    fn the_first_process_finds_it_where_nobody_serves() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("vault");
        let vault = Vault::in_directory(&path).unwrap();
        let (folder, config) = kept(&vault);
        let file = folder.path().join("secret");
        let first = |path: Option<&Path>| Start::first(load(&file), || path.map(Path::to_owned));
        assert_eq!(first(Some(&path)).unwrap().config, config);
        for elsewhere in [None, Some(folder.path())] {
            assert!(first(elsewhere).is_err());
        }
        assert!(first(Some(&folder.path().join("new"))).is_err() && !folder.path().join("new").exists());
        let _serving = std::os::unix::net::UnixListener::bind(path.join(SOCKET)).unwrap();
        assert_eq!(first(Some(&path)).unwrap_err(), load(&file).unwrap_err(), "that one is not replaced");
    }
}
