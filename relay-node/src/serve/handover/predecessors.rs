//! The relays that went before this one and still serve clients of theirs: what they are told, and what they tell.

use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, timeout};
use turn::Ledger;

use super::line::{Line, LineError};
use super::message::{Reply, Request};
use super::neighbours::{self, Neighbour};
use crate::serve::fleet::Kept;
use crate::telemetry::Older;

/// So many at most: of one more, the oldest is told to end.
const MOST: usize = 16;
/// How often each is asked how it goes.
const PERIOD: Duration = Duration::from_secs(1);
/// How long it may take to hear or to answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// Orders that wait for a slow one at most; then it is left to itself.
const ORDERS: usize = 64;

/// All of them, the oldest first.
#[derive(Debug)]
pub struct Predecessors {
    ledger: Arc<Ledger>,
    /// This relay, as they see it.
    own: Neighbour,
    all: Vec<Predecessor>,
    /// Their metrics.
    older: Arc<Older>,
    /// What is in force, as they are told.
    settings: Option<Request>,
}

#[derive(Debug)]
struct Predecessor {
    neighbour: Neighbour,
    /// As it said last.
    allocations: Arc<AtomicUsize>,
    orders: mpsc::Sender<Order>,
    /// Gives its line back when nobody orders any more, if it is whole.
    attendant: JoinHandle<Option<Line>>,
}

#[derive(Debug)]
enum Order {
    Say(Request),
    /// These, and no others.
    Neighbours(Vec<Neighbour>),
}

impl Predecessors {
    /// None yet, of the relay that is `own`.
    pub fn new(ledger: Arc<Ledger>, own: Neighbour) -> Self {
        Self { ledger, own, all: Vec::new(), older: Arc::default(), settings: None }
    }

    /// What they say of themselves.
    pub fn older(&self) -> Arc<Older> {
        Arc::clone(&self.older)
    }

    /// Allocations that they have, as they said last.
    pub fn allocations(&self) -> usize {
        self.all.iter().map(|it| it.allocations.load(Ordering::Relaxed)).sum()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// From now on there are these too, each with a line to it.
    pub fn add(&mut self, more: impl IntoIterator<Item = (Neighbour, Line)>) {
        for (neighbour, line) in more {
            let (orders, ordered) = mpsc::channel(ORDERS);
            let allocations = Arc::default();
            let heard = Heard {
                generation: neighbour.near.generation,
                allocations: Arc::clone(&allocations),
                older: self.older(),
            };
            let attendant = tokio::spawn(attend(line, ordered, heard));
            let predecessor = Predecessor { neighbour, allocations, orders, attendant };
            if let Some(settings) = self.settings.clone() {
                predecessor.order(Order::Say(settings));
            }
            self.all.push(predecessor);
        }
        self.all.sort_by_key(|it| it.neighbour.near.generation);
        let too_many = self.all.len().saturating_sub(MOST);
        for oldest in self.all.iter().take(too_many) {
            tracing::warn!(generation = oldest.neighbour.near.generation, "too many older relays: it ends");
            oldest.order(Order::Say(Request::Stop));
        }
        self.introduce(None);
    }

    /// That is what is in force now: all of them take it, and those that come.
    pub fn set_settings(&mut self, configuration: Vec<u8>, fleet: Kept) {
        let settings = Request::Settings { configuration, fleet };
        if self.settings.as_ref() != Some(&settings) {
            self.say(&settings);
            self.settings = Some(settings);
        }
    }

    /// Tells all of them.
    pub fn say(&self, request: &Request) {
        self.all.iter().for_each(|it| it.order(Order::Say(request.clone())));
    }

    /// Forgets those that have ended.
    pub fn forget_ended(&mut self) {
        let before = self.all.len();
        self.all.retain(|it| {
            let generation = it.neighbour.near.generation;
            let ended = it.attendant.is_finished();
            if ended {
                tracing::info!(generation, "the older relay has ended");
                self.older.remove(generation);
            }
            !ended
        });
        if self.all.len() != before {
            self.introduce(None);
        }
    }

    /// There may soon be `next`, which takes over from this one.
    pub fn expect(&self, next: Neighbour) {
        self.introduce(Some(&next));
    }

    /// Leaves them to the relay that comes next, when they have done all that they were told: what is to be passed
    /// of each.
    pub async fn leave(&mut self) -> Vec<(Neighbour, Line)> {
        let mut left = Vec::new();
        for Predecessor { neighbour, orders, attendant, allocations: _ } in self.all.drain(..) {
            drop(orders);
            // One that does not answer goes on alone.
            if let Ok(Ok(Some(line))) = timeout(2 * PATIENCE, attendant).await {
                left.push((neighbour, line));
            }
        }
        left
    }

    /// Makes this relay, all of them, and the one that comes next, known to each other.
    fn introduce(&self, next: Option<&Neighbour>) {
        neighbours::set(&self.ledger, self.all.iter().map(|it| &it.neighbour).chain(next));
        for it in &self.all {
            let others = self.all.iter().map(|it| &it.neighbour).chain([&self.own]).chain(next);
            let others = others.filter(|other| other.near.generation != it.neighbour.near.generation);
            match others.map(Neighbour::try_clone).collect() {
                Ok(others) => it.order(Order::Neighbours(others)),
                Err(error) => tracing::warn!(%error, "an older relay cannot be told of the others"),
            }
        }
    }
}

impl Predecessor {
    fn order(&self, order: Order) {
        if self.orders.try_send(order).is_err() && !self.attendant.is_finished() {
            tracing::warn!(generation = self.neighbour.near.generation, "the older relay does not listen");
            self.attendant.abort();
        }
    }
}

/// Where what one of them says is written down.
struct Heard {
    generation: u64,
    allocations: Arc<AtomicUsize>,
    older: Arc<Older>,
}

/// Looks after one of them until it ends, or until nobody orders any more: then it has heard everything, and the
/// line is at rest.
async fn attend(mut line: Line, mut orders: mpsc::Receiver<Order>, heard: Heard) -> Option<Line> {
    let mut due = interval(PERIOD);
    due.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut asked = false;
    loop {
        tokio::select! {
            biased;
            order = orders.recv() => match order {
                Some(order) => tell(&mut line, order).await.ok()?,
                None => {
                    // It answers in turn: then it has done all that it was told.
                    if !asked {
                        tell(&mut line, Order::Say(Request::Report)).await.ok()?;
                    }
                    timeout(PATIENCE, line.receive::<Reply>()).await.ok()?.ok()?;
                    return Some(line);
                }
            },
            said = line.receive::<Reply>() => match said {
                Ok((Reply::Report(report), _)) if asked => {
                    asked = false;
                    heard.allocations.store(report.allocations, Ordering::Relaxed);
                    heard.older.set(heard.generation, report.metrics);
                }
                _ => return None,
            },
            _ = due.tick(), if !asked => {
                tell(&mut line, Order::Say(Request::Report)).await.ok()?;
                asked = true;
            }
        }
    }
}

async fn tell(line: &mut Line, order: Order) -> Result<(), LineError> {
    let told = async {
        match order {
            Order::Say(request) => line.send(&request, &[]).await,
            Order::Neighbours(neighbours) => {
                let request =
                    Request::Neighbours { neighbours: neighbours.iter().map(|it| it.near).collect() };
                line.send(&request, &neighbours.iter().map(AsFd::as_fd).collect::<Vec<_>>()).await
            }
        }
    };
    timeout(PATIENCE, told).await.unwrap_or(Err(LineError::Gone))
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use turn::{AddressFamily, RelayAddress, RelayAddresses, RelayPort};

    use super::super::message::{Near, Report};
    use super::*;
    use crate::recovery::ports;

    fn relay() -> RelayAddresses {
        let ip = "127.0.0.1".parse().unwrap();
        RelayAddresses { v4: Some(RelayAddress { bind: ip, advertised: ip }), v6: None }
    }

    fn neighbour(generation: u64) -> Neighbour {
        Neighbour::new(Near::new(generation, relay()), ports::create().unwrap()).unwrap()
    }

    fn predecessors(generation: u64) -> Predecessors {
        let ledger = Arc::new(Ledger::new(relay(), 50_000..=50_009));
        Predecessors::new(ledger, neighbour(generation))
    }

    /// The far end of what `predecessors` has to one more.
    fn one_more(predecessors: &mut Predecessors, neighbour: Neighbour) -> Line {
        let (near, far) = UnixStream::pair().unwrap();
        predecessors.add([(neighbour, Line::new(near).unwrap())]);
        Line::new(far).unwrap()
    }

    /// What is said next that is no question.
    async fn next(line: &mut Line) -> (Request, usize) {
        loop {
            match line.receive::<Request>().await.unwrap() {
                (Request::Report, _) => {}
                (request, descriptors) => return (request, descriptors.len()),
            }
        }
    }

    fn generations(request: Request) -> Vec<u64> {
        let Request::Neighbours { neighbours } = request else { panic!("{request:?}") };
        neighbours.iter().map(|near| near.generation).collect()
    }

    #[tokio::test]
    async fn each_learns_of_all_others() {
        let mut predecessors = predecessors(3);
        let mut first = one_more(&mut predecessors, neighbour(1));
        assert_eq!(generations(next(&mut first).await.0), [3]);
        let mut second = one_more(&mut predecessors, neighbour(2));
        let (told, descriptors) = next(&mut first).await;
        assert_eq!((generations(told), descriptors), (vec![2, 3], 2));
        assert_eq!(generations(next(&mut second).await.0), [1, 3]);
        drop(second);
        while predecessors.all.len() == 2 {
            tokio::task::yield_now().await;
            predecessors.forget_ended();
        }
        assert_eq!(generations(next(&mut first).await.0), [3], "the second one has ended");
    }

    #[tokio::test]
    async fn their_ports_are_reached_until_they_end() {
        let mut predecessors = predecessors(2);
        let other = neighbour(1);
        let theirs = Ledger::publishing(relay(), 50_000..=50_000, other.open());
        let (port, _) = theirs.take_port(AddressFamily::V4, turn::ledger::PortKind::Any, 0).unwrap();
        port.is_held_by(turn::ledger::Holder { worker: turn::WorkerId(0), index: 0 });
        let ledger = Arc::clone(&predecessors.ledger);
        let reached = || ledger.is_open_beside(AddressFamily::V4, RelayPort::new(50_000));
        assert!(!reached());
        let line = one_more(&mut predecessors, other);
        assert!(reached());
        drop(line);
        while reached() {
            tokio::task::yield_now().await;
            predecessors.forget_ended();
        }
    }

    #[tokio::test]
    async fn they_are_asked_and_told() {
        let mut predecessors = predecessors(2);
        let mut first = one_more(&mut predecessors, neighbour(1));
        predecessors.say(&Request::Drain);
        let mut said = Vec::new();
        while said.len() < 3 {
            let (request, _) = first.receive::<Request>().await.unwrap();
            if request == Request::Report {
                let report = Report { allocations: 7, metrics: "a 1\n".to_owned() };
                first.send(&Reply::Report(report), &[]).await.unwrap();
            }
            said.push(request);
        }
        assert!(said.contains(&Request::Drain) && said.contains(&Request::Report));
        while predecessors.allocations() == 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(predecessors.older().beside(String::new()), "a{generation=\"1\"} 1\n");
    }

    #[tokio::test]
    async fn they_are_left_to_the_next_one_at_rest() {
        let mut predecessors = predecessors(2);
        let mut first = one_more(&mut predecessors, neighbour(1));
        // It takes its time for an answer, which is not left for the next one to read.
        while first.receive::<Request>().await.unwrap().0 != Request::Report {}
        let answer = async {
            first.send(&Reply::Report(Report::default()), &[]).await.unwrap();
        };
        let (left, ()) = tokio::join!(predecessors.leave(), answer);
        let [(neighbour, mut line)] = <[_; 1]>::try_from(left).unwrap();
        assert_eq!(neighbour.near.generation, 1);
        line.send(&Request::Report, &[]).await.unwrap();
        assert_eq!(next_question(&mut first).await, Request::Report);
        first.send(&Reply::Report(Report { allocations: 5, ..Report::default() }), &[]).await.unwrap();
        let Reply::Report(report) = line.receive::<Reply>().await.unwrap().0 else { panic!("no report") };
        assert_eq!(report.allocations, 5);
    }

    async fn next_question(line: &mut Line) -> Request {
        line.receive::<Request>().await.unwrap().0
    }
}
