//! Keeps a connection to Redis: makes it, looks whether it still serves, and makes it again.

use std::sync::Arc;
use std::time::Duration;

use rand::RngExt;
use redis::{RedisError, RedisResult, Value};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};

use super::connection::Connection;
use super::route::{Route, Seen};
use super::{DEADLINE, Doubt, LinkState, Live, why};
use crate::cluster::tally::Tally;

/// How often it looks whether the connection still serves.
const BEAT: Duration = Duration::from_secs(1);
/// How long Redis keeps what was written to see that, in milliseconds.
const BEAT_LIVES: u64 = 30_000;
/// The first pause before it connects again, at most; each further one may be twice as long.
const SHORTEST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// A connection that held for so long was no mistake: pauses begin anew.
const HELD: Duration = Duration::from_secs(5);

/// What Redis has of what was written last.
enum Kept {
    All,
    Nothing,
}

/// Keeps a connection to Redis.
pub(super) struct Keeper {
    route: Arc<Route>,
    beat: redis::Cmd,
    epoch: u64,
    live: watch::Sender<Option<Live>>,
    tell: watch::Sender<LinkState>,
    doubted: mpsc::Receiver<Doubt>,
    tally: Arc<Tally>,
}

impl Keeper {
    /// `beat` is the key that it writes to see whether Redis takes writes, and still has what was written.
    pub(super) fn new(
        route: Arc<Route>,
        beat: String,
        live: watch::Sender<Option<Live>>,
        tell: watch::Sender<LinkState>,
        doubted: mpsc::Receiver<Doubt>,
        tally: &Arc<Tally>,
    ) -> Self {
        let mut write = redis::cmd("SET");
        write.arg(beat).arg(1).arg("PX").arg(BEAT_LIVES).arg("GET");
        Self { route, beat: write, epoch: 0, live, tell, doubted, tally: Arc::clone(tally) }
    }

    /// Goes on until it is aborted.
    pub(super) async fn run(mut self) {
        let mut attempts = 0_u32;
        loop {
            match self.connect().await {
                Ok((connection, seen)) => {
                    let since = Instant::now();
                    tracing::info!("cluster: {} is there", self.route);
                    self.up(connection.clone());
                    let error = self.watch(connection, seen).await;
                    // What was broken must not be used once more.
                    self.live.send_replace(None);
                    self.down(&error);
                    attempts = if since.elapsed() > HELD { 0 } else { attempts + 1 };
                }
                Err(error) => {
                    self.down(&error);
                    attempts = attempts.saturating_add(1);
                }
            }
            sleep(pause(attempts)).await;
        }
    }

    /// A connection that takes writes.
    async fn connect(&self) -> RedisResult<(Connection, Option<Seen>)> {
        let (mut connection, seen) = self.route.connect().await?;
        self.beat(&mut connection).await?;
        Ok((connection, seen))
    }

    /// Comes back when the connection serves no more, and tells why.
    async fn watch(&mut self, mut connection: Connection, seen: Option<Seen>) -> RedisError {
        let mut ticks = interval(BEAT);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut lookout = seen.map(Lookout::new);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                Some(doubt) = self.doubted.recv() => match doubt {
                    // Of an earlier connection.
                    Doubt { epoch, .. } if epoch != self.epoch => continue,
                    Doubt { error: Some(error), .. } => return error,
                    Doubt { error: None, .. } => {}
                },
            }
            match self.beat_twice(&mut connection).await {
                Err(error) => return error,
                Ok(Kept::All) => {}
                Ok(Kept::Nothing) => {
                    tracing::warn!("cluster: {} was emptied; all is published again", self.route);
                    self.up(connection.clone());
                }
            }
            if let Some(lookout) = &mut lookout
                && let Some(to) = lookout.moved(&self.route).await
            {
                return why::moved(&to);
            }
        }
    }

    /// One answer may be late.
    async fn beat_twice(&self, connection: &mut Connection) -> RedisResult<Kept> {
        match self.beat(connection).await {
            Err(error) if error.is_timeout() => self.beat(connection).await,
            other => other,
        }
    }

    /// Whether Redis answers and takes a write, in time; and what it has of the last one.
    async fn beat(&self, connection: &mut Connection) -> RedisResult<Kept> {
        let beaten = timeout(DEADLINE, async {
            if self.route.is_cluster() {
                // Every primary answers this one.
                connection.command(&redis::cmd("PING")).await?;
            }
            connection.command(&self.beat).await
        });
        match beaten.await {
            Ok(Ok(Value::Nil)) => Ok(Kept::Nothing),
            Ok(result) => result.map(|_| Kept::All),
            Err(_) => Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into()),
        }
    }

    /// What is published has to be published again.
    fn up(&mut self, connection: Connection) {
        // What calls met before is of no interest now.
        while self.doubted.try_recv().is_ok() {}
        self.epoch += 1;
        self.live.send_replace(Some(Live { epoch: self.epoch, connection }));
        self.tally.trouble("redis", None);
        self.tally.set("up", 1);
        self.tell.send_replace(LinkState { up: true, epoch: self.epoch, why: String::new() });
    }

    /// Tells it once, however often it is tried.
    fn down(&self, error: &RedisError) {
        let why = why::sentence(&self.route, error);
        let is_news = self.tell.send_if_modified(|state| {
            let is_news = state.up || state.why != why;
            (state.up, state.why) = (false, why.clone());
            if is_news {
                self.tally.trouble("redis", Some(why.clone()));
                self.tally.set("up", 0);
            }
            is_news
        });
        if is_news {
            tracing::warn!("cluster: {why}. Calls go on with what is known");
        }
    }
}

/// Looks whether the Sentinels still name the same primary: one that lost its office may not know, and then others
/// write elsewhere.
struct Lookout {
    primary: String,
    /// What the Sentinel said that was asked last; with none, another one is to be asked.
    seen: Option<Seen>,
}

impl Lookout {
    fn new(seen: Seen) -> Self {
        Self { primary: seen.primary.to_string(), seen: Some(seen) }
    }

    /// The new primary, if there is one.
    async fn moved(&mut self, route: &Route) -> Option<String> {
        self.seen = match self.seen.take() {
            Some(mut seen) => match timeout(DEADLINE, route.look_again(&mut seen)).await {
                Ok(Ok(())) => Some(seen),
                // Sentinels that do not answer change nothing.
                _ => None,
            },
            None => route.look().await.ok(),
        };
        let now = self.seen.as_ref()?.primary.to_string();
        (self.primary != now).then_some(now)
    }
}

/// Any time up to a bound that doubles, so that a fleet does not come back all at once.
fn pause(attempts: u32) -> Duration {
    let most = SHORTEST_PAUSE.saturating_mul(1 << attempts.min(5)).min(LONGEST_PAUSE);
    rand::rng().random_range(Duration::ZERO..=most)
}
