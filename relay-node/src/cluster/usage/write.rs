//! Writing it, behind what happens.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use turn::credentials::UserId;

use super::accounts::is_poisoned_by;
use super::{Accounts, Line, Shared};
use crate::cluster::Context;
use crate::cluster::allocations::Moment;
use crate::cluster::link::Away;

/// How often it is looked what has ended.
const ROUND: Duration = Duration::from_millis(100);
/// How often it is told what those have used that live.
const LIVE: Duration = Duration::from_secs(5);
/// An allocation that uses nothing is told of so often.
const SILENCE: Duration = Duration::from_secs(60);
/// Allocations that are told of at once.
const PAGE: usize = 1024;
/// Users that are told of at once.
const AT_ONCE: usize = 64;

/// Writes what `meter` has to say, until the fleet's part ends.
pub async fn run(context: Context, meter: Shared) {
    let Ok(now) = Moment::now() else { return };
    let accounts = Accounts::of(&context);
    let mut writer = Writer { context: context.clone(), accounts, meter, now, calls: 0 };
    let mut live_due = Instant::now() + LIVE;
    loop {
        tokio::select! {
            () = sleep(ROUND) => writer.round(&mut live_due).await,
            () = context.ended() => break,
        }
    }
    // What the last allocations used, when the meter knows of them too. That takes as long as tasks are given then.
    sleep(ROUND).await;
    writer.say_ended().await;
}

struct Writer {
    context: Context,
    accounts: Accounts,
    meter: Shared,
    now: Moment,
    /// The number of the last call.
    calls: u64,
}

/// What is to be said of one user, by a call of that number.
#[derive(Clone)]
struct Call {
    user: UserId,
    number: u64,
    lines: Vec<Line>,
}

impl Writer {
    async fn round(&mut self, live_due: &mut Instant) {
        self.context.tally.set("usage_lost_allocations", self.meter.lock().lost());
        if !self.context.link.state().borrow().up {
            return;
        }
        self.say_ended().await;
        if Instant::now() >= *live_due {
            *live_due = Instant::now() + LIVE;
            for worker in 0..self.context.node.workers() {
                self.say_live(worker).await;
            }
        }
    }

    /// Tells of what has ended.
    async fn say_ended(&mut self) {
        loop {
            let users = self.meter.lock().take_ended(PAGE);
            if users.is_empty() {
                return;
            }
            self.say(users).await;
        }
    }

    /// Tells of what lives with a worker, some at a time.
    async fn say_live(&mut self, worker: usize) {
        let mut from = 0;
        loop {
            let metered = self.context.node.metered(worker, from, PAGE).await;
            let Some(last) = metered.last() else { return };
            from = last.id.index() + 1;
            let mut users: BTreeMap<UserId, Vec<Line>> = BTreeMap::new();
            let now = self.now.again().monotonic;
            {
                let mut meter = self.meter.lock();
                for it in &metered {
                    let place = (worker, it.id.index());
                    let traffic = [it.tallied.to_peers, it.tallied.to_client];
                    if let Some((user, line)) = meter.take_live(place, it.created, traffic, now, SILENCE) {
                        users.entry(user).or_default().push(line);
                    }
                }
            }
            let are_more = metered.len() == PAGE;
            self.say(users.into_iter().collect()).await;
            if !are_more {
                return;
            }
        }
    }

    /// Tells until all of it is written.
    async fn say(&mut self, users: Vec<(UserId, Vec<Line>)>) {
        let mut calls: Vec<Call> = Vec::with_capacity(users.len());
        for (user, lines) in users {
            self.calls += 1;
            calls.push(Call { user, number: self.calls, lines });
        }
        for calls in calls.chunks(AT_ONCE) {
            let mut left = calls.to_vec();
            while !left.is_empty() {
                left = self.call(left).await;
                if !left.is_empty() {
                    self.wait_for_answers().await;
                }
            }
            if let Err(away) = self.accounts.enlist(calls.iter().map(|call| &call.user)).await {
                // With what is next said of them.
                tracing::debug!(%away, "users are not listed yet");
            }
        }
    }

    /// Tells, and gives back what has no answer: to be told again, as it is, since it may have been done.
    async fn call(&mut self, calls: Vec<Call>) -> Vec<Call> {
        let mut told = JoinSet::new();
        for call in calls {
            let (accounts, writer) = (self.accounts.clone(), self.context.incarnation);
            told.spawn(async move {
                let result = accounts.tell(writer, call.number, &call.user, &call.lines).await;
                (call, result)
            });
        }
        let mut left = Vec::new();
        while let Some(done) = told.join_next().await {
            // A task that panicked has told so.
            let Ok((call, result)) = done else { continue };
            match result {
                Ok(()) => self.meter.lock().written(&call.lines),
                Err(Away::Refused(error)) if is_poisoned_by(&error) => {
                    // Not for the same reason again and again.
                    tracing::warn!(%error, "usage that Redis refuses is lost");
                    self.meter.lock().lose(call.lines.len() as u64);
                }
                // A primary that is none any more refuses too.
                Err(_) => left.push(call),
            }
        }
        left
    }

    async fn wait_for_answers(&self) {
        sleep(ROUND).await;
        // Without a link there is nobody to tell: the fleet's part ends.
        let _ = self.context.link.state().wait_for(|state| state.up).await;
    }
}
