//! A relay of a fleet asks before a client gets an allocation, and goes on by itself where nobody answers.

use std::time::{Duration, Instant};

use edgerelay::worker::{Ended, FleetPlan, Question, SocketStats};
use tokio::sync::mpsc::{self, Receiver};
use turn::{Settings, Transport};

use crate::support::{Client, Node, NodePlan, settings, wait_until};

/// A relay that asks, and what it asks.
struct Asking {
    node: Node,
    questions: Receiver<Question>,
    _ended: Receiver<Ended>,
}

impl Asking {
    /// One for whose questions there is so much room.
    fn with_room(room: usize) -> Self {
        let (questions, asked) = mpsc::channel(room);
        let (ended, told) = mpsc::channel(16);
        let plan = NodePlan {
            settings: Settings { asks_quota: true, ..settings() },
            fleet: Some(FleetPlan { questions, ended }),
            ..NodePlan::new().workers(2).listen(Transport::Udp, "127.0.0.1:0")
        };
        Self { node: plan.start(), questions: asked, _ended: told }
    }

    /// Answers the next question.
    fn answer(&mut self, granted: bool) -> Question {
        let question = self.questions.blocking_recv().unwrap();
        self.node.workers.answer_quota(question.worker, question.ticket, granted);
        question
    }

    /// So many have been granted, refused, not answered and not asked.
    fn wait_for_counts(&self, counts: [u64; 4]) {
        let of = |it: SocketStats| {
            [it.quotas_granted, it.quotas_refused, it.quotas_unanswered, it.quotas_not_asked]
        };
        let counted = || [0, 1, 2, 3].map(|which| self.node.count(|sockets| of(sockets)[which]));
        wait_until("all are counted", || counted() == counts);
    }

    /// A client's attempt to allocate, while `meanwhile` goes on.
    fn allocate(&mut self, meanwhile: impl FnOnce(&mut Self)) -> Result<(), u16> {
        let mut client = Client::udp(self.node.address());
        std::thread::scope(|scope| {
            let allocated = scope.spawn(|| client.try_allocate());
            meanwhile(self);
            allocated.join().unwrap().map(|_| ())
        })
    }
}

#[test]
fn a_client_gets_what_the_fleet_grants_and_not_what_it_refuses() {
    let mut asking = Asking::with_room(8);
    let asked = |asking: &mut Asking, granted| {
        let question = asking.answer(granted);
        assert_eq!(question.user.to_string(), "alice");
    };
    assert_eq!(asking.allocate(|asking| asked(asking, true)), Ok(()));
    assert_eq!(asking.allocate(|asking| asked(asking, false)), Err(486));
    asking.wait_for_counts([1, 1, 0, 0]);
}

#[test]
fn where_nobody_answers_the_node_decides_alone_after_a_while() {
    let mut asking = Asking::with_room(8);
    let begin = Instant::now();
    assert_eq!(asking.allocate(|_| {}), Ok(()));
    assert!(begin.elapsed() >= Duration::from_millis(100), "the fleet has that long");
    // An answer that comes too late changes nothing.
    asking.answer(false);
    assert_eq!(asking.allocate(|asking| drop(asking.answer(true))), Ok(()));
    asking.wait_for_counts([1, 0, 1, 0]);
}

#[test]
fn where_nobody_can_be_asked_nobody_waits() {
    let mut asking = Asking::with_room(1);
    asking.questions.close();
    assert_eq!(asking.allocate(|_| {}), Ok(()));
    asking.wait_for_counts([0, 0, 0, 1]);
}
