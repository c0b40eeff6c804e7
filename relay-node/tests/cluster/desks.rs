//! Desks that answer questions, over real books of nodes.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use edgerelay::cluster::Incarnation;
use edgerelay::cluster::link::Link;
use edgerelay::cluster::quota::{Desk, Relay};
use edgerelay::cluster::registry::entry::Life;
use edgerelay::worker::Question;
use testbed::{Redis, within};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use turn::credentials::UserId;
use turn::ledger::Account;
use turn::{AnswerLimits, Ledger, Limits, PerFamily, Quota, QuotaTicket, RelayAddress};

use crate::nodes::{Fleet, Linked, named};
use crate::support::SOON;

/// A node's desk.
pub struct Node {
    pub books: Arc<Books>,
    pub questions: mpsc::Sender<Question>,
    pub link: Link,
    task: JoinHandle<()>,
    /// Its own one, if it has one.
    _linked: Option<Linked>,
}

/// A node's books, and who waits for an answer.
pub struct Books {
    pub ledger: Arc<Ledger>,
    limits: Limits,
    waiting: Mutex<HashMap<u64, oneshot::Sender<bool>>>,
    tickets: AtomicU64,
}

impl Node {
    /// A node on which, as on all of them together, a user may have `limit` allocations. Redis has `patience`.
    pub fn new(fleet: &Fleet, name: &str, limit: u32, patience: Duration) -> Self {
        Self::with(fleet, name, Arc::new(Books::new(limit)), patience)
    }

    pub fn with(fleet: &Fleet, name: &str, books: Arc<Books>, patience: Duration) -> Self {
        let linked = fleet.link();
        let node = Self::by(&linked.link, fleet, name, books, patience);
        Self { _linked: Some(linked), ..node }
    }

    /// One that shares a link with others.
    pub fn by(link: &Link, fleet: &Fleet, name: &str, books: Arc<Books>, patience: Duration) -> Self {
        let (questions, asked) = mpsc::channel(10_000);
        let life = Life::begin(Incarnation(1));
        let relay = Shared(Arc::clone(&books));
        let desk = Desk::new(link, patience, fleet.seal.clone(), &named(name), life, relay);
        let task = fleet.spawn(desk.run(asked, std::future::pending()));
        Self { books, questions, link: link.clone(), task, _linked: None }
    }

    /// What comes of an Allocate: an allocation, unless a quota is reached.
    pub fn allocate(&self, user: &UserId) -> impl Future<Output = Option<Account>> + Send + use<> {
        let (books, questions, user) = (Arc::clone(&self.books), self.questions.clone(), user.clone());
        async move {
            let account = books.ledger.open_account(&user, &books.limits).ok()?;
            let (answer, answered) = oneshot::channel();
            let ticket = books.tickets.fetch_add(1, Ordering::Relaxed);
            books.waiting.lock().unwrap().insert(ticket, answer);
            let question = Question { worker: 0, ticket: QuotaTicket(ticket), user, asked: Instant::now() };
            questions.send(question).await.ok()?;
            answered.await.ok()?.then_some(account)
        }
    }

    /// The node dies.
    pub fn kill(self) {
        self.task.abort();
    }
}

impl Books {
    pub fn new(limit: u32) -> Self {
        let ip = "203.0.113.1".parse().unwrap();
        let relay = PerFamily { v4: Some(RelayAddress { bind: ip, advertised: ip }), v6: None };
        let most = Quota { allocations: 100_000, permissions: 0, channels: 0, bits_per_second: None };
        Self {
            ledger: Arc::new(Ledger::new(relay, 50_000..=50_001)),
            limits: Limits {
                user: Quota { allocations: limit, ..most },
                total: most,
                answers: AnswerLimits::default(),
            },
            waiting: Mutex::default(),
            tickets: AtomicU64::default(),
        }
    }
}

struct Shared(Arc<Books>);

impl Relay for Shared {
    fn limit(&self) -> u32 {
        self.0.limits.user.allocations
    }

    fn allocations_of(&self, user: &UserId) -> u32 {
        self.0.ledger.allocations_of(user)
    }

    fn changed_users(&self, most: usize) -> Vec<(UserId, u32)> {
        self.0.ledger.changed_users(most)
    }

    fn answer(&self, question: &Question, granted: bool) {
        if let Some(waiting) = self.0.waiting.lock().unwrap().remove(&question.ticket.0) {
            let _ = waiting.send(granted);
        }
    }
}

/// What Redis has of the one user that there is: the numbers in the shares, sorted.
pub fn shares(redis: &Redis) -> Vec<u32> {
    let keys = redis.cli(&["KEYS", "edge:quota:*"]);
    let values = keys.lines().filter(|key| !key.is_empty()).map(|key| redis.cli(&["HVALS", key]));
    let values = values.collect::<Vec<_>>().join("\n");
    let counts = values.lines().filter_map(|value| value.split_once(':')?.0.parse().ok());
    let mut counts: Vec<u32> = counts.collect();
    counts.sort_unstable();
    counts
}

/// Waits until Redis has just these.
pub fn comes_to_have(redis: &Redis, expected: &[u32]) {
    if within(SOON, || (shares(redis) == expected).then_some(())).is_none() {
        panic!("Redis has the shares {:?}, not {expected:?}", shares(redis));
    }
}
