//! A relay that takes no new calls and goes on with those that there are: since it is to end, or by command. Either
//! can be taken back.

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
    /// Since when it is to end.
    since: Option<Instant>,
    by_command: Option<ByCommand>,
}

/// A drain after which the relay stays.
struct ByCommand {
    /// When the calls end that there were; none once they have.
    until: Option<Instant>,
}

impl<'a> Drain<'a> {
    /// No drain yet.
    pub(super) fn new(workers: &'a Workers, health: &'a Health) -> Self {
        Self { workers, health, since: None, by_command: None }
    }

    /// Whether the relay is to end.
    pub(super) fn is_on(&self) -> bool {
        self.since.is_some()
    }

    /// Whether it drains by command.
    pub(super) fn is_by_command(&self) -> bool {
        self.by_command.is_some()
    }

    /// Refuses new allocations from now on, and ends with the last one.
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

    /// Stays after all, and takes new allocations again unless it drains by command.
    pub(super) fn take_back(&mut self) {
        if self.since.take().is_none() {
            tracing::warn!("there is no drain to take back");
            return;
        }
        if self.by_command.is_some() {
            self.workers.drain(How::ToOthers);
            notify::ready("Draining by command");
            tracing::info!("the relay stays, and drains by command");
            return;
        }
        self.serve_again();
        notify::ready("Serving");
        tracing::info!("the drain is taken back: new allocations are served again");
    }

    /// Has new allocations made at other nodes from now on. Those that there are end at the deadline; the relay stays.
    pub(super) fn begin_by_command(&mut self, deadline: Duration) {
        tracing::info!(
            allocations = self.workers.allocations(),
            deadline_seconds = deadline.as_secs_f64(),
            "draining by command: new allocations go to other nodes"
        );
        self.by_command = Some(ByCommand { until: Instant::now().checked_add(deadline) });
        self.health.set_draining(true);
        if !self.is_on() {
            self.workers.drain(How::ToOthers);
            notify::ready("Draining by command");
        }
    }

    /// Takes new allocations again, unless the relay is to end.
    pub(super) fn withdraw_command(&mut self) {
        if self.by_command.take().is_none() || self.is_on() {
            return;
        }
        self.serve_again();
        notify::ready("Serving");
        tracing::info!("no drain by command any more: new allocations are served again");
    }

    /// Whether the calls that there were at the command are to end now; told once.
    pub(super) fn takes_calls_away(&mut self) -> bool {
        let Some(command) = &mut self.by_command else { return false };
        command.until.take_if(|until| *until <= Instant::now()).is_some()
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

    fn serve_again(&self) {
        self.workers.resume();
        self.health.set_draining(false);
    }
}
