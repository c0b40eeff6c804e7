//! The secrets and nonce keys that all nodes share: made by the fleet, changed every few hours, and known to every
//! node before they are used.
//!
//! [`ring`] says what follows from what, [`member`] what a node does about it; [`driver`] looks at Redis twice a second,
//! and writes by compare-and-set.

mod driver;
mod member;
pub mod ring;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub use driver::{AllLives, Keyrings};

use self::ring::{Lives, Millis};
use crate::config;

impl AllLives {
    /// As the fleet of `config` has it, where a nonce is good for `nonce_lifetime`.
    pub(super) fn of(config: &config::Cluster, nonce_lifetime: Duration) -> Self {
        let used = config.issuing.rotation;
        Self {
            secrets: Lives { used, accepted: config.issuing.max_ttl },
            nonces: Lives { used, accepted: nonce_lifetime },
        }
    }
}

/// The time by which keys are used.
pub(super) fn now() -> Millis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
