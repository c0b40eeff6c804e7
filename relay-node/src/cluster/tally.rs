//! What the fleet's part tells of itself: counts for the metrics, and troubles for `/ready` and people.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Counts, and what is wrong at present. No packet's path comes here.
#[derive(Default)]
pub struct Tally {
    inner: Mutex<Inner>,
}

/// A metric and the value of its one label, such as `("commands", "answered")`.
pub type Name = (&'static str, &'static str);

#[derive(Default)]
struct Inner {
    counts: BTreeMap<Name, u64>,
    gauges: BTreeMap<&'static str, u64>,
    troubles: BTreeMap<&'static str, String>,
}

impl Tally {
    /// Counts one more of `label` in `edgerelay_cluster_NAME_total`.
    pub fn count(&self, name: &'static str, label: &'static str) {
        *self.inner().counts.entry((name, label)).or_default() += 1;
    }

    /// Counts what became of a call to Redis.
    pub(super) fn command(&self, result: &'static str) {
        self.count("commands", result);
    }

    /// Counts a value in Redis that was not trusted.
    pub fn rejected(&self, what: &'static str) {
        self.count("rejected_values", what);
    }

    /// Says how many there are at present, as `edgerelay_cluster_NAME`.
    pub fn set(&self, name: &'static str, value: u64) {
        self.inner().gauges.insert(name, value);
    }

    /// Says what is wrong with `part` at present, for a person; nothing where nothing is.
    pub fn trouble(&self, part: &'static str, why: Option<String>) {
        let mut inner = self.inner();
        match why {
            Some(why) => inner.troubles.insert(part, why),
            None => inner.troubles.remove(part),
        };
    }

    /// What is wrong at present, as one sentence; nothing where nothing is.
    pub fn degraded(&self) -> Option<String> {
        let inner = self.inner();
        let troubles: Vec<&str> = inner.troubles.values().map(String::as_str).collect();
        (!troubles.is_empty()).then(|| troubles.join("; "))
    }

    /// All counts so far.
    pub fn counts(&self) -> BTreeMap<Name, u64> {
        self.inner().counts.clone()
    }

    /// All that is told as a number at present.
    pub fn gauges(&self) -> BTreeMap<&'static str, u64> {
        self.inner().gauges.clone()
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
