//! Changes of the configuration while the relay runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::cluster::FleetState;
use crate::config::{Config, Files, Kept};
use crate::recovery::Vault;
use crate::recovery::configuration::{self, InForce, Start};
use crate::tls::{Certificates, Renewal};
use crate::worker::Workers;

use super::Load;
use super::fleet;
use super::notify;
use super::settings::{self, NonceKey};

/// What became of attempts to take a changed configuration.
#[derive(Debug)]
pub struct Reloads {
    applied: AtomicU64,
    failed: AtomicU64,
    valid: AtomicBool,
}

impl Default for Reloads {
    fn default() -> Self {
        Self { applied: AtomicU64::new(0), failed: AtomicU64::new(0), valid: AtomicBool::new(true) }
    }
}

impl Reloads {
    /// Changes that are in force.
    pub fn applied(&self) -> u64 {
        self.applied.load(Ordering::Relaxed)
    }

    /// Changes that could not be used.
    pub fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    /// Whether the last look found a configuration that can be used.
    pub fn is_valid(&self) -> bool {
        self.valid.load(Ordering::Relaxed)
    }
}

/// Takes changes of the configuration; one that cannot be used leaves the last good one in force.
pub(super) struct Reloader<'a> {
    load: &'a Load<'a>,
    /// What the relay was started with: what cannot change while it runs is as it is here.
    started: Config,
    current: Config,
    /// What it was made of.
    in_force: InForce,
    /// Where that is kept for the next process, and as whose.
    vault: Option<(&'a Vault, u64)>,
    nonce_key: NonceKey,
    /// What is known of the fleet, if there is one.
    fleet: Option<Arc<FleetState>>,
    certificates: Vec<Certificates>,
    reloads: Arc<Reloads>,
    /// What was said last of a configuration that cannot be used, so as not to say it every time.
    complaint: Option<String>,
    /// What was said last of a configuration that cannot be kept.
    unkept: Option<String>,
    /// What was said last to need a restart.
    pending: Vec<&'static str>,
    /// Whether another relay serves and has the say.
    is_retired: bool,
}

impl<'a> Reloader<'a> {
    /// For a relay that has just started with `start`, which is in force from now on.
    pub(super) fn new(
        load: &'a Load<'a>,
        start: Start,
        vault: Option<(&'a Vault, u64)>,
        (nonce_key, fleet): (NonceKey, Option<Arc<FleetState>>),
        certificates: Vec<Certificates>,
        reloads: Arc<Reloads>,
    ) -> Self {
        let mut reloader = Self {
            load,
            started: start.config.clone(),
            current: start.config,
            in_force: start.in_force,
            vault,
            nonce_key,
            fleet,
            certificates,
            reloads,
            complaint: None,
            unkept: None,
            pending: Vec::new(),
            is_retired: false,
        };
        reloader.keep();
        reloader
    }

    /// The configuration that is in force.
    pub(super) fn current(&self) -> &Config {
        &self.current
    }

    /// How it stands with the configuration, for who looks after services.
    pub(super) fn status(&self) -> &'static str {
        match self.complaint {
            None => "Serving",
            Some(_) => "Serving by the last good configuration: the log says what is wrong with that of now",
        }
    }

    /// Looks at the configuration as an operator told it to, who waits for that.
    pub(super) fn reload_as_told(&mut self, workers: &Workers) {
        notify::reloading();
        self.reload(workers);
        notify::ready(self.status());
    }

    /// The files that it names, as they were read.
    pub(super) fn files(&self) -> &Files {
        self.in_force.newest().files()
    }

    /// Goes on with what the fleet says now.
    pub(super) fn set_fleet(&mut self, fleet: Arc<FleetState>, workers: &Workers) {
        match settings::settings(&self.current, &self.nonce_key, Some(&fleet)) {
            Ok(settings) => workers.apply(&settings),
            Err(error) => tracing::error!(%error, "what the fleet says cannot be used"),
        }
        self.fleet = Some(fleet);
    }

    /// All that the configuration was made of, for another relay to [take](Self::take).
    pub(super) fn kept_bytes(&self) -> serde_json::Result<Vec<u8>> {
        self.in_force.newest().to_bytes()
    }

    /// From now on another relay says what is in force, and keeps it.
    pub(super) fn retire(&mut self) {
        self.vault = None;
        self.is_retired = true;
    }

    /// Takes what another relay has in force, which knows that much of the fleet.
    pub(super) fn take(&mut self, kept: &[u8], fleet: &fleet::Kept, workers: &Workers) {
        let loaded = Kept::from_bytes(kept).map_err(|error| error.to_string());
        let loaded = loaded.and_then(|kept| match kept.load() {
            Ok(config) => Ok((config, kept)),
            Err(problems) => Err(problems.to_string()),
        });
        if let Err(problem) = loaded.and_then(|loaded| self.apply(loaded, workers)) {
            tracing::warn!(problem, "what the relay that serves now has in force cannot be used here");
        }
        if let Some(fleet) = fleet.fleet_state(&self.current) {
            self.set_fleet(Arc::new(fleet), workers);
        }
    }

    /// Looks at the configuration and its files again, and applies what has changed.
    pub(super) fn reload(&mut self, workers: &Workers) {
        let loaded = (self.load)().map_err(|problems| problems.to_string());
        match loaded.and_then(|loaded| self.apply(loaded, workers)) {
            Ok(changed) => {
                if self.complaint.take().is_some() || changed {
                    tracing::info!("the configuration as it is now is in force");
                }
                self.reloads.applied.fetch_add(u64::from(changed), Ordering::Relaxed);
                self.reloads.valid.store(true, Ordering::Relaxed);
            }
            Err(complaint) => {
                self.reloads.valid.store(false, Ordering::Relaxed);
                if self.complaint.as_ref() != Some(&complaint) {
                    self.reloads.failed.fetch_add(1, Ordering::Relaxed);
                    tracing::error!(problem = complaint, "the last good configuration stays in force");
                    self.complaint = Some(complaint);
                }
            }
        }
    }

    /// Keeps what is in force for the next process, should this one crash.
    fn keep(&mut self) {
        let Some((vault, generation)) = self.vault else { return };
        let unkept =
            configuration::keep(vault, generation, &self.in_force).err().map(|error| error.to_string());
        if let Some(why) = unkept.as_ref().filter(|_| unkept != self.unkept) {
            tracing::warn!(why, "the configuration cannot be kept: after a crash, its files are needed");
        }
        self.unkept = unkept;
    }

    /// Whether something changed, or why it cannot be used.
    fn apply(&mut self, (new, kept): (Config, Kept), workers: &Workers) -> Result<bool, String> {
        let (new, pending) = new.taken_while_running(&self.started);
        let settings = (new != self.current)
            .then(|| settings::settings(&new, &self.nonce_key, self.fleet.as_deref()))
            .transpose()
            .map_err(|error| error.to_string())?;
        let renewals = self.renewals(kept.files(), pending.contains(&"listeners"))?;

        // Everything can be used: from here on nothing fails.
        if pending != self.pending && !pending.is_empty() && !self.is_retired {
            tracing::warn!(settings = pending.join(", "), "these changes need a restart");
        }
        self.pending = pending;
        let changed = settings.is_some() || !renewals.is_empty();
        if let Some(settings) = settings {
            if new.warnings != self.current.warnings {
                new.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
            }
            workers.apply(&settings);
            self.current = new;
        }
        renewals.into_iter().for_each(Renewal::apply);
        if self.in_force.take(kept, !self.pending.is_empty()) || self.unkept.is_some() {
            self.keep();
        }
        Ok(changed)
    }

    /// The certificates that are others in `files`, or why one cannot be used. If listeners wait for a restart
    /// to be `moved`, the files that they had until now may be gone.
    fn renewals(&self, files: &Files, moved: bool) -> Result<Vec<Renewal>, String> {
        let mut renewals = Vec::new();
        for certificates in &self.certificates {
            match certificates.renewal(files) {
                Ok(renewal) => renewals.extend(renewal),
                Err(_) if moved => {}
                Err(error) => return Err(error.to_string()),
            }
        }
        Ok(renewals)
    }
}
