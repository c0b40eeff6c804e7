//! The fleet's part of the relay: what it shares with other nodes by Redis, and what it answers by gRPC and HTTPS.
//!
//! It has a thread and a runtime of its own: whatever waits here, for Redis, a file or a TLS handshake, holds neither
//! packets nor the control thread. What the rest of the relay needs of the fleet comes to it as [`Order`]s and as
//! snapshots; what the fleet needs of the relay it reads from a [`Node`].
//!
//! [`node`] is the relay as seen from here, [`link`] the way to Redis, [`seal`] what makes its values trustworthy,
//! [`registry`] who else is there, [`keyring`] the secrets and nonce keys that all nodes share, [`revocation`] whose
//! credentials are good no more, [`quota`] what users have on all of them together, [`allocations`] what the fleet lists
//! and goes on from, [`usage`] what each user has used of it, [`tally`] what is told of it all. [`issuing`] gives
//! credentials out, and [`api`] is what others call.

pub mod allocations;
pub mod api;
pub mod contract;
pub mod issuing;
pub mod keyring;
pub mod link;
pub mod node;
pub mod quota;
pub mod registry;
pub mod revocation;
pub mod seal;
mod state;
pub mod tally;
pub mod usage;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use thiserror::Error;
use tokio::runtime;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::config::{self, Files};
use api::{DoorError, Doors};
use keyring::{AllLives, Keyrings};
use link::{Link, RouteError};
use node::Node;
use registry::Directory;
use seal::{Seal, SealError};
use tally::Tally;

pub use state::FleetState;

/// Orders that wait for the control loop. Nobody gives many.
const MOST_ORDERS: usize = 64;
/// How long tasks have to say good-bye to Redis.
const GOOD_BYE: Duration = Duration::from_millis(500);

/// What the fleet's part is started with.
pub struct Plan<'a> {
    /// What the configuration says of the fleet.
    pub config: config::Cluster,
    /// The relay.
    pub node: Arc<Node>,
    /// The files that it names, as they were read.
    pub files: &'a Files,
    /// How long a nonce is good for.
    pub nonce_lifetime: Duration,
    /// What was known of the fleet before a restart.
    pub known: Option<FleetState>,
}

/// The fleet's part of the relay. Dropping it ends it: the node leaves the registry at once.
pub struct Cluster {
    /// What it wants of the control loop.
    pub orders: mpsc::Receiver<Order>,
    /// What it tells of itself.
    pub tally: Arc<Tally>,
    /// Where it is called by gRPC and by HTTPS, if it is.
    pub doors: Places,
    ending: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

/// What is bound for callers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Places {
    /// For gRPC.
    pub grpc: Option<SocketAddr>,
    /// For HTTPS.
    pub https: Option<SocketAddr>,
}

/// What the fleet wants of the control loop.
#[derive(Debug)]
pub enum Order {
    /// Work with these from now on, and keep them.
    Fleet(Arc<FleetState>),
    /// Take no new calls, and end the old ones at the deadline; the answer is how many there are.
    Drain {
        /// From now on; without one, what the configuration says.
        deadline: Option<Duration>,
        /// Told how many calls there are.
        done: oneshot::Sender<u64>,
    },
    /// Take new calls again.
    Undrain {
        /// Told when it does.
        done: oneshot::Sender<()>,
    },
}

/// Which life of a node this is: another one with each start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Incarnation(pub u64);

/// What every task of the fleet's part works with.
#[derive(Clone)]
pub struct Context {
    /// The way to Redis.
    pub link: Link,
    /// What its values are sealed and opened with.
    pub seal: Seal,
    /// The relay.
    pub node: Arc<Node>,
    /// What the configuration says of the fleet.
    pub config: Arc<config::Cluster>,
    /// Which life of the node this is.
    pub incarnation: Incarnation,
    /// Who else is there.
    pub directory: Arc<Directory>,
    /// The way to the control loop.
    pub orders: mpsc::Sender<Order>,
    /// What is told of it all.
    pub tally: Arc<Tally>,
    /// What is known of the fleet. Who knows more changes it; the control loop is told of each change.
    pub fleet: Arc<watch::Sender<FleetState>>,
    ending: watch::Receiver<bool>,
}

/// What keeps the fleet's part from starting. An unreachable Redis does not.
#[derive(Debug, Error)]
pub enum ClusterError {
    /// The way to Redis cannot be used.
    #[error(transparent)]
    Route(#[from] RouteError),
    /// The fleet key cannot be used.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// Nobody could call.
    #[error(transparent)]
    Door(#[from] DoorError),
    /// No thread or runtime could be made.
    #[error("the fleet's thread cannot be started ({0}). Allow the process more threads and open files")]
    Thread(#[from] io::Error),
}

/// Starts the fleet's part on a thread of its own.
///
/// # Errors
/// When the configuration names what cannot be used, or the system has no thread for it.
pub fn start(plan: Plan<'_>) -> Result<Cluster, ClusterError> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    let seal = Seal::new(plan.config.fleet_key.expose().as_bytes(), &plan.config.fleet)?;
    let tally = Arc::new(Tally::default());
    let (orders, ordered) = mpsc::channel(MOST_ORDERS);
    let (end, ending) = watch::channel(false);
    let (link, keeper, doors) = {
        let _within = runtime.enter();
        let doors = Doors::open(&plan.config, plan.files)?;
        let (link, keeper) = Link::start(&plan.config, plan.files, Arc::clone(&tally))?;
        (link, keeper, doors)
    };
    let places = doors.places();
    let known = plan.known.unwrap_or_default();
    let context = Context {
        directory: Arc::new(Directory::new(link.clone(), seal.clone(), plan.config.zone.clone())),
        link,
        seal,
        node: plan.node,
        config: Arc::new(plan.config),
        incarnation: Incarnation(rand::random()),
        orders,
        tally: Arc::clone(&tally),
        fleet: Arc::new(watch::Sender::new(known.clone())),
        ending,
    };
    let nonce_lifetime = plan.nonce_lifetime;
    let serve = move || {
        runtime.block_on(run(context, known, nonce_lifetime, doors));
        // The connection is closed when the runtime goes.
        keeper.abort();
    };
    let thread = thread::Builder::new().name("cluster".into()).spawn(serve)?;
    Ok(Cluster { orders: ordered, tally, doors: places, ending: end, thread: Some(thread) })
}

/// Runs every task until the end, and gives those a moment that have something to say to Redis then.
async fn run(context: Context, known: FleetState, nonce_lifetime: Duration, doors: Doors) {
    let lives = AllLives::of(&context.config, nonce_lifetime);
    let keyrings = Keyrings {
        link: context.link.clone(),
        seal: context.seal.clone(),
        tally: Arc::clone(&context.tally),
        fleet: Arc::clone(&context.fleet),
    };
    let mut tasks = JoinSet::new();
    tasks.spawn(tell(context.clone()));
    tasks.spawn(keyrings.keep(known, lives));
    tasks.spawn(revocation::run(context.clone()));
    tasks.spawn(doors.serve(context.clone()));
    // Tasks that end by themselves when `Context::ended` says so.
    let mut leaving = JoinSet::new();
    leaving.spawn(registry::serve(context.clone()));
    leaving.spawn(quota::serve(context.clone()));
    let meter = usage::Shared::default();
    leaving.spawn(allocations::run(context.clone(), meter.clone()));
    leaving.spawn(usage::run(context.clone(), meter));
    context.ended().await;
    let _ = timeout(GOOD_BYE, async { while leaving.join_next().await.is_some() {} }).await;
}

/// Tells the control loop of what is known of the fleet, the newest at a time.
async fn tell(context: Context) {
    let mut fleet = context.fleet.subscribe();
    while fleet.changed().await.is_ok() {
        let state = Arc::new(fleet.borrow_and_update().clone());
        if context.orders.send(Order::Fleet(state)).await.is_err() {
            return;
        }
    }
}

impl Context {
    /// Comes back when the fleet's part ends: time to say good-bye to Redis.
    pub async fn ended(&self) {
        let mut ending = self.ending.clone();
        // Without a sender there is nobody to serve.
        let _ = ending.wait_for(|ending| *ending).await;
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.orders.close();
        self.ending.send_replace(true);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
