//! The keeper's life: it waits for signals, and for the relay's end.

use std::io;
use std::os::fd::RawFd;
use std::process;
use std::time::{Duration, Instant};

use rustix::process::{
    Pid, Signal, WaitOptions, WaitStatus, getpid, getppid, kill_process, set_parent_process_death_signal,
    setpgid, wait,
};
use tracing::{Dispatch, dispatcher};

use crate::net::inherited;
use crate::recovery::Vault;
use crate::recovery::state::{Crash, State};

use super::clone::{self, Side};
use super::ending::Ending;
use super::policy::Policy;
use super::signals::{REPLACE, Signals};
use super::{Birth, Takes};

/// How long to wait when the system has no process for a relay.
const NO_PROCESS: Duration = Duration::from_secs(1);

/// What the first process knows.
pub(super) struct Keeper<'a, S, R> {
    state: &'a State,
    log: &'a Dispatch,
    signals: Signals,
    /// Drawn at random.
    number: u32,
    /// Descriptors that are neither the relay's nor pieces of the vault.
    own: Vec<RawFd>,
    relay: R,
    seed: Option<S>,
    policy: Policy,
    now: Stage,
    /// Whether the operator wants an end when the calls have ended: the next relay has to hear of it too.
    draining: bool,
}

/// What there is of a relay.
#[derive(Clone, Copy)]
enum Stage {
    /// None until then.
    Pause { until: Instant, takes: Takes },
    /// It runs.
    Relay { process: Pid, restores: bool },
}

impl<'a, S, R: Fn(Birth, Option<S>) -> u8> Keeper<'a, S, R> {
    pub(super) fn new(
        vault: &'a Vault,
        state: &'a State,
        log: &'a Dispatch,
        seed: S,
        relay: R,
    ) -> io::Result<Self> {
        Ok(Self {
            state,
            log,
            signals: Signals::hold_back()?,
            number: rand::TryRng::try_next_u32(&mut rand::rngs::SysRng).map_err(io::Error::other)?,
            own: own_descriptors(vault)?,
            relay,
            seed: Some(seed),
            policy: Policy::new(),
            now: Stage::Pause { until: Instant::now(), takes: Takes::All },
            draining: false,
        })
    }

    /// Keeps a relay running until it means to end; the code that it ended with.
    pub(super) fn run(mut self) -> io::Result<u8> {
        // Whoever started this gets the error; later there are calls to wait for.
        self.start(Takes::All)?;
        loop {
            let signal = self.signals.wait(self.patience());
            let end = match signal {
                None | Some(Signal::CHILD | REPLACE) => None,
                Some(command) => self.pass_on(command),
            };
            if let Some(code) = end.or_else(|| self.reap()) {
                return Ok(code);
            }
            self.start_when_due();
        }
    }

    /// How long there is nothing to do but to wait for signals.
    fn patience(&self) -> Option<Duration> {
        match self.now {
            Stage::Pause { until, .. } => Some(until.saturating_duration_since(Instant::now())),
            Stage::Relay { .. } => None,
        }
    }

    fn start_when_due(&mut self) {
        if let Stage::Pause { until, takes } = self.now
            && until <= Instant::now()
            && let Err(error) = self.start(takes)
        {
            self.tell(|| tracing::error!(%error, "the system has no process for the relay; trying again"));
            self.now = Stage::Pause { until: Instant::now() + NO_PROCESS, takes };
        }
    }

    fn start(&mut self, takes: Takes) -> io::Result<()> {
        let restores = takes != Takes::Nothing && self.state.generation() != 0;
        self.state.set_served(false);
        let keeper = getpid();
        match clone::sharing_descriptors()? {
            Side::Parent(process) => {
                self.now = Stage::Relay { process, restores };
                self.seed = None;
                if self.draining {
                    // It waits until the relay listens to it.
                    self.pass_on(Signal::TERM);
                }
                Ok(())
            }
            // What the keeper has open must not be closed: this ends without going back.
            Side::Child => process::exit(match self.leave_keeper(keeper) {
                Ok(()) => (self.relay)(self.birth(takes), self.seed.take()).into(),
                Err(_) => 1,
            }),
        }
    }

    /// What makes a child a process of its own, that ends with the keeper all the same.
    fn leave_keeper(&self, keeper: Pid) -> io::Result<()> {
        set_parent_process_death_signal(Some(Signal::KILL))?;
        if getppid() != Some(keeper) {
            // It died before that.
            return Err(io::ErrorKind::NotFound.into());
        }
        // A terminal tells all of a process group: the relay would hear of Ctrl-C twice, and not drain.
        setpgid(None, None)?;
        Ok(())
    }

    fn birth(&self, takes: Takes) -> Birth {
        Birth { takes, kept: true, keeper: self.number, keepers: self.own.clone() }
    }

    /// Tells the relay what the operator says; the code to end with, if there is no relay and that is all that
    /// the operator waits for.
    fn pass_on(&mut self, command: Signal) -> Option<u8> {
        match command {
            Signal::TERM | Signal::INT => self.draining = true,
            Signal::USR1 => self.draining = false,
            _ => {}
        }
        match self.now {
            Stage::Relay { process, .. } => {
                // One that has just ended is reaped next.
                let _ = kill_process(process, command);
                None
            }
            Stage::Pause { .. } => self.draining.then_some(0),
        }
    }

    /// Takes note of all processes that ended; the code to end with, if the relay has ended by itself.
    fn reap(&mut self) -> Option<u8> {
        // An error says that there is no child at all.
        while let Ok(Some((ended, status))) = wait(WaitOptions::NOHANG) {
            // As a container's first process, the keeper inherits orphans: they are reaped, that is all.
            if let Stage::Relay { process, restores } = self.now
                && process == ended
                && let Some(code) = self.relay_ended(status, restores)
            {
                return Some(code);
            }
        }
        None
    }

    fn relay_ended(&mut self, status: WaitStatus, restores: bool) -> Option<u8> {
        let had_served = self.state.has_served();
        let crash = match Ending::of(status, restores && !had_served) {
            Ending::Meant(code) => return Some(code),
            Ending::Crash(crash) => crash,
        };
        let now = Instant::now();
        let next = self.policy.crashed(now, crash, had_served);
        if next.afresh {
            self.state.clear_suspects();
        }
        self.state.count_crash(crash);
        let pause_seconds = next.pause.as_secs_f64();
        let how = describe(crash, status);
        self.tell(|| match next.takes {
            Takes::All => {
                tracing::error!(how, pause_seconds, "the relay crashed: its calls go on in a new one")
            }
            Takes::WithoutSuspects => tracing::error!(
                how,
                pause_seconds,
                "the relay crashed again: a new one goes on without the calls that it touched last"
            ),
            Takes::Nothing => tracing::error!(
                how,
                pause_seconds,
                "the relay crashed again and again: a new one goes on without any call"
            ),
        });
        self.now = Stage::Pause { until: now + next.pause, takes: next.takes };
        None
    }

    /// Log lines are the keeper's own only while it writes them: a relay starts its log itself.
    fn tell(&self, lines: impl FnOnce()) {
        dispatcher::with_default(self.log, lines);
    }
}

/// What is open before there was a relay, beside the pieces of the vault: those come and go.
fn own_descriptors(vault: &Vault) -> io::Result<Vec<RawFd>> {
    let pieces = vault.descriptors()?;
    Ok(inherited::open_descriptors()?.into_iter().filter(|open| !pieces.contains(open)).collect())
}

fn describe(crash: Crash, status: WaitStatus) -> String {
    match (crash, status.terminating_signal()) {
        (Crash::NotRestored, _) => "it could not go on with the calls that were there".to_owned(),
        (Crash::Aborted, _) => "it gave up (SIGABRT): its last log line says why".to_owned(),
        (_, Some(signal)) if signal == Signal::KILL.as_raw() => "killed (SIGKILL)".to_owned(),
        (_, signal) => format!("fault (signal {})", signal.unwrap_or_default()),
    }
}
