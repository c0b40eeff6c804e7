//! The configuration in force. A relay that goes on after a crash starts with it, whatever files say by then: a
//! crash changes no setting, and files that are broken or gone keep nobody from going on. What they say is taken
//! next, as while a relay runs.
//!
//! It is kept for a relay that crashes. One that somebody starts begins with its files, and tells what is wrong
//! with these; it begins with the configuration of the one before where that was of this boot, did not end as it
//! was meant to, and nobody serves.
//!
//! Each generation keeps its own, before it is the one that counts: at no moment there is none, and one that never
//! takes over leaves that of the other as it is.

use std::io;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::state::State;
use super::{SOCKET, Vault, boot};
use crate::config::{Config, Identity, Kept, Problem, Problems};
use crate::tls::{CertificateError, Certificates};

/// What names of pieces begin with; the generation follows.
const NAME: &str = "configuration-";

/// What a relay starts with.
#[derive(Debug)]
pub struct Start {
    /// As files say, or as it was.
    pub config: Config,
    /// What that was made of.
    pub in_force: InForce,
    /// Whether it is as it was: then files have to be looked at.
    pub is_former: bool,
}

/// What a configuration in force was made of.
#[derive(Debug, Deserialize, Serialize)]
pub struct InForce {
    /// The last one nothing of which waits for a restart.
    whole: Kept,
    /// A later one, of which something does.
    partial: Option<Kept>,
}

/// What is written.
#[derive(Deserialize, Serialize)]
struct Piece<T> {
    boot: String,
    in_force: T,
}

/// Why there is no former configuration to start with.
#[derive(Debug, Error)]
enum NoneFormer {
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
        Self { config, in_force: InForce::new(kept), is_former: false }
    }

    /// After a crash of `generation`: with what was in force, or, where that is not in `vault`, with what `load`
    /// gives.
    ///
    /// # Errors
    /// What is wrong with the latter.
    pub fn after_crash(
        vault: &Vault,
        generation: u64,
        load: impl FnOnce() -> Result<(Config, Kept), Problems>,
    ) -> Result<Self, Problems> {
        former(vault, generation)
            .or_else(|why| load().map(Self::anew).map_err(|problems| and_why(problems, vault, why)))
    }

    /// For a process that somebody starts: with what was `loaded`, or, where that cannot be used and nobody
    /// serves, with what was in force. `directory` tells where a vault would be, as far as that can be known.
    ///
    /// # Errors
    /// What is wrong with the former, where there is none of the latter.
    pub fn first(
        loaded: Result<(Config, Kept), Problems>,
        directory: impl FnOnce() -> Option<PathBuf>,
    ) -> Result<Self, Problems> {
        loaded.map(Self::anew).or_else(|problems| {
            // Whoever is to take over from one that serves needs a configuration of its own.
            let left = directory().filter(|it| it.is_dir() && UnixStream::connect(it.join(SOCKET)).is_err());
            match left.map(|directory| Vault::in_directory(&directory)) {
                Some(Ok(vault)) => State::open(&vault)
                    .map_err(NoneFormer::Unreadable)
                    .and_then(|state| former(&vault, state.generation()))
                    .map_err(|why| and_why(problems, &vault, why)),
                Some(Err(_)) | None => Err(problems),
            }
        })
    }
}

impl InForce {
    /// All of what `kept` makes.
    pub fn new(kept: Kept) -> Self {
        Self { whole: kept, partial: None }
    }

    /// What files said last that was good.
    pub fn newest(&self) -> &Kept {
        self.partial.as_ref().unwrap_or(&self.whole)
    }

    /// What `kept` makes is in force from now on, but for what waits for a restart, if anything `waits`. Whether
    /// this is a change.
    pub fn take(&mut self, kept: Kept, waits: bool) -> bool {
        let changes = *self.newest() != kept || self.partial.is_some() != waits;
        match waits {
            true => self.partial = Some(kept),
            false => *self = Self::new(kept),
        }
        changes
    }

    /// The certificate of a listener, as it is now.
    ///
    /// # Errors
    /// When it cannot be used, which it could before.
    pub fn certificates(&self, identity: &Identity) -> Result<Certificates, CertificateError> {
        let Identity { certificate, key } = identity;
        let among = |kept: &Kept| Certificates::from_files(certificate.clone(), key.clone(), kept.files());
        // Of a listener that waits for its end, the files may have been gone.
        among(self.newest()).or_else(|_| among(&self.whole))
    }

    fn config(&self) -> Result<Config, Problems> {
        let whole = self.whole.load()?;
        Ok(match self.partial.as_ref().map(Kept::load) {
            Some(Ok(newest)) => newest.taken_while_running(&whole).0,
            // It could be used once, and so could the other one.
            Some(Err(_)) | None => whole,
        })
    }
}

/// Keeps what is in force in `generation`.
///
/// # Errors
/// When there is no room for it.
pub fn keep(vault: &Vault, generation: u64, in_force: &InForce) -> io::Result<()> {
    let piece = Piece { boot: boot()?, in_force };
    vault.keep(&name(generation), &serde_json::to_vec(&piece)?)
}

/// Nobody is to start with any but that of `kept` any more. With none, the relay ends as it was meant to.
pub fn forget_all_but(vault: &Vault, kept: Option<u64>) -> io::Result<()> {
    let names = vault.names()?;
    let kept = kept.map(name);
    let is_kept = |piece: &str| piece.split('.').next() == kept.as_deref();
    let mut gone = names.iter().filter(|piece| piece.starts_with(NAME) && !is_kept(piece));
    gone.try_for_each(|piece| vault.remove(piece))
}

fn name(generation: u64) -> String {
    format!("{NAME}{generation}")
}

fn former(vault: &Vault, generation: u64) -> Result<Start, NoneFormer> {
    let bytes = vault.kept(&name(generation))?.ok_or(NoneFormer::None)?;
    let piece: Piece<InForce> = serde_json::from_slice(&bytes)?;
    if piece.boot != boot()? {
        return Err(NoneFormer::OtherBoot);
    }
    Ok(Start { config: piece.in_force.config()?, in_force: piece.in_force, is_former: true })
}

/// The problems of what files say, and why there is nothing else.
fn and_why(problems: Problems, vault: &Vault, why: NoneFormer) -> Problems {
    if matches!(why, NoneFormer::None | NoneFormer::OtherBoot) {
        return problems;
    }
    problems.with(Problem {
        field: "recovery.directory".into(),
        value: vault.directory().map(|directory| directory.display().to_string()),
        fault: format!("the last good configuration is there and cannot be used either: {why}"),
        fix: "Fix what is above".into(),
    })
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
        keep(vault, 1, &InForce::new(kept)).unwrap();
        fs::remove_file(&file).unwrap();
        (folder, config)
    }

    #[test]
    fn a_crash_changes_no_setting() {
        let vault = Vault::in_memory();
        let (folder, config) = kept(&vault);
        let file = folder.path().join("secret");
        let start = |file: &Path| Start::after_crash(&vault, 1, || load(file)).unwrap();
        assert!(start(&file).config == config && start(&file).is_former, "the files are gone");
        fs::write(&file, "another secret of the tests").unwrap();
        assert!(start(&file).config == config && start(&file).is_former, "the files are others");
        forget_all_but(&vault, None).unwrap();
        assert!(start(&file).config != config && !start(&file).is_former, "nothing else is there");
    }

    #[test]
    fn what_waits_for_a_restart_goes_on_waiting() {
        let folder = tempfile::tempdir().unwrap();
        let of = |ports: &str, realm: &str| {
            let mut layers = Layers::default();
            for (path, value) in [
                ("credentials.rest_secrets", "a secret of the tests"),
                ("relay.addresses", "[{ bind = '127.0.0.1' }]"),
                ("relay.ports", ports),
                ("realm", realm),
            ] {
                layers.set(path, value_of(value), "test");
            }
            Config::load(layers, Host::detect().unwrap()).unwrap().1
        };
        let vault = Vault::in_directory(&folder.path().join("vault")).unwrap();
        let mut in_force = InForce::new(of("50000-50009", "first"));
        assert!(!in_force.take(of("50000-50009", "first"), false), "nothing is another");
        assert!(in_force.take(of("60000-60009", "second"), true));
        let again = || {
            let config = Start::after_crash(&vault, 1, || panic!("it is kept")).unwrap().config;
            (*config.relay.ports.start(), config.realm.as_str().to_owned())
        };
        keep(&vault, 1, &in_force).unwrap();
        assert_eq!(again(), (50_000, "second".to_owned()));
        assert!(in_force.take(of("50000-50009", "third"), false), "the range is the old one after all");
        keep(&vault, 1, &in_force).unwrap();
        assert_eq!(again(), (50_000, "third".to_owned()));
    }

    #[test]
    fn it_does_not_count_after_a_meant_end_or_another_boot() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("vault");
        let vault = Vault::in_directory(&path).unwrap();
        let (folder, _) = kept(&vault);
        let file = folder.path().join("secret");
        State::open(&vault).unwrap().set_generation(1);
        let first = || Start::first(load(&file), || Some(path.clone()));
        let bytes = String::from_utf8(vault.kept(&name(1)).unwrap().unwrap()).unwrap();
        vault.keep(&name(1), bytes.replace(&boot().unwrap(), "another").as_bytes()).unwrap();
        assert_eq!(first().unwrap_err(), load(&file).unwrap_err());
        vault.keep(&name(1), bytes.as_bytes()).unwrap();
        assert!(first().is_ok());
        forget_all_but(&vault, None).unwrap();
        assert_eq!(first().unwrap_err(), load(&file).unwrap_err());
    }

    #[test]
    fn one_that_cannot_be_used_either_is_told() {
        let vault = Vault::in_memory();
        let (folder, _) = kept(&vault);
        vault.keep(&name(1), b"{}").unwrap();
        let told =
            Start::after_crash(&vault, 1, || load(&folder.path().join("secret"))).unwrap_err().to_string();
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
        State::open(&vault).unwrap().set_generation(1);
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
