//! The way to Redis: one connection, that is made again whenever it breaks, and calls on it that never wait for long.
//!
//! Whoever calls gets an answer, or learns within its deadline that there is none ([`Away`]). While Redis is away calls
//! fail at once, so nothing piles up. A task of its own ([`keep`]) connects, looks whether the connection still
//! serves, and tells in [`LinkState`] how things are.

mod away;
mod connection;
mod keep;
mod reader;
mod route;
mod script;
mod why;

use std::sync::Arc;
use std::time::Duration;

use redis::{Cmd, FromRedisValue, RedisError, ToRedisArgs, Value};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

pub use away::Away;
pub use reader::Reader;
pub use route::RouteError;
pub use script::Script;

use super::tally::Tally;
use crate::config::{self, Files};
use connection::Connection;
use route::Route;

/// A call that has no answer by then has none.
pub const DEADLINE: Duration = Duration::from_millis(500);
/// Calls that wait for an answer at a time. More than a node ever needs; what comes on top is refused at once.
const MOST_IN_FLIGHT: usize = 1024;

/// A handle on the connection to Redis. Clones share it.
#[derive(Clone)]
pub struct Link {
    shared: Arc<Shared>,
    deadline: Duration,
}

struct Shared {
    prefix: String,
    route: Arc<Route>,
    current: watch::Receiver<Option<Live>>,
    state: watch::Receiver<LinkState>,
    /// Tells the keeper what a call met. One slot is enough: it looks for itself then.
    doubts: mpsc::Sender<Doubt>,
    in_flight: Semaphore,
    tally: Arc<Tally>,
}

/// How things are between this node and Redis.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LinkState {
    /// Whether calls are answered.
    pub up: bool,
    /// Grows with each new connection, and when Redis was emptied: what was published may be gone, and is published
    /// again.
    pub epoch: u64,
    /// What is in the way, for a person; empty where nothing is.
    pub why: String,
}

/// A connection, and which one it is.
#[derive(Clone)]
struct Live {
    epoch: u64,
    connection: Connection,
}

/// A call on the connection of `epoch` that went wrong.
struct Doubt {
    epoch: u64,
    /// What broke it for sure; with none, it was only late.
    error: Option<RedisError>,
}

impl Link {
    /// Takes the way that `config` names, and starts to connect on the current runtime until the returned task is
    /// aborted. An unreachable Redis is no error: the state says so.
    ///
    /// # Errors
    /// A URL or a certificate that cannot be used.
    pub fn start(
        config: &config::Cluster,
        files: &Files,
        tally: Arc<Tally>,
    ) -> Result<(Self, JoinHandle<()>), RouteError> {
        let route = Arc::new(Route::new(&config.redis, files)?);
        let prefix = format!("{}:", config.fleet);
        let (live, current) = watch::channel(None);
        let (tell, state) = watch::channel(LinkState {
            why: format!("{route} has not been reached yet"),
            ..LinkState::default()
        });
        let (doubts, doubted) = mpsc::channel(1);
        let beat = format!("{prefix}beat:{}", config.node);
        let keeper = keep::Keeper::new(Arc::clone(&route), beat, live, tell, doubted, &tally);
        let task = tokio::spawn(keeper.run());
        let in_flight = Semaphore::new(MOST_IN_FLIGHT);
        let shared = Shared { prefix, route, current, state, doubts, in_flight, tally };
        Ok((Self { shared: Arc::new(shared), deadline: DEADLINE }, task))
    }

    /// The same connection with another deadline.
    pub fn within(&self, deadline: Duration) -> Self {
        Self { shared: Arc::clone(&self.shared), deadline }
    }

    /// The name in Redis of what the fleet calls `what`. Names from the wire go in as `Seal::name_of` only.
    pub fn key(&self, what: &str) -> String {
        format!("{}{what}", self.shared.prefix)
    }

    /// How things are, now and whenever that changes.
    pub fn state(&self) -> watch::Receiver<LinkState> {
        self.shared.state.clone()
    }

    /// Asks one command.
    ///
    /// # Errors
    /// Without an answer in time, when Redis refuses the command, and when its answer is no `T`.
    pub async fn query<T: FromRedisValue>(&self, cmd: &Cmd) -> Result<T, Away> {
        let mut live = self.begin()?;
        let result = timeout(self.deadline, live.connection.command(cmd)).await;
        self.read(self.end(live.epoch, result)?)
    }

    /// Sends many commands at once, on as many keys as they like; one answer for each, in their order. A command that
    /// Redis refuses has [`Value::ServerError`] in its place.
    ///
    /// # Errors
    /// Without all answers in time: some may have been done then.
    pub async fn pipeline(&self, cmds: Vec<Cmd>) -> Result<Vec<Value>, Away> {
        if cmds.is_empty() {
            return Ok(Vec::new());
        }
        let mut live = self.begin()?;
        let result = timeout(self.deadline, live.connection.commands(cmds)).await;
        let values = self.end(live.epoch, result)?;
        // A primary that was demoted refuses writes one by one.
        for value in &values {
            if let Value::ServerError(error) = value {
                self.doubt(live.epoch, &RedisError::from(error.clone()));
            }
        }
        Ok(values)
    }

    /// Runs a script on one key.
    ///
    /// # Errors
    /// As [`Self::query`].
    pub async fn script<T: FromRedisValue>(
        &self,
        script: &Script,
        key: &str,
        args: impl ToRedisArgs,
    ) -> Result<T, Away> {
        let mut live = self.begin()?;
        let args = args.to_redis_args();
        let result = timeout(self.deadline, script.run(&mut live.connection, key, &args)).await;
        self.read(self.end(live.epoch, result)?)
    }

    /// A connection of its own, for reads that block until there is something.
    ///
    /// # Errors
    /// When none can be made now.
    pub async fn reader(&self) -> Result<Reader, Away> {
        if !self.shared.state.borrow().up {
            return Err(Away::Down);
        }
        Reader::connect(&self.shared.route).await
    }

    fn begin(&self) -> Result<Begun<'_>, Away> {
        let begun = match self.shared.in_flight.try_acquire() {
            Err(_) => Err(Away::Busy),
            Ok(place) => match &*self.shared.current.borrow() {
                Some(live) => {
                    Ok(Begun { epoch: live.epoch, connection: live.connection.clone(), _place: place })
                }
                None => Err(Away::Down),
            },
        };
        begun.inspect_err(|away| self.shared.tally.command(away.name()))
    }

    fn end<T>(
        &self,
        epoch: u64,
        result: Result<Result<T, RedisError>, tokio::time::error::Elapsed>,
    ) -> Result<T, Away> {
        let result = match result {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => {
                self.doubt(epoch, &error);
                Err(Away::of(error))
            }
            Err(_) => {
                let _ = self.shared.doubts.try_send(Doubt { epoch, error: None });
                Err(Away::Late)
            }
        };
        self.shared.tally.command(result.as_ref().err().map_or("answered", Away::name));
        result
    }

    fn read<T: FromRedisValue>(&self, value: Value) -> Result<T, Away> {
        redis::from_redis_value(value).map_err(|error| Away::Refused(error.into()))
    }

    fn doubt(&self, epoch: u64, error: &RedisError) {
        if connection::is_broken_by(error) {
            let _ = self.shared.doubts.try_send(Doubt { epoch, error: Some(error.clone()) });
        }
    }
}

/// A call on its way.
struct Begun<'a> {
    epoch: u64,
    connection: Connection,
    _place: tokio::sync::SemaphorePermit<'a>,
}
