//! A worker's part in the fleet: it asks before a client gets an allocation, tells what has changed, and does what
//! others of the fleet want.
//!
//! Nothing here is on a packet's way but a mark for each change that is written down, and nothing waits: a question
//! that is not answered in time is answered here.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::{Receiver, Sender, channel};
use turn::credentials::UserId;
use turn::record::{Change, Survivor};
use turn::{Alternates, Event, FiveTuple, Metered, Monotonic, Now, PathId, QuotaTicket, Session, Traffic};

use crate::recovery::records::Estate;
use crate::recovery::survivors::divide;

use super::backlog::Backlog;
use super::counters::SocketStats;
use super::mailbox::Command;
use super::restore::{self, Restored};
use super::run::Worker;
use super::workers::Workers;

/// How long the fleet may take to answer; then the node's own limit decides alone.
const PATIENCE: Duration = Duration::from_millis(100);
/// Questions of a worker that may wait for an answer; of more it is not asked.
const OPEN: usize = 4096;
/// Allocations that a worker takes in at a time: each takes as long as a dozen packets.
const RESTORED: usize = 16;

/// Where workers turn to in a fleet. Both have room for so many and no more, and nobody waits for room.
#[derive(Clone, Debug)]
pub struct FleetPlan {
    /// Who is asked whether a user may have one more allocation.
    pub questions: Sender<Question>,
    /// Who is told of allocations that have ended.
    pub ended: Sender<Ended>,
}

/// Whether a user may have one more allocation, of all that it has in the fleet.
#[derive(Clone, Debug)]
pub struct Question {
    /// The worker that asks.
    pub worker: usize,
    /// What it knows the question by.
    pub ticket: QuotaTicket,
    /// Whose quota it is.
    pub user: UserId,
    /// When it was asked.
    pub asked: Instant,
}

/// An allocation that has ended, with all that it relayed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Whose packets it took.
    pub five_tuple: FiveTuple,
    /// When it came to be.
    pub created: Monotonic,
    /// Whose quota it counted against.
    pub user: UserId,
    /// How long it lived.
    pub age: Duration,
    /// What it relayed from the client.
    pub to_peers: Traffic,
    /// What it relayed to the client.
    pub to_client: Traffic,
}

/// What has become of an allocation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// Its worker.
    pub worker: usize,
    /// Its place there, which is used again.
    pub place: usize,
    /// What is there now, if anything is.
    pub survivor: Option<Survivor>,
}

/// Which allocations are meant.
pub type Which = dyn Fn(&Session<'_>) -> bool + Send + Sync;

/// What the fleet wants of a worker.
pub(super) enum Wish {
    /// Send clients to these from now on.
    Alternates(Arc<Alternates>),
    /// A question is answered.
    Answer { ticket: QuotaTicket, granted: bool },
    /// End these, and tell how many that were.
    End { which: Arc<Which>, told: Sender<u64> },
    /// Tell what has changed of so many at most.
    Changes { most: usize, told: Sender<Vec<Changed>> },
    /// From now on all have changed.
    AllChanged,
    /// Tell what those from this place on have relayed, of so many at most.
    Meter { from: usize, most: usize, told: Sender<Vec<Metered>> },
    /// Go on with these.
    Restore { survivors: Vec<(Survivor, PathId)>, told: Sender<Restored> },
}

/// What a worker knows of its fleet.
pub(super) struct Fleet {
    worker: usize,
    plan: FleetPlan,
    /// What it has asked, with when it goes on without an answer: the first to be asked first.
    open: VecDeque<(Monotonic, QuotaTicket)>,
    /// Places of allocations that have changed since somebody asked.
    changed: Backlog,
}

impl Fleet {
    pub(super) fn new(worker: usize, plan: FleetPlan) -> Self {
        Self { worker, plan, open: VecDeque::new(), changed: Backlog::default() }
    }

    /// Asks, if there is room; whether there was.
    fn ask(&mut self, ticket: QuotaTicket, user: UserId, now: Monotonic) -> bool {
        let question = Question { worker: self.worker, ticket, user, asked: Instant::now() };
        let asked = self.open.len() < OPEN && self.plan.questions.try_send(question).is_ok();
        if asked {
            self.open.push_back((now.after(PATIENCE), ticket));
        }
        asked
    }

    /// Takes note of an answer; whether somebody still waits for it.
    fn answered(&mut self, ticket: QuotaTicket) -> bool {
        // Answers come in about the order of the questions.
        let place = self.open.iter().position(|(_, open)| *open == ticket);
        place.and_then(|place| self.open.remove(place)).is_some()
    }

    /// The next question that nobody has answered in time.
    fn overdue(&mut self, now: Monotonic) -> Option<QuotaTicket> {
        self.open.pop_front_if(|(due, _)| *due <= now).map(|(_, ticket)| ticket)
    }

    /// When that will be.
    pub(super) fn next_deadline(&self) -> Option<Monotonic> {
        self.open.front().map(|(due, _)| *due)
    }

    /// Notes which allocation has changed.
    pub(super) fn note(&mut self, change: &Change) {
        let id = match change {
            Change::Allocation { id, .. } => *id,
            Change::Permission { record, .. } => record.allocation,
            Change::Channel { record, .. } => record.allocation,
            Change::Reservation { .. } | Change::Deletion { .. } => return,
        };
        self.changed.add(id.index());
    }

    /// Tells of an allocation that has ended; whether whoever wants to know had room for it.
    pub(super) fn tell(&self, event: &Event, now: Now) -> bool {
        let Event::AllocationClosed { five_tuple, user, age, to_peers, to_client, .. } = event else {
            return true;
        };
        let age_nanos = u64::try_from(age.as_nanos()).unwrap_or(u64::MAX);
        let ended = Ended {
            five_tuple: *five_tuple,
            created: Monotonic::from_nanos(now.monotonic.as_nanos().saturating_sub(age_nanos)),
            user: user.clone(),
            age: *age,
            to_peers: *to_peers,
            to_client: *to_client,
        };
        self.plan.ended.try_send(ended).is_ok()
    }
}

impl Workers {
    /// How many there are.
    pub fn count(&self) -> usize {
        self.mailboxes.len()
    }

    /// From now on clients are sent to these nodes.
    pub fn set_alternates(&self, alternates: &Arc<Alternates>) {
        self.tell(|| Command::Fleet(Wish::Alternates(Arc::clone(alternates))));
    }

    /// The answer to a question of one of them.
    pub fn answer_quota(&self, worker: usize, ticket: QuotaTicket, granted: bool) {
        if let Some(mailbox) = self.mailboxes.get(worker) {
            mailbox.command(Command::Fleet(Wish::Answer { ticket, granted }));
        }
    }

    /// Ends the allocations that are meant. Each worker tells how many that were.
    pub fn end(&self, which: &Arc<Which>) -> Receiver<u64> {
        self.ask(|told| Wish::End { which: Arc::clone(which), told })
    }

    /// What has changed since somebody asked last: from each worker so many at most.
    pub fn changes(&self, most: usize) -> Receiver<Vec<Changed>> {
        self.ask(|told| Wish::Changes { most, told })
    }

    /// From now on all allocations have changed.
    pub fn note_all_changed(&self) {
        self.tell(|| Command::Fleet(Wish::AllChanged));
    }

    /// What allocations of a worker have relayed, from this place on and so many at most.
    pub fn metered(&self, worker: usize, from: usize, most: usize) -> Receiver<Vec<Metered>> {
        let (told, tells) = channel(1);
        if let Some(mailbox) = self.mailboxes.get(worker) {
            mailbox.command(Command::Fleet(Wish::Meter { from, most, told }));
        }
        tells
    }

    /// Goes on with allocations that are nowhere else any more, while all else goes on. Told is what becomes of
    /// them, some at a time.
    pub fn restore(&self, survivors: Vec<Survivor>) -> Receiver<Restored> {
        let shares = divide(
            Estate { survivors, ..Estate::default() },
            self.mailboxes.len(),
            |client| self.steering.owner(client),
            &[],
        );
        let with_path = |survivor: Survivor| {
            let path = restore::path(&self.listeners, survivor.allocation.five_tuple.server)?;
            Some((survivor, path))
        };
        let mut batches = Vec::new();
        for (mailbox, share) in self.mailboxes.iter().zip(shares.workers) {
            let mut survivors = share.survivors.into_iter().filter_map(with_path).peekable();
            while survivors.peek().is_some() {
                batches.push((mailbox, survivors.by_ref().take(RESTORED).collect::<Vec<_>>()));
            }
        }
        let (told, tells) = channel(batches.len().max(1));
        for (mailbox, survivors) in batches {
            mailbox.command(Command::Fleet(Wish::Restore { survivors, told: told.clone() }));
        }
        tells
    }

    /// Has every worker tell something.
    fn ask<T>(&self, wish: impl Fn(Sender<T>) -> Wish) -> Receiver<T> {
        let (told, tells) = channel(self.mailboxes.len().max(1));
        self.tell(|| Command::Fleet(wish(told.clone())));
        tells
    }
}

impl Worker {
    /// Has the fleet asked, or goes on without.
    pub(super) fn ask_quota(&mut self, ticket: QuotaTicket, user: UserId, now: Now) {
        let asked = self.fleet.as_mut().is_some_and(|fleet| fleet.ask(ticket, user, now.monotonic));
        if !asked {
            self.stats.quotas_not_asked += 1;
            self.turn.quota_answered(now, ticket, true);
        }
    }

    /// Goes on with what the fleet has not answered in time.
    pub(super) fn answer_late_questions(&mut self, now: Now) {
        while let Some(ticket) = self.fleet.as_mut().and_then(|fleet| fleet.overdue(now.monotonic)) {
            self.stats.quotas_unanswered += 1;
            self.turn.quota_answered(now, ticket, true);
            self.follow_outputs(now);
        }
    }

    /// Does what the fleet wants: not while it stands still, when nothing may change.
    pub(super) fn follow_wish(&mut self, wish: Wish, now: Now) {
        if self.freezing.is_frozen() {
            self.freezing.postpone(wish);
            return;
        }
        match wish {
            Wish::Alternates(alternates) => self.turn.set_alternates(alternates),
            Wish::Answer { ticket, granted } => self.take_answer(ticket, granted, now),
            Wish::End { which, told } => tell(&told, self.turn.end(now, &*which)),
            Wish::Changes { most, told } => tell(&told, self.changes(most)),
            Wish::AllChanged => {
                if let Some(fleet) = &mut self.fleet {
                    self.turn.metered_from(0).for_each(|it| fleet.changed.add(it.id.index()));
                }
            }
            Wish::Meter { from, most, told } => {
                tell(&told, self.turn.metered_from(from).take(most).collect());
            }
            Wish::Restore { survivors, told } => {
                let mut restored = Restored::default();
                for (survivor, path) in survivors {
                    self.restore(survivor, path, None, &mut restored);
                }
                tell(&told, restored);
            }
        }
    }

    fn take_answer(&mut self, ticket: QuotaTicket, granted: bool, now: Now) {
        if !self.fleet.as_mut().is_some_and(|fleet| fleet.answered(ticket)) {
            return;
        }
        let SocketStats { quotas_granted, quotas_refused, .. } = &mut self.stats;
        *if granted { quotas_granted } else { quotas_refused } += 1;
        self.turn.quota_answered(now, ticket, granted);
    }

    fn changes(&mut self, most: usize) -> Vec<Changed> {
        let Some(fleet) = &mut self.fleet else { return Vec::new() };
        let next = || fleet.changed.next();
        std::iter::from_fn(next)
            .take(most)
            .map(|place| Changed { worker: self.index, place, survivor: self.turn.survivor(place) })
            .collect()
    }
}

/// Nobody may wait for it any more.
fn tell<T>(told: &Sender<T>, what: T) {
    let _ = told.try_send(what);
}
