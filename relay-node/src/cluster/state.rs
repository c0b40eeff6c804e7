//! What the relay knows of its fleet: what it goes on with while Redis is away, and after a crash.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use turn::Revocations;
use turn::credentials::Secret;

use super::keyring::ring::{InForce, Millis, Ring};
use super::keyring::{self, AllLives};
use super::revocation::list::{Line, List};
use crate::config;

/// What the relay knows of its fleet at a moment.
#[derive(Clone, Default)]
pub struct FleetState {
    /// What time-limited names are checked by now, the one in use first.
    pub secrets: Vec<Secret>,
    /// What nonces are made with (the first) and checked by.
    pub nonce_keys: Vec<[u8; 32]>,
    /// What credentials are made with now, if the fleet has anything.
    pub signing: Option<Signing>,
    /// Whose credentials are good no more.
    pub revocations: Arc<Revocations>,
    pub(super) rings: Rings,
    in_force: [InForce; 2],
    revoked: List,
}

/// What credentials are made with.
#[derive(Clone)]
pub struct Signing {
    /// The secret.
    pub secret: Secret,
    /// In milliseconds since 1970: a credential that ends by then is good at every node.
    pub good_until: Millis,
}

/// The fleet's keys of both kinds.
#[derive(Clone, Default, Deserialize, PartialEq, Eq, Serialize)]
pub(super) struct Rings {
    pub(super) secrets: Ring,
    pub(super) nonces: Ring,
}

/// What is kept for the next start.
#[derive(Deserialize, Serialize)]
struct Kept {
    rings: Rings,
    #[serde(default)]
    revoked: Vec<Line>,
}

impl FleetState {
    /// What is to be kept where nobody else can read it.
    pub fn to_bytes(&self) -> Vec<u8> {
        let kept = Kept { rings: self.rings.clone(), revoked: self.revoked.lines().collect() };
        serde_json::to_vec(&kept).unwrap_or_default()
    }

    /// From what [`Self::to_bytes`] gave; nothing if it cannot be read. What is in force by now follows from
    /// [`super::start`].
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let kept: Kept = serde_json::from_slice(bytes).ok()?;
        let revoked: List = kept.revoked.into_iter().collect();
        let revocations = Arc::new(revoked.in_force());
        Some(Self { rings: kept.rings, revoked, revocations, ..Self::default() })
    }

    /// What is known of revocations.
    pub(super) fn revoked(&self) -> &List {
        &self.revoked
    }

    /// Changes what is known of revocations, and puts it in force. True if `change` says that it did.
    pub(super) fn change_revocations(&mut self, change: impl FnOnce(&mut List) -> bool) -> bool {
        let changed = change(&mut self.revoked);
        if changed {
            let in_force = self.revoked.in_force();
            if *self.revocations != in_force {
                self.revocations = Arc::new(in_force);
            }
        }
        changed
    }

    /// The same as it is in force by now, in the fleet of `config`.
    pub fn as_of_now(mut self, config: &config::Cluster, nonce_lifetime: Duration) -> Self {
        let (now, lives) = (keyring::now(), AllLives::of(config, nonce_lifetime));
        let secrets = self.rings.secrets.in_force(now, lives.secrets);
        let nonces = self.rings.nonces.in_force(now, lives.nonces);
        self.put_in_force(self.rings.clone(), &secrets, &nonces);
        self
    }

    /// Puts in force what the rings say now. True if that is another thing than before.
    pub(super) fn put_in_force(&mut self, rings: Rings, secrets: &InForce, nonces: &InForce) -> bool {
        if self.rings == rings && self.in_force == [secrets.clone(), nonces.clone()] {
            return false;
        }
        // Keys of the fleet have 32 bytes, which is never too short.
        let secret = |key: &[u8; 32]| Secret::new(key).ok();
        self.secrets = secrets.accepted.iter().filter_map(secret).collect();
        self.signing = secrets
            .used
            .and_then(|used| Some(Signing { secret: secret(&used.key)?, good_until: used.good_until }));
        self.nonce_keys.clone_from(&nonces.accepted);
        self.in_force = [secrets.clone(), nonces.clone()];
        self.rings = rings;
        true
    }
}

impl fmt::Debug for FleetState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (secrets, nonce_keys) = (self.secrets.len(), self.nonce_keys.len());
        f.debug_struct("FleetState").field("secrets", &secrets).field("nonce_keys", &nonce_keys).finish()
    }
}
