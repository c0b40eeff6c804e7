//! The keeper's life: it waits for signals, and for the relay's end.

use std::io;
use std::mem;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::process;
use std::time::{Duration, Instant};

use rand::TryRng;
use rand::rngs::SysRng;
use rustix::process::{
    Pid, Signal, WaitOptions, WaitStatus, getpid, getppid, kill_process, set_parent_process_death_signal,
    setpgid, wait,
};
use tracing::{Dispatch, dispatcher};

use crate::net::inherited;
use crate::recovery::Vault;
use crate::recovery::state::{Crash, State};

use super::clone::{self, Side};
use super::ending::{Ending, exit_code};
use super::heirs::Heirs;
use super::policy::Policy;
use super::signals::{REPLACE, Signals};
use super::{Birth, Takes};

/// How long to wait when the system has no process for a relay.
const NO_PROCESS: Duration = Duration::from_secs(1);

/// What a keeper knows.
pub(super) struct Keeper<'a, S, R> {
    vault: &'a Vault,
    state: &'a State,
    log: &'a Dispatch,
    signals: Signals,
    relay: R,
    seed: Option<S>,
    /// Drawn at random.
    number: u32,
    /// Whose relay served before this one's came to it.
    before: u32,
    /// Descriptors of whoever started the first process.
    strangers: Vec<RawFd>,
    /// Where its relay hears of a successor.
    line: OwnedFd,
    /// In the first process: the other end of that.
    successors: Option<OwnedFd>,
    /// In a second one: where its relay finds the one that it takes over from.
    predecessor: Option<OwnedFd>,
    policy: Policy,
    now: Stage,
    heirs: Heirs,
    /// Whether the operator wants an end when the calls have ended: the next relay has to hear of it too.
    draining: bool,
}

/// Whether it is a keeper's own relay that serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Leads {
    /// It is about to.
    NotYet,
    /// It does, or goes on with its calls in another process.
    Yes,
    /// Another one took over.
    NoMore,
}

/// What there is of a keeper's relay.
#[derive(Clone, Copy)]
enum Stage {
    /// None until then.
    Pause { until: Instant, takes: Takes },
    /// It runs.
    Relay { process: Pid, restores: bool },
    /// Another keeper's relay took over from it, and it has ended.
    Gone,
}

impl<'a, S, R: Fn(Birth, Option<S>) -> u8> Keeper<'a, S, R> {
    pub(super) fn new(
        vault: &'a Vault,
        state: &'a State,
        log: &'a Dispatch,
        seed: S,
        relay: R,
    ) -> io::Result<Self> {
        let pieces = vault.descriptors()?;
        let mut strangers = inherited::open_descriptors()?;
        strangers.retain(|open| !pieces.contains(open));
        let (line, successors) = line()?;
        Ok(Self {
            vault,
            state,
            log,
            signals: Signals::hold_back()?,
            relay,
            seed: Some(seed),
            number: number()?,
            before: state.keeper(),
            strangers,
            line,
            successors: Some(successors),
            predecessor: None,
            policy: Policy::new(),
            now: Stage::Pause { until: Instant::now(), takes: Takes::All },
            heirs: Heirs::default(),
            draining: false,
        })
    }

    /// Keeps a relay running until it means to end; the code that it ended with.
    pub(super) fn run(mut self) -> io::Result<u8> {
        // Whoever started this gets the error; later there are calls to wait for.
        self.start(Takes::All)?;
        loop {
            let signal = self.signals.wait(self.patience());
            self.heirs.note_leader(self.state.keeper());
            // First, since what ended before a signal was sent has to be known then.
            let mut end = self.reap();
            match signal {
                _ if end.is_some() => {}
                None | Some(Signal::CHILD) => {}
                Some(REPLACE) => self.replace(),
                Some(command) => end = self.pass_on(command),
            }
            if let Some(code) = end {
                return Ok(code);
            }
            self.start_when_due();
        }
    }

    /// How long there is nothing to do but to wait for signals.
    fn patience(&self) -> Option<Duration> {
        match self.now {
            Stage::Pause { until, .. } => Some(until.saturating_duration_since(Instant::now())),
            Stage::Relay { .. } | Stage::Gone => None,
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
        // At the very first start whoever made it is told what is wrong.
        let restores = takes != Takes::Nothing && self.leads() == Leads::Yes;
        self.state.set_served(false);
        let keeper = getpid();
        match clone::sharing_descriptors()? {
            Side::Parent(process) => {
                self.now = Stage::Relay { process, restores };
                self.seed = None;
                if self.draining {
                    // It waits until the relay listens to it.
                    let _ = kill_process(process, Signal::TERM);
                }
                Ok(())
            }
            // What the keeper has open must not be closed: this ends without going back.
            Side::Child => process::exit(match become_child_of(keeper) {
                Ok(()) => (self.relay)(self.birth(takes), self.seed.take()).into(),
                Err(_) => 1,
            }),
        }
    }

    fn birth(&self, takes: Takes) -> Birth {
        // Once it serves, it goes on with what is its own.
        let predecessor = self.predecessor.as_ref().filter(|_| self.leads() == Leads::NotYet);
        Birth {
            takes,
            kept: true,
            keeper: self.number,
            leads: self.leads() == Leads::Yes,
            keepers: self.own_descriptors(),
            predecessor: predecessor.map(AsRawFd::as_raw_fd),
            successor: Some(self.line.as_raw_fd()),
        }
    }

    /// All that this process has open and the relay does not own, beside the pieces of the vault.
    fn own_descriptors(&self) -> Vec<RawFd> {
        let lines = [Some(&self.line), self.successors.as_ref(), self.predecessor.as_ref()];
        let lines = lines.into_iter().flatten().map(AsRawFd::as_raw_fd);
        self.strangers.iter().copied().chain(lines).chain(self.heirs.descriptors()).collect()
    }

    fn leads(&self) -> Leads {
        match self.state.keeper() {
            leader if leader == self.number => Leads::Yes,
            leader if leader == self.before => Leads::NotYet,
            _ => Leads::NoMore,
        }
    }

    /// Tells who serves, and who is about to, what the operator says; the code to end with, if there is nobody
    /// and that is all that the operator waits for.
    fn pass_on(&mut self, command: Signal) -> Option<u8> {
        match command {
            Signal::TERM | Signal::INT => self.draining = true,
            Signal::USR1 => self.draining = false,
            _ => {}
        }
        let leader = self.heirs.of_number(self.state.keeper()).map(|heir| heir.process);
        // Where a stranger serves, all of these are left to themselves.
        let is_elsewhere = leader.is_none() && self.leads() == Leads::NoMore;
        self.heirs.tell(command, |heir| is_elsewhere || !heir.has_led || Some(heir.process) == leader);
        match self.now {
            Stage::Relay { process, .. } if leader.is_none() => {
                // One that has just ended is reaped next.
                let _ = kill_process(process, command);
                None
            }
            // One that starts at once still has calls to end.
            Stage::Pause { until, .. } => (self.draining && until > Instant::now()).then_some(0),
            Stage::Relay { .. } | Stage::Gone => None,
        }
    }

    /// Starts a second keeper, whose relay takes over from the one that serves. Only the first process does.
    fn replace(&mut self) {
        let Some(own) = &self.successors else {
            // Its relay may not know of the first one.
            let _ = getppid().map(|first| kill_process(first, REPLACE));
            return;
        };
        let serves = self.heirs.of_number(self.state.keeper()).map_or(own, |leader| &leader.successors);
        let made = serves.try_clone().and_then(|serves| Ok((serves, line()?, number()?)));
        if matches!(self.now, Stage::Pause { .. }) || self.heirs.is_one_coming() {
            self.tell(|| tracing::warn!("another relay is about to start already"));
            return;
        }
        let parent = getpid();
        match made.and_then(|made| Ok((made, clone::copying_descriptors()?))) {
            Ok(((_, (_, successors), number), Side::Parent(process))) => {
                self.heirs.add(process, number, successors);
            }
            Ok(((predecessor, (line, successors), number), Side::Child)) => {
                if become_child_of(parent).is_err() {
                    process::exit(1);
                }
                drop(successors);
                self.become_second(predecessor, line, number);
            }
            Err(error) => {
                self.tell(|| tracing::error!(%error, "the relay goes on: the system has no process for another one"));
            }
        }
    }

    /// In a new process, whose table is a copy of the first one's.
    fn become_second(&mut self, predecessor: OwnedFd, line: OwnedFd, number: u32) {
        // What is forgotten is closed below, with all that the relay has open.
        mem::forget(mem::replace(&mut self.line, line));
        mem::forget(mem::take(&mut self.successors));
        mem::forget(mem::take(&mut self.heirs));
        self.predecessor = Some(predecessor);
        self.close_the_rest();
        self.number = number;
        self.before = self.state.keeper();
        self.policy = Policy::new();
        self.now = Stage::Pause { until: Instant::now(), takes: Takes::All };
    }

    /// Closes what a relay has open that shared this table, or left a copy of it.
    fn close_the_rest(&self) {
        let pieces = self.vault.descriptors().unwrap_or_default();
        inherited::close_all_but(&[self.own_descriptors(), pieces].concat());
    }

    /// Takes note of all processes that ended; the code to end with, if that is the end of all.
    fn reap(&mut self) -> Option<u8> {
        // An error says that there is no child at all.
        while let Ok(Some((ended, status))) = wait(WaitOptions::NOHANG) {
            let code = match self.now {
                Stage::Relay { process, restores } if process == ended => self.relay_ended(status, restores),
                _ => self.heir_ended(ended, status),
            };
            if code.is_some() {
                return code;
            }
        }
        None
    }

    fn relay_ended(&mut self, status: WaitStatus, restores: bool) -> Option<u8> {
        let leads = self.leads();
        if leads == Leads::NoMore {
            self.now = Stage::Gone;
            self.close_the_rest();
            return self.heirs.is_empty().then(|| exit_code(status));
        }
        if leads == Leads::NotYet && self.predecessor.is_some() {
            // The one that serves goes on, and the first process says so.
            return Some(exit_code(status).max(1));
        }
        let had_served = self.state.has_served();
        match Ending::of(status, restores && !had_served) {
            Ending::Meant(code) => Some(code),
            Ending::Crash(crash) => {
                self.crashed(crash, status, had_served);
                None
            }
        }
    }

    /// A second keeper ended, or an orphan, of whom a container's first process has to know nothing.
    fn heir_ended(&mut self, ended: Pid, status: WaitStatus) -> Option<u8> {
        let heir = self.heirs.remove(ended)?;
        let is_all = matches!(self.now, Stage::Gone) && self.heirs.is_empty();
        if heir.number == self.state.keeper() || is_all {
            if let Some(signal) = status.terminating_signal() {
                self.tell(|| tracing::error!(signal, "what kept the relay was killed, and so it ended"));
            }
            return Some(exit_code(status));
        }
        if !heir.has_led {
            self.tell(|| tracing::error!("there was no hand-over: the relay goes on as if nothing had been"));
        }
        None
    }

    fn crashed(&mut self, crash: Crash, status: WaitStatus, had_served: bool) {
        let now = Instant::now();
        let next = self.policy.crashed(now, crash, had_served);
        if next.afresh {
            self.state.clear_suspects();
        }
        match crash {
            Crash::Killed => self.state.forget_touched(),
            Crash::Aborted | Crash::Fault | Crash::NotRestored => self.state.suspect_touched(),
        }
        self.state.count_crash(crash);
        let what = match next.takes {
            Takes::All => "the relay crashed: its calls go on in a new one",
            Takes::WithoutSuspects => {
                "the relay crashed again: a new one goes on without the calls that it touched last"
            }
            Takes::Nothing => "the relay crashed again and again: a new one starts without any of its calls",
        };
        let (how, pause_seconds) = (describe(crash, status), next.pause.as_secs_f64());
        self.tell(|| tracing::error!(how, pause_seconds, "{what}"));
        self.now = Stage::Pause { until: now + next.pause, takes: next.takes };
    }

    /// Log lines are the keeper's own only while it writes them: a relay starts its log itself.
    fn tell(&self, lines: impl FnOnce()) {
        dispatcher::with_default(self.log, lines);
    }
}

/// What makes a child a process of its own, that ends with its parent all the same.
fn become_child_of(parent: Pid) -> io::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    if getppid() != Some(parent) {
        // It died before that.
        return Err(io::ErrorKind::NotFound.into());
    }
    // A terminal tells all of a process group: a relay would hear of Ctrl-C twice, and not drain.
    setpgid(None, None)?;
    Ok(())
}

fn line() -> io::Result<(OwnedFd, OwnedFd)> {
    UnixStream::pair().map(|(one, other)| (one.into(), other.into()))
}

/// Not zero, which is nobody's.
fn number() -> io::Result<u32> {
    Ok(SysRng.try_next_u32().map_err(io::Error::other)?.max(1))
}

fn describe(crash: Crash, status: WaitStatus) -> String {
    match (crash, status.terminating_signal()) {
        (Crash::NotRestored, _) => "it could not go on with the calls that were there".to_owned(),
        (Crash::Aborted, _) => "it gave up (SIGABRT): its last log line says why".to_owned(),
        (Crash::Killed, _) => "killed (SIGKILL)".to_owned(),
        (Crash::Fault, signal) => format!("fault (signal {})", signal.unwrap_or_default()),
    }
}
