use std::collections::BTreeMap;

use edgerelay::cluster::allocations::{Filter, Name, Written};
use edgerelay::cluster::usage::Usage;
use tempfile::TempDir;
use testbed::{Redis, eventually};

use super::{SOON, Way};
use crate::daemon::{ALICE, Daemon};
use crate::fleet::free_address;

/// A relay that is a node of the fleet, as a process, and what is in Redis of it.
pub struct Member {
    pub redis: Redis,
    settings: String,
    place: TempDir,
    runtime: tokio::runtime::Runtime,
}

impl Member {
    /// The node `one`, whose Redis is started here, at an address of its own: nobody takes it while no relay is there.
    pub fn new() -> Self {
        let redis = Redis::start();
        let place = tempfile::tempdir().unwrap();
        let ip = free_address();
        let settings = format!(
            "{ALICE}\nlisteners = [{{ transport = 'udp', address = '{ip}:3478' }}, \
             {{ transport = 'tcp', address = '{ip}:3478' }}]\nrecovery.directory = '{}'\n\
             cluster = {{ fleet = 'edge', node = 'one', fleet_key = '0123456789abcdef0123456789abcdef', \
             redis.urls = ['{}'] }}",
            place.path().join("recovery").display(),
            redis.url(),
        );
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Self { redis, settings, place, runtime }
    }

    /// Its relay.
    pub fn serve(&self) -> Daemon {
        Daemon::serve(&self.settings)
    }

    /// Removes what outlives its relay on this machine.
    pub fn forget(&self) {
        std::fs::remove_dir_all(self.place.path().join("recovery")).unwrap();
    }

    /// Its calls in Redis.
    pub fn calls(&self) -> BTreeMap<Name, Written> {
        self.runtime.block_on(async {
            let way = Way::to(&self.redis).await;
            let (shelf, mut calls) = (way.shelf("one"), BTreeMap::new());
            let mut walk = shelf.walk();
            while let Some(page) = walk.next().await.unwrap() {
                calls.extend(page);
            }
            calls
        })
    }

    /// Its calls in Redis, when `are` so.
    pub fn calls_when(&self, what: &str, are: impl Fn(&BTreeMap<Name, Written>) -> bool) -> Vec<Written> {
        let calls = eventually(SOON, what, || Some(self.calls()).filter(&are));
        calls.into_values().collect()
    }

    /// What users have used, when it `is` so.
    pub fn usage_when(&self, what: &str, is: impl Fn(&[Usage]) -> bool) -> Vec<Usage> {
        eventually(SOON, what, || Some(self.usage()).filter(|usage| is(usage)))
    }

    fn usage(&self) -> Vec<Usage> {
        self.runtime.block_on(async {
            let way = Way::to(&self.redis).await;
            let (mut listed, mut usage) = (way.accounts().list(Filter::default()), Vec::new());
            while let Some(it) = listed.recv().await {
                usage.push(it.unwrap());
            }
            usage
        })
    }
}
