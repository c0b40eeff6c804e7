//! Whether the relay serves packets.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use serde::Serialize;

use crate::cluster::tally::Tally;
use crate::worker::Workers;

/// The relay's state, for probes.
pub struct Health {
    /// None of a relay that is not to serve.
    workers: Option<Weak<Workers>>,
    draining: AtomicBool,
    fleet: Mutex<Fleet>,
}

/// How it stands with the relay's fleet.
#[derive(Default)]
enum Fleet {
    /// It is of none.
    #[default]
    None,
    /// It is without, for this reason.
    Missing(String),
    /// The fleet's part tells.
    Told(Arc<Tally>),
}

/// Whether packets can be served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Readiness {
    /// All packets.
    Ready,
    /// Those of the allocations that live; new ones are refused.
    Draining,
    /// Not all of them, or none.
    Down,
    /// None, as it should be: another deployment's relay serves.
    Superseded,
}

impl Health {
    /// The health of `workers`.
    pub fn new(workers: &Arc<Workers>) -> Self {
        Self { workers: Some(Arc::downgrade(workers)), ..Self::superseded() }
    }

    /// The health of a relay that is not to serve.
    pub const fn superseded() -> Self {
        Self { workers: None, draining: AtomicBool::new(false), fleet: Mutex::new(Fleet::None) }
    }

    /// Notes whether new allocations are refused from now on.
    pub fn set_draining(&self, draining: bool) {
        self.draining.store(draining, Ordering::Relaxed);
    }

    /// Whether new allocations are refused.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// From now on the fleet's part tells what is wrong with it.
    pub fn set_tally(&self, tally: Arc<Tally>) {
        *self.fleet() = Fleet::Told(tally);
    }

    /// Notes that there is no fleet's part, and why.
    pub fn set_without_fleet(&self, why: &str) {
        *self.fleet() = Fleet::Missing(why.to_owned());
    }

    /// What does not work as it should though packets are served, as a sentence.
    pub fn degraded(&self) -> Option<String> {
        match &*self.fleet() {
            Fleet::None => None,
            Fleet::Missing(why) => Some(why.clone()),
            Fleet::Told(tally) => tally.degraded(),
        }
    }

    /// What the fleet's part counts, if there is one.
    pub fn tally(&self) -> Option<Arc<Tally>> {
        match &*self.fleet() {
            Fleet::Told(tally) => Some(Arc::clone(tally)),
            Fleet::None | Fleet::Missing(_) => None,
        }
    }

    /// Whether packets can be served.
    pub fn readiness(&self) -> Readiness {
        let Some(workers) = &self.workers else { return Readiness::Superseded };
        if !workers.upgrade().is_some_and(|workers| workers.alive()) {
            Readiness::Down
        } else if self.is_draining() {
            Readiness::Draining
        } else {
            Readiness::Ready
        }
    }
    fn fleet(&self) -> MutexGuard<'_, Fleet> {
        // It is replaced as a whole.
        self.fleet.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
