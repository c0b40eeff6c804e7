//! Writing down what changes, behind what happens.

use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval};
use turn::Monotonic;

use super::moment::Moment;
use super::name::Name;
use super::recall::recall;
use super::record::Written;
use super::shelf::Shelf;
use crate::cluster::Context;
use crate::cluster::link::Away;
use crate::cluster::usage::{Accounts, Over, Shared, Used, millis};
use crate::worker::{Changed, Ended};

/// How often what has changed is written.
const ROUND: Duration = Duration::from_millis(100);
/// Allocations that are written at once: some hundred kilobytes.
const BATCH: usize = 256;
/// How often Redis hears of the node's allocations at least.
const SILENCE: Duration = Duration::from_secs(60);
/// For how long after its start a node may go on with what is in Redis: a client that hears nothing for 30 seconds
/// is gone (consent, RFC 7675 section 5.1).
const RECALLED_WITHIN: Duration = Duration::from_secs(30);

/// Writes the node's allocations, and tells `meter` of them, until the fleet's part ends.
pub async fn run(context: Context, meter: Shared) {
    let now = match Moment::now() {
        Ok(now) => now,
        Err(error) => {
            tracing::error!(%error, "the fleet cannot be told of this node's calls: the system does not name its boot");
            return;
        }
    };
    let Some(ended) = context.node.take_ended() else { return };
    let shelf = Shelf::of(&context, &context.config.node);
    let recall = if context.node.found_records() { None } else { Some(Instant::now() + RECALLED_WITHIN) };
    let mut publisher = Publisher {
        shelf,
        meter,
        ended,
        started: now,
        recall,
        gone: Vec::new(),
        published: None,
        is_swept: false,
        last_word: Instant::now(),
        context: context.clone(),
    };
    let mut rounds = interval(ROUND);
    rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = context.ended() => break,
            () = async { rounds.tick().await; publisher.round().await } => {}
        }
    }
    publisher.say_good_bye().await;
}

struct Publisher {
    context: Context,
    shelf: Shelf,
    meter: Shared,
    ended: tokio::sync::mpsc::Receiver<Ended>,
    started: Moment,
    /// Until when what is in Redis is taken in, which it still is to be.
    recall: Option<Instant>,
    /// Allocations that have ended, and are to be removed.
    gone: Vec<Name>,
    /// The connection on which all that there is was written, or is being.
    published: Option<u64>,
    /// Whether what former lives of the node left was removed since.
    is_swept: bool,
    last_word: Instant,
}

impl Publisher {
    async fn round(&mut self) {
        let state = self.context.link.state().borrow().clone();
        if !state.up {
            // What has changed stays marked where it is; only what has ended is nowhere else.
            self.note_ended();
            self.forget_published();
        } else if let Err(away) = self.write(state.epoch).await {
            tracing::debug!(%away, "the fleet is told of this node's calls again later");
            self.forget_published();
        }
    }

    /// What is there and does not live any more is swept out then.
    fn forget_published(&mut self) {
        self.published = None;
        self.gone.clear();
    }

    /// The relay has ended, or another one goes on with its calls: its workers answer no more, and have told of all that
    /// ended.
    async fn say_good_bye(&mut self) {
        self.note_ended();
        if let Err(away) = self.shelf.change(&[], &self.gone).await {
            tracing::debug!(%away, "the fleet is not told which calls ended with this node");
        }
    }

    async fn write(&mut self, epoch: u64) -> Result<(), Away> {
        if let Some(until) = self.recall {
            if Instant::now() < until {
                self.go_on().await?;
            }
            self.recall = None;
        }
        if self.published != Some(epoch) {
            self.context.node.note_all_changed();
            (self.published, self.is_swept) = (Some(epoch), false);
        }
        loop {
            let changed = self.context.node.changes(BATCH).await;
            let are_more = self.are_more_behind(&changed);
            // Ends first: the place of one that has ended may be another's already.
            self.note_ended();
            let (put, mut removed) = self.note(changed);
            removed.extend(&self.gone);
            if !put.is_empty() || !removed.is_empty() || self.last_word.elapsed() >= SILENCE {
                self.shelf.change(&put, &removed).await?;
                self.gone.clear();
                self.last_word = Instant::now();
            }
            if !are_more {
                break;
            }
        }
        if !self.is_swept {
            let meter = &self.meter;
            self.shelf.sweep(|name| meter.lock().lives(name)).await?;
            self.is_swept = true;
        }
        Ok(())
    }

    /// Goes on with what a former life of this node left in Redis, and nowhere else.
    async fn go_on(&self) -> Result<(), Away> {
        let began = Instant::now();
        let survivors = recall(&self.shelf, &Accounts::of(&self.context), &self.started.again()).await?;
        let found = survivors.len();
        if found == 0 {
            return Ok(());
        }
        let calls = self.context.node.restore(survivors).await;
        let seconds = began.elapsed().as_secs_f64();
        tracing::info!(
            calls,
            found,
            seconds,
            "calls of a former life of this node go on, as Redis knows them"
        );
        Ok(())
    }

    fn note_ended(&mut self) {
        let mut meter = self.meter.lock();
        while let Ok(ended) = self.ended.try_recv() {
            let used = Used {
                to_peers: ended.to_peers.bytes,
                to_client: ended.to_client.bytes,
                millis: millis(ended.age),
            };
            let name = Name::of(&self.context.seal, &ended.five_tuple, ended.created);
            meter.end(Over { name, user: ended.user, used, is_own: self.is_own(ended.created) });
            self.gone.push(name);
        }
    }

    /// What is to be written, and what is to be removed.
    fn note(&self, changed: Vec<Changed>) -> (Vec<(Name, Written)>, Vec<Name>) {
        let (at, mut meter) = (self.started.again(), self.meter.lock());
        let (mut put, mut removed) = (Vec::new(), Vec::new());
        for Changed { worker, place, survivor } in changed {
            let there = survivor.map(|survivor| {
                let allocation = &survivor.allocation;
                let name = Name::of(&self.context.seal, &allocation.five_tuple, allocation.created);
                (name, survivor)
            });
            let allocation = there.as_ref().map(|(name, survivor)| {
                let created = survivor.allocation.created;
                (*name, survivor.allocation.user(), created, self.is_own(created))
            });
            removed.extend(meter.note((worker, place), allocation));
            put.extend(there.map(|(name, survivor)| (name, Written { at, survivor })));
        }
        // One that another worker has now is still there.
        removed.retain(|name| !meter.lives(*name));
        (put, removed)
    }

    /// Whether a worker has told as much as it was asked for, so that there may be more.
    fn are_more_behind(&self, changed: &[Changed]) -> bool {
        let of_each = BATCH.div_ceil(self.context.node.workers().max(1));
        let of = |worker| changed.iter().filter(|changed| changed.worker == worker).count();
        (0..self.context.node.workers()).any(|worker| of(worker) >= of_each)
    }

    /// Whether it began in this process's life.
    fn is_own(&self, created: Monotonic) -> bool {
        created >= self.started.monotonic
    }
}
