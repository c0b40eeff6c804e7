//! The relay's part in its fleet, as the control loop sees it: started, listened to, and its state kept, so that the
//! next process goes on with it whether Redis answers or not.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use crate::admin::Health;
use crate::cluster::node::{Node, NodePlan};
use crate::cluster::{self, Cluster, FleetState, Order};
use crate::config::{Config, Files};
use crate::recovery::Vault;
use crate::worker::{Ended, FleetPlan, Question};

/// The piece's name.
const NAME: &str = "fleet";
/// Questions, and ends of allocations, that may wait for the fleet's part.
const ROOM: usize = 16 * 1024;
/// How long after an attempt to start the fleet's part there is another one: the relay before may not have let go of
/// its addresses yet.
const PAUSE: Duration = Duration::from_millis(100);

/// What the next process is to know of the fleet.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
pub struct Kept {
    /// What [`FleetState::to_bytes`] gave, if anything was known.
    #[serde(default)]
    pub state: Vec<u8>,
    /// How often that has changed: what is in force changes with time too.
    #[serde(default)]
    pub changes: u64,
    /// Whether the relay drains by command.
    #[serde(default)]
    pub drained: bool,
}

impl Kept {
    /// What a process before kept in `vault`, if it can be read.
    ///
    /// # Errors
    /// When the vault cannot.
    pub(super) fn of(vault: &Vault) -> io::Result<Self> {
        let bytes = vault.kept(NAME)?.unwrap_or_default();
        Ok(serde_json::from_slice(&bytes).unwrap_or_default())
    }

    /// What was known of the fleet, as it is in force now.
    pub(super) fn fleet_state(&self, config: &Config) -> Option<FleetState> {
        let cluster = config.cluster.as_ref()?;
        let state = FleetState::from_bytes(&self.state)?;
        Some(state.as_of_now(cluster, config.nonce.lifetime))
    }
}

/// What the workers of a relay of a fleet turn to, and who listens to them.
pub(super) fn channels() -> (FleetPlan, Ears) {
    let ((questions, asked), (ended, told)) = (mpsc::channel(ROOM), mpsc::channel(ROOM));
    (FleetPlan { questions, ended }, Ears { questions: asked, ended: told })
}

/// What workers turn to.
pub(super) struct Ears {
    pub(super) questions: mpsc::Receiver<Question>,
    pub(super) ended: mpsc::Receiver<Ended>,
}

/// The fleet's part.
pub(super) struct Fleet<'a> {
    node: Arc<Node>,
    vault: Option<&'a Vault>,
    health: Arc<Health>,
    kept: Kept,
    part: Part,
    /// What was said last of why it cannot be kept.
    unkept: Option<String>,
}

/// How it stands with the fleet's part.
enum Part {
    /// It could not be started, for a reason that was said; it is tried again then.
    Waits(Instant, String),
    /// It runs.
    Runs(Cluster),
}

impl<'a> Fleet<'a> {
    /// That of a relay that serves, which knows what was `kept`. It is started by [`Self::next`].
    pub(super) fn new(plan: NodePlan<'_>, vault: Option<&'a Vault>, kept: Kept) -> Self {
        let health = Arc::clone(&plan.health);
        let node = Arc::new(Node::new(plan));
        let part = Part::Waits(Instant::now(), String::new());
        let mut fleet = Self { node, vault, health, kept, part, unkept: None };
        // It may come from the relay before, which has another vault.
        fleet.keep();
        fleet
    }

    /// What is to be dropped to leave the fleet, which may take a moment.
    pub(super) fn into_cluster(self) -> Option<Cluster> {
        match self.part {
            Part::Runs(cluster) => Some(cluster),
            Part::Waits(..) => None,
        }
    }

    /// What the next process is to know.
    pub(super) const fn kept(&self) -> &Kept {
        &self.kept
    }

    /// Waits for what the fleet's part wants; nothing if it may be started now. Who stops waiting loses nothing.
    pub(super) async fn next(&mut self) -> Option<Order> {
        if let Part::Runs(cluster) = &mut self.part {
            if let Some(order) = cluster.orders.recv().await {
                return Some(order);
            }
            tracing::error!("the fleet's part has ended, which it should not: it is started again");
            self.part = Part::Waits(Instant::now() + PAUSE, String::new());
        }
        if let Part::Waits(until, _) = self.part {
            sleep_until(until).await;
        }
        None
    }

    /// Starts the fleet's part, if it does not run. A relay serves without it too, and so tries again.
    pub(super) fn start(&mut self, config: &Config, files: &Files) {
        let (Part::Waits(_, complaint), Some(of_config)) = (&mut self.part, &config.cluster) else { return };
        let plan = cluster::Plan {
            config: of_config.clone(),
            files,
            node: Arc::clone(&self.node),
            nonce_lifetime: config.nonce.lifetime,
            known: self.kept.fleet_state(config),
        };
        match cluster::start(plan) {
            Ok(cluster) => {
                self.health.set_tally(Arc::clone(&cluster.tally));
                self.part = Part::Runs(cluster);
            }
            Err(error) => {
                let why = error.to_string();
                if *complaint != why {
                    tracing::error!(error = why, "the relay serves without its fleet, and tries again");
                }
                self.health.set_without_fleet(&why);
                self.part = Part::Waits(Instant::now() + PAUSE, why);
            }
        }
    }

    /// The configuration says another number of allocations of one user.
    pub(super) fn set_user_limit(&self, limit: u32) {
        self.node.set_user_limit(limit);
    }

    /// Keeps what is known of the fleet.
    pub(super) fn keep_state(&mut self, state: &FleetState) {
        self.kept.state = state.to_bytes();
        self.kept.changes += 1;
        self.keep();
    }

    /// Keeps whether the relay drains by command.
    pub(super) fn keep_drained(&mut self, drained: bool) {
        self.kept.drained = drained;
        self.keep();
    }

    fn keep(&mut self) {
        let Some(vault) = self.vault else { return };
        let kept = serde_json::to_vec(&self.kept).map_err(io::Error::from);
        let unkept = kept.and_then(|kept| vault.keep(NAME, &kept)).err().map(|error| error.to_string());
        if let Some(why) = unkept.as_ref().filter(|_| unkept != self.unkept) {
            tracing::warn!(why, "what is known of the fleet cannot be kept: after a crash, Redis is needed");
        }
        self.unkept = unkept;
    }
}
