//! Whether the relay serves packets.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use serde::Serialize;

use crate::worker::Workers;

/// The relay's state, for probes.
pub struct Health {
    /// None of a relay that is not to serve.
    workers: Option<Weak<Workers>>,
    draining: AtomicBool,
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
        Self { workers: Some(Arc::downgrade(workers)), draining: AtomicBool::new(false) }
    }

    /// The health of a relay that is not to serve.
    pub const fn superseded() -> Self {
        Self { workers: None, draining: AtomicBool::new(false) }
    }

    /// Notes whether new allocations are refused from now on.
    pub fn set_draining(&self, draining: bool) {
        self.draining.store(draining, Ordering::Relaxed);
    }

    /// Whether new allocations are refused.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
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
}
