//! The secrets and nonce keys that all nodes share: made by the fleet, changed every few hours, and known to every
//! node before they are used.
//!
//! [`ring`] says what follows from what, [`member`] what a node does about it; [`driver`] looks at Redis twice a second,
//! and writes by compare-and-set.

mod driver;
mod member;
pub mod ring;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub(super) use driver::run;

use self::ring::{Lives, Millis};
use crate::config;

/// How long secrets live in the fleet of `config`.
pub(super) fn lives_of_secrets(config: &config::Cluster) -> Lives {
    Lives { used: config.issuing.rotation, accepted: config.issuing.max_ttl }
}

/// How long nonce keys do, where a nonce is good for `lifetime`.
pub(super) fn lives_of_nonces(config: &config::Cluster, lifetime: Duration) -> Lives {
    Lives { used: config.issuing.rotation, accepted: lifetime }
}

/// The time by which keys are used.
pub(super) fn now() -> Millis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
