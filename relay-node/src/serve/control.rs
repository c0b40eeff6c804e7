//! What the control thread does while the workers serve: it listens to the operator, to relays that come before
//! and after, and looks after all that is beside packets.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, Interval, MissedTickBehavior, interval};
use turn::{Ledger, Session};

use crate::cluster::Order;
use crate::config::Config;
use crate::recovery::Vault;
use crate::recovery::state::State;
use crate::telemetry::{Allocations, Telemetry};
use crate::worker::{Which, Workers};

use super::ServeError;
use super::drain::Drain;
use super::fleet::{Fleet, Kept};
use super::handover::giving::{Estate, Event, Giving, Outcome};
use super::handover::line::Line;
use super::handover::message::{Report, Request};
use super::handover::neighbours::{Neighbour, Told};
use super::handover::predecessors::Predecessors;
use super::handover::retirement::Retirement;
use super::reload::Reloader;
use super::settings::NonceKey;
use super::signals::{Signals, Told as Command};

/// How often events are taken from the workers, before their queues are full, and whether they live.
const ROUND: Duration = Duration::from_millis(50);
/// How long a worker may take for one of its rounds: where there is much to do, it may not get a core for a while.
const STALL: Duration = Duration::from_secs(5);

/// A relay that serves, as its control thread sees it.
pub(super) struct Control<'a, 'l> {
    pub(super) workers: &'a Workers,
    pub(super) telemetry: &'a Telemetry,
    pub(super) allocations: &'a Allocations,
    pub(super) signals: &'a mut Signals,
    pub(super) reloader: &'a mut Reloader<'l>,
    pub(super) drain: Drain<'a>,
    /// None where nobody can go on with this relay's calls.
    pub(super) succession: Option<Succession<'a>>,
    /// None where it is of no fleet.
    pub(super) fleet: Option<Fleet<'a>>,
}

/// The relays before this one and after it.
pub(super) struct Succession<'a> {
    pub(super) vault: &'a Vault,
    pub(super) state: &'a State,
    pub(super) ledger: Arc<Ledger>,
    /// This one, as others see it.
    pub(super) own: Neighbour,
    pub(super) nonce_key: NonceKey,
    /// The admin server's listener.
    pub(super) admin: OwnedFd,
    pub(super) giving: Giving,
    pub(super) predecessors: Predecessors,
}

/// How it ended that a relay serves.
pub(super) enum End {
    /// Its calls have ended, or the operator does not wait for them.
    Drained,
    /// Another one serves.
    HandedOver(Line, Told),
}

impl Control<'_, '_> {
    /// Serves until the relay is told to end, another one serves, or it cannot go on. A drain changes nothing of
    /// what is looked after.
    pub(super) async fn serve(&mut self) -> Result<End, ServeError> {
        let mut reloads_due = every(self.reloader.current().reload_interval);
        let mut round = every(ROUND);
        self.tell_settings();
        loop {
            tokio::select! {
                told = self.signals.next() => match told {
                    Command::Reload => {
                        self.reloader.reload_as_told(self.workers);
                        self.tell_settings();
                    }
                    Command::Stay => {
                        self.drain.take_back();
                        if !self.drain.is_by_command() {
                            self.tell(&Request::Resume);
                        }
                    }
                    Command::End if self.drain.is_on() => {
                        tracing::warn!(allocations = self.workers.allocations(), "told again: ending at once");
                        return Ok(End::Drained);
                    }
                    Command::End => {
                        self.drain.begin(self.reloader.current().drain_deadline);
                        self.tell(&Request::Drain);
                        // What the workers count is of before the drain until they have heard of it.
                        round.reset();
                    }
                },
                order = wanted_by(&mut self.fleet) => self.follow(order),
                event = said_to(&mut self.succession) => {
                    let kept = self.fleet.as_ref().map(|fleet| fleet.kept().clone()).unwrap_or_default();
                    if let Some(succession) = &mut self.succession
                        && let Some((line, told)) =
                            succession.follow(event, self.workers, self.reloader.current(), kept).await
                    {
                        return Ok(End::HandedOver(line, told));
                    }
                }
                _ = reloads_due.tick() => {
                    self.reloader.reload(self.workers);
                    self.tell_settings();
                }
                _ = round.tick() => {
                    self.look_after()?;
                    if self.drain.takes_calls_away() {
                        let allocations = self.workers.allocations();
                        tracing::warn!(allocations, "the deadline of the drain is over: its calls end");
                        // Nobody waits for how many these were.
                        drop(self.workers.end(&(Arc::new(|_: &Session<'_>| true) as Arc<Which>)));
                    }
                    let older = self.succession.as_mut().map_or(0, |succession| {
                        succession.predecessors.forget_ended();
                        succession.predecessors.allocations()
                    });
                    if self.drain.is_over(self.reloader.current().drain_deadline, older) {
                        return Ok(End::Drained);
                    }
                }
            }
        }
    }

    /// Serves on the connections that there are, after another relay has taken over, until they have ended or the
    /// drain deadline is over. What else is to be done, that one says.
    pub(super) async fn retire(&mut self, mut retirement: Retirement) -> Result<(), ServeError> {
        let since = Instant::now();
        let mut round = every(ROUND);
        self.reloader.retire();
        loop {
            tokio::select! {
                told = self.signals.next() => match told {
                    // The one that serves does.
                    Command::Reload => {}
                    Command::Stay => self.drain.take_back(),
                    Command::End if self.drain.is_on() => return Ok(()),
                    Command::End => self.drain.begin(self.reloader.current().drain_deadline),
                },
                request = retirement.next() => match request {
                    Request::Report => {
                        let report = self.report();
                        retirement.report(report).await;
                    }
                    Request::Settings { configuration, fleet } => {
                        self.reloader.take(&configuration, &fleet, self.workers);
                    }
                    Request::Drain if !self.drain.is_on() => {
                        self.drain.begin(self.reloader.current().drain_deadline);
                    }
                    Request::Resume if self.drain.is_on() => self.drain.take_back(),
                    Request::Stop => return Ok(()),
                    // Not for one that has handed over already.
                    _ => {}
                },
                _ = round.tick() => {
                    self.look_after()?;
                    let deadline = self.reloader.current().drain_deadline;
                    let connections = self.connections();
                    if connections == 0 || self.drain.is_over(deadline, 0) {
                        return Ok(());
                    }
                    if since.elapsed() >= deadline {
                        tracing::warn!(connections, "the drain deadline is over, after another relay took over");
                        return Ok(());
                    }
                }
            }
        }
    }

    /// Does what the fleet wants.
    fn follow(&mut self, order: Option<Order>) {
        let Some(fleet) = &mut self.fleet else { return };
        match order {
            None => fleet.start(self.reloader.current(), self.reloader.files()),
            Some(Order::Fleet(state)) => {
                fleet.keep_state(&state);
                self.reloader.set_fleet(state, self.workers);
                self.tell_settings();
            }
            Some(Order::Drain { deadline, done }) => {
                fleet.keep_drained(true);
                self.drain.begin_by_command(deadline.unwrap_or(self.reloader.current().drain_deadline));
                self.tell(&Request::Drain);
                // Whoever asked may be gone.
                let _ = done.send(self.workers.allocations() as u64);
            }
            Some(Order::Undrain { done }) => {
                fleet.keep_drained(false);
                self.drain.withdraw_command();
                if !self.drain.is_on() {
                    self.tell(&Request::Resume);
                }
                let _ = done.send(());
            }
        }
    }

    /// Ends all calls, and then leaves the fleet, which is told of them. Whoever starts this relay again starts it to
    /// serve.
    pub(super) fn leave_fleet(&mut self) {
        let Some(mut fleet) = self.fleet.take() else { return };
        fleet.keep_drained(false);
        self.workers.stop();
        let begin = Instant::now();
        while !self.workers.have_ended() && begin.elapsed() < STALL {
            std::thread::sleep(Duration::from_millis(1));
        }
        drop(fleet);
    }

    /// Has the older relays end with this one.
    pub(super) async fn end_older(&mut self) {
        if let Some(succession) = &mut self.succession {
            succession.predecessors.say(&Request::Stop);
            // They have heard it then.
            succession.predecessors.leave().await;
        }
    }

    fn look_after(&self) -> Result<(), ServeError> {
        self.allocations.note();
        match (self.workers.dead_worker(), self.workers.stalled(STALL)) {
            (Some(worker), _) => Err(ServeError::WorkerEnded(worker)),
            (None, Some(worker)) => Err(ServeError::WorkerStalled(worker)),
            (None, None) => Ok(()),
        }
    }

    fn tell(&self, request: &Request) {
        if let Some(succession) = &self.succession {
            succession.predecessors.say(request);
        }
    }

    /// Has the older relays take what is in force now.
    fn tell_settings(&mut self) {
        let mut known = Kept::default();
        if let Some(fleet) = &self.fleet {
            fleet.set_user_limit(self.reloader.current().limits.user.allocations);
            known = fleet.kept().clone();
        }
        let Some(succession) = &mut self.succession else { return };
        match self.reloader.kept_bytes() {
            Ok(configuration) => succession.predecessors.set_settings(configuration, known),
            Err(error) => tracing::warn!(%error, "older relays cannot be told of the configuration"),
        }
    }

    fn connections(&self) -> u64 {
        self.workers.counters().iter().map(|counters| counters.sockets().connections_open).sum()
    }

    fn report(&self) -> Report {
        Report { allocations: self.workers.allocations(), metrics: self.telemetry.page().unwrap_or_default() }
    }
}

impl Succession<'_> {
    async fn follow(
        &mut self,
        event: Event,
        workers: &Workers,
        config: &Config,
        fleet: Kept,
    ) -> Option<(Line, Told)> {
        let mut estate = Estate {
            workers,
            ledger: &self.ledger,
            vault: self.vault,
            state: self.state,
            own: &self.own,
            nonce_key: &self.nonce_key,
            fleet,
            config,
            admin: self.admin.as_fd(),
            predecessors: &mut self.predecessors,
        };
        match self.giving.follow(event, &mut estate).await {
            Outcome::GoesOn => None,
            Outcome::HandedOver(line, told) => Some((line, told)),
            Outcome::Returned(neighbour, line) => {
                self.predecessors.add([(neighbour, line)]);
                None
            }
        }
    }
}

async fn wanted_by(fleet: &mut Option<Fleet<'_>>) -> Option<Order> {
    match fleet {
        Some(fleet) => fleet.next().await,
        None => std::future::pending().await,
    }
}

async fn said_to(succession: &mut Option<Succession<'_>>) -> Event {
    match succession {
        Some(succession) => succession.giving.next().await,
        None => std::future::pending().await,
    }
}

/// Not at once, and not faster after a delay.
fn every(period: Duration) -> Interval {
    let mut interval = interval(period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval.reset();
    interval
}
