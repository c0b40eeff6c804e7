//! Where workers' questions are answered.

use std::collections::{BTreeMap, VecDeque};
use std::future::{self, Future};
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, sleep_until};
use turn::QuotaTicket;
use turn::credentials::UserId;

use super::script::{self, Ask, Node};
use super::shares::Shares;
use crate::cluster::link::Link;
use crate::cluster::registry::entry::{Life, NodeName};
use crate::cluster::seal::Seal;
use crate::cluster::tally::Tally;

/// Whether a user may have one allocation more than this node has counted for it without that one.
#[derive(Clone, Debug)]
pub struct Question {
    /// The worker that asks.
    pub worker: usize,
    /// What for.
    pub ticket: QuotaTicket,
    /// Whose allocation it is.
    pub user: UserId,
    /// When: the client waits since.
    pub asked: Instant,
}

/// What the desk needs of the relay.
pub trait Relay: Send + 'static {
    /// How many allocations a user may have, on the fleet as on one node.
    fn limit(&self) -> u32;
    /// How many a user has on this node, with those that are being asked about.
    fn allocations_of(&self, user: &UserId) -> u32;
    /// Up to `most` users with more or fewer allocations than when this was asked before: at first, all who have any.
    fn changed_users(&self, most: usize) -> Vec<(UserId, u32)>;
    /// Tells a worker the answer.
    fn answer(&self, question: &Question, granted: bool);
}

/// Where workers' questions are answered, and the shares of this node in users' quotas are kept in Redis.
///
/// One batch is under way at a time, with all that came since the one before: so no share is counted while another batch
/// is about to change it. Nobody waits longer than [`PATIENCE`].
pub struct Desk<R> {
    link: Link,
    seal: Seal,
    tally: Arc<Tally>,
    node: Node,
    relay: R,
    shares: Shares,
    /// Questions that came since the batch under way was sent.
    queue: VecDeque<Question>,
    /// Those of the batch under way, in their order; none for who has its answer already.
    asked: Vec<(UserId, Option<Question>)>,
    /// The connection that the shares were written on.
    epoch: u64,
}

/// A client waits for Redis no longer than this.
pub const PATIENCE: Duration = Duration::from_millis(100);
/// What changed without a question is written behind so often.
const BEHIND: Duration = Duration::from_millis(100);
/// Questions in one batch, and users besides.
const MOST: usize = 1000;

/// A batch under way.
type Flight = Pin<Box<dyn Future<Output = Landing> + Send>>;

/// What came of a batch: of each user what was asked, and how many were granted if Redis has said it.
struct Landing(Vec<(UserId, Ask, Option<u32>)>);

impl<R: Relay> Desk<R> {
    /// A desk for the questions of one life of a node.
    pub fn new(link: &Link, seal: Seal, tally: Arc<Tally>, node: &NodeName, life: Life, relay: R) -> Self {
        Self {
            link: link.within(PATIENCE),
            seal,
            tally,
            node: Node::new(node, life),
            relay,
            shares: Shares::default(),
            queue: VecDeque::new(),
            asked: Vec::new(),
            epoch: 0,
        }
    }

    /// Answers questions until there can be no more, or `ended`.
    pub async fn run(mut self, mut questions: mpsc::Receiver<Question>, ended: impl Future<Output = ()>) {
        let mut behind = interval(BEHIND);
        behind.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut flight: Option<Flight> = None;
        let mut ended = std::pin::pin!(ended);
        loop {
            tokio::select! {
                () = &mut ended => return self.give_up(None),
                question = questions.recv(), if self.queue.len() < MOST => {
                    let Some(question) = question else { return };
                    self.queue.push_back(question);
                    while self.queue.len() < MOST && let Ok(question) = questions.try_recv() {
                        self.queue.push_back(question);
                    }
                }
                landing = landing(&mut flight) => {
                    flight = None;
                    self.land(landing);
                }
                () = sleep_until_some(self.next_late()) => self.give_up(Some(Instant::now())),
                _ = behind.tick() => self.look_behind(),
            }
            if flight.is_none() {
                flight = self.take_off();
            }
        }
    }

    /// Sends all that waits. Without Redis, nobody waits for it.
    fn take_off(&mut self) -> Option<Flight> {
        let state = self.link.state().borrow().clone();
        if !state.up {
            self.give_up(None);
            return None;
        }
        if state.epoch != self.epoch {
            self.epoch = state.epoch;
            self.shares.change_all();
        }
        let mut wanted: BTreeMap<UserId, u32> = BTreeMap::new();
        self.asked = self.queue.drain(..).map(|question| (question.user.clone(), Some(question))).collect();
        for (user, _) in &self.asked {
            *wanted.entry(user.clone()).or_default() += 1;
        }
        for user in self.shares.take(Instant::now(), MOST) {
            wanted.entry(user).or_default();
        }
        if wanted.is_empty() {
            return None;
        }
        let (users, asks): (Vec<_>, Vec<_>) =
            wanted.into_iter().map(|(user, wanted)| (user.clone(), self.ask(&user, wanted))).unzip();
        let (link, node, limit) = (self.link.clone(), self.node.clone(), self.relay.limit());
        Some(Box::pin(async move {
            let mut answers = script::ask(&link, &node, limit, &asks).await.unwrap_or_default().into_iter();
            let parts = users.into_iter().zip(asks);
            Landing(parts.map(|(user, ask)| (user, ask, answers.next().flatten())).collect())
        }))
    }

    /// What is asked for a user who is to have `wanted` more. What the relay has counted for questions that are not here
    /// yet counts as held: then fewer are granted for a moment, never more.
    fn ask(&self, user: &UserId, wanted: u32) -> Ask {
        let kind = if user.is_time_limited() { 't' } else { 'l' };
        let name = self.seal.name_of(format!("{kind}{}", user.name()).as_bytes());
        let held = self.relay.allocations_of(user).saturating_sub(wanted);
        Ask { key: self.link.key(&format!("quota:{name}")), held, wanted }
    }

    fn land(&mut self, Landing(parts): Landing) {
        let now = Instant::now();
        let mut left = BTreeMap::new();
        for (user, ask, granted) in parts {
            // Without an answer the share may be there or not: it is written again when it is to be renewed.
            self.shares.sent(&user, ask.held + granted.unwrap_or(ask.wanted), now);
            left.insert(user, granted);
        }
        for (user, question) in std::mem::take(&mut self.asked) {
            let granted = left.get_mut(&user).and_then(Option::as_mut).map(|left| {
                let granted = *left > 0;
                *left = left.saturating_sub(1);
                granted
            });
            match (question, granted) {
                (Some(question), Some(granted)) => {
                    self.answer(&question, granted, if granted { "granted" } else { "refused" });
                }
                (Some(question), None) => self.answer(&question, true, "away"),
                // It was answered before Redis was: it is there whatever Redis said.
                (None, Some(false)) => self.shares.change(user),
                (None, _) => {}
            }
        }
    }

    /// Leaves it to the node's own limit for who has waited until `now`, or for all.
    fn give_up(&mut self, now: Option<Instant>) {
        let is_late = |question: &Question| now.is_none_or(|now| question.asked + PATIENCE <= now);
        let why = if now.is_some() { "late" } else { "away" };
        let mut late = Vec::new();
        for (_, question) in &mut self.asked {
            late.extend(question.take_if(|question| is_late(question)));
        }
        while let Some(question) = self.queue.pop_front_if(|question| is_late(question)) {
            late.push(question);
        }
        for question in late {
            self.answer(&question, true, why);
            self.shares.change(question.user);
        }
    }

    fn answer(&self, question: &Question, granted: bool, outcome: &'static str) {
        self.tally.count("quota_answers", outcome);
        self.relay.answer(question, granted);
    }

    /// When somebody will have waited for long enough.
    fn next_late(&self) -> Option<Instant> {
        let asked = self.asked.iter().find_map(|(_, question)| question.as_ref());
        asked.into_iter().chain(self.queue.front()).map(|question| question.asked + PATIENCE).min()
    }

    fn look_behind(&mut self) {
        for (user, count) in self.relay.changed_users(MOST) {
            if !self.shares.says(&user, count) {
                self.shares.change(user);
            }
        }
    }
}

/// The batch under way, once it is done.
async fn landing(flight: &mut Option<Flight>) -> Landing {
    match flight {
        Some(flight) => flight.await,
        None => future::pending().await,
    }
}

async fn sleep_until_some(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment.into()).await,
        None => future::pending().await,
    }
}
