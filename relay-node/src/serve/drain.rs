//! A relay that is to end and has calls: it takes no new ones and waits for those that there are. Until
//! it has ended, that can be taken back.

use std::time::{Duration, Instant};

use turn::Drain as How;

use super::notify;
use crate::admin::Health;
use crate::worker::Workers;

/// Whether the relay drains. Readiness goes on telling that packets are served, since load balancers
/// cut off the clients of a relay that is not ready.
pub(super) struct Drain<'a> {
    workers: &'a Workers,
    health: &'a Health,
    since: Option<Instant>,
}

impl<'a> Drain<'a> {
    /// No drain yet.
    pub(super) fn new(workers: &'a Workers, health: &'a Health) -> Self {
        Self { workers, health, since: None }
    }

    /// Whether the relay drains.
    pub(super) fn is_on(&self) -> bool {
        self.since.is_some()
    }

    /// Refuses new allocations from now on.
    pub(super) fn begin(&mut self, deadline: Duration) {
        tracing::info!(
            allocations = self.workers.allocations(),
            deadline_seconds = deadline.as_secs_f64(),
            "draining: no new allocations"
        );
        self.since = Some(Instant::now());
        self.health.set_draining(true);
        self.workers.drain(How::ToEnd);
        notify::stopping("Draining: the relay ends with its last call");
    }

    /// Takes new allocations again.
    pub(super) fn take_back(&mut self) {
        if self.since.take().is_none() {
            tracing::warn!("there is no drain to take back");
            return;
        }
        self.workers.resume();
        self.health.set_draining(false);
        notify::ready("Serving");
        tracing::info!("the drain is taken back: new allocations are served again");
    }

    /// Whether the relay drained until no allocation is left, of its own and of `older` ones, or `deadline` is over.
    pub(super) fn is_over(&self, deadline: Duration, older: usize) -> bool {
        let Some(since) = self.since else { return false };
        let allocations = self.workers.allocations() + older;
        if allocations == 0 {
            tracing::info!("drained");
            return true;
        }
        let late = since.elapsed() >= deadline;
        if late {
            tracing::warn!(allocations, "the drain deadline is over");
        }
        late
    }
}
