//! Where workers' questions are answered.

use std::collections::BTreeMap;
use std::future::{self, Future};
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};
use turn::credentials::UserId;

use super::script::{self, Ask, Share};
use super::shares::Shares;
use crate::cluster::link::Link;
use crate::cluster::node::Node;
use crate::cluster::registry::entry::{Life, NodeName};
use crate::cluster::seal::Seal;
use crate::worker::Question;

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

impl Relay for Arc<Node> {
    fn limit(&self) -> u32 {
        self.user_limit()
    }

    fn allocations_of(&self, user: &UserId) -> u32 {
        Node::allocations_of(self, user)
    }

    fn changed_users(&self, most: usize) -> Vec<(UserId, u32)> {
        Node::changed_users(self, most)
    }

    fn answer(&self, question: &Question, granted: bool) {
        self.answer_quota(question.worker, question.ticket, granted);
    }
}

/// Where workers' questions are answered, and the shares of this node in users' quotas are kept in Redis.
///
/// One batch is under way at a time, with all that came since the one before: so no share is counted while another batch
/// is about to change it. A worker waits for so long and then decides alone: what is older is no question any more.
pub struct Desk<R> {
    link: Link,
    patience: Duration,
    seal: Seal,
    share: Share,
    relay: R,
    shares: Shares,
    /// Questions that came since the batch under way was sent.
    queue: Vec<Question>,
    /// The connection that the shares were written on.
    epoch: u64,
}

/// What changed without a question is written behind so often.
const BEHIND: Duration = Duration::from_millis(100);
/// Questions in one batch, and users besides.
const MOST: usize = 1000;

/// A batch under way.
type Flight = Pin<Box<dyn Future<Output = Landing> + Send>>;

/// What came of a batch.
struct Landing {
    questions: Vec<Question>,
    /// What was asked for each user, and how many more were granted if Redis has said it.
    users: Vec<(UserId, Ask, Option<u32>)>,
}

impl<R: Relay> Desk<R> {
    /// A desk for the questions of one life of a node, each of which is to be answered within `patience`.
    pub fn new(link: &Link, patience: Duration, seal: Seal, node: &NodeName, life: Life, relay: R) -> Self {
        Self {
            link: link.within(patience),
            patience,
            seal,
            share: Share::new(node, life),
            relay,
            shares: Shares::default(),
            queue: Vec::new(),
            epoch: 0,
        }
    }

    /// Answers questions until there can be no more, or `ended`.
    pub async fn run(mut self, mut questions: mpsc::Receiver<Question>, ended: impl Future<Output = ()>) {
        let mut behind = interval(BEHIND);
        behind.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut flight: Option<Flight> = None;
        let mut ended = std::pin::pin!(ended);
        self.take_over();
        loop {
            tokio::select! {
                () = &mut ended => return,
                count = questions.recv_many(&mut self.queue, MOST), if self.queue.len() < MOST => {
                    if count == 0 {
                        return;
                    }
                }
                landing = landing(&mut flight) => {
                    flight = None;
                    self.land(landing);
                }
                _ = behind.tick() => self.look_behind(),
            }
            if flight.is_none() {
                flight = self.take_off();
            }
        }
    }

    /// What the relay has from the start was not asked about.
    fn take_over(&mut self) {
        loop {
            let changed = self.relay.changed_users(MOST);
            for (user, count) in &changed {
                self.shares.set(user, *count, Instant::now());
            }
            if changed.len() < MOST {
                return;
            }
        }
    }

    /// Sends all that waits. Without Redis, nobody waits for it.
    fn take_off(&mut self) -> Option<Flight> {
        let mut questions = std::mem::take(&mut self.queue);
        questions.retain(|question| question.asked.elapsed() < self.patience);
        let mut wanted: BTreeMap<UserId, u32> =
            self.shares.take(Instant::now(), MOST).into_iter().map(|user| (user, 0)).collect();
        for question in &questions {
            *wanted.entry(question.user.clone()).or_default() += 1;
        }
        let state = self.link.state().borrow().clone();
        if state.up && state.epoch != self.epoch {
            self.epoch = state.epoch;
            self.shares.change_all();
        }
        if wanted.is_empty() {
            return None;
        }
        let users: Vec<_> =
            wanted.into_iter().map(|(user, wanted)| (user.clone(), self.ask(&user, wanted))).collect();
        if !state.up {
            let users = users.into_iter().map(|(user, ask)| (user, ask, None)).collect();
            self.land(Landing { questions, users });
            return None;
        }
        let (link, share, limit) = (self.link.clone(), self.share.clone(), self.relay.limit());
        Some(Box::pin(async move {
            let asks: Vec<&Ask> = users.iter().map(|(_, ask)| ask).collect();
            let mut answers = script::ask(&link, &share, limit, &asks).await.unwrap_or_default().into_iter();
            let users = users.into_iter().map(|(user, ask)| (user, ask, answers.next().flatten())).collect();
            Landing { questions, users }
        }))
    }

    /// What is asked for a user who is to have `wanted` more.
    fn ask(&self, user: &UserId, wanted: u32) -> Ask {
        let kind = if user.is_time_limited() { 't' } else { 'l' };
        let name = self.seal.name_of(format!("{kind}{}", user.name()).as_bytes());
        // Some may have ended since the share was written.
        let others = self.relay.allocations_of(user).saturating_sub(wanted);
        Ask { key: self.link.key(&format!("quota:{name}")), held: self.shares.of(user).min(others), wanted }
    }

    fn land(&mut self, Landing { questions, users }: Landing) {
        let now = Instant::now();
        let mut left = BTreeMap::new();
        for (user, ask, granted) in users {
            // Without an answer the node's own limit decides, and what Redis has of it is put right when it is renewed.
            let granted = granted.unwrap_or(ask.wanted);
            self.shares.set(&user, ask.held + granted, now);
            left.insert(user, granted);
        }
        for question in questions {
            let left = left.entry(question.user.clone()).or_default();
            let granted = *left > 0;
            *left = left.saturating_sub(1);
            self.relay.answer(&question, granted);
            if !granted && question.asked.elapsed() >= self.patience {
                // The worker did not wait: it is there all the same.
                let count = self.relay.allocations_of(&question.user);
                self.shares.look(question.user, count, now);
            }
        }
    }

    fn look_behind(&mut self) {
        let now = Instant::now();
        for (user, count) in self.relay.changed_users(MOST) {
            self.shares.look(user, count, now);
        }
        self.shares.look_again(now, |user| self.relay.allocations_of(user));
    }
}

/// The batch under way, once it is done.
async fn landing(flight: &mut Option<Flight>) -> Landing {
    match flight {
        Some(flight) => flight.await,
        None => future::pending().await,
    }
}
