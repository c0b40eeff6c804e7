use std::sync::Arc;

use edgerelay::cluster::allocations::{Moment, Name, Shelf, Written};
use edgerelay::cluster::link::Link;
use edgerelay::cluster::seal::Seal;
use edgerelay::cluster::tally::Tally;
use edgerelay::cluster::usage::Accounts;
use edgerelay::config::{Cluster, Files};
use tokio::task::JoinHandle;

use super::{SOON, fleet};

/// What a node of the fleet reaches a Redis by.
pub struct Way {
    pub link: Link,
    pub seal: Seal,
    pub tally: Arc<Tally>,
    keeper: JoinHandle<()>,
}

impl Way {
    /// When it is there.
    pub async fn to(redis: &testbed::Redis) -> Self {
        // A node by itself: two of one name take each other's signs that Redis was emptied.
        let config = Cluster { node: "reader".into(), ..fleet(&[redis.url()]) };
        let tally = Arc::<Tally>::default();
        let (link, keeper) = Link::start(&config, &Files::on_disk(), Arc::clone(&tally)).unwrap();
        let mut state = link.state();
        let up = state.wait_for(|state| state.up);
        tokio::time::timeout(SOON, up).await.unwrap().unwrap();
        let seal = Seal::new(config.fleet_key.expose().as_bytes(), &config.fleet).unwrap();
        Self { link, seal, tally, keeper }
    }

    /// Where a node's calls are.
    pub fn shelf(&self, node: &str) -> Shelf {
        Shelf::new(&self.link, &self.seal, &self.tally, node)
    }

    /// Where usage is.
    pub fn accounts(&self) -> Accounts {
        Accounts::new(&self.link, &self.seal, &self.tally)
    }

    /// One of many different calls, as it is now.
    pub fn call(&self, number: u32) -> (Name, Written) {
        let at = Moment::now().unwrap();
        let survivor = testbed::survivor(number, at.monotonic);
        let allocation = &survivor.allocation;
        let name = Name::of(&self.seal, &allocation.five_tuple, allocation.created);
        (name, Written { at, survivor })
    }

    /// How many values of that kind were not trusted.
    pub fn rejected(&self, what: &'static str) -> u64 {
        self.tally.counts().get(&("rejected_values", what)).copied().unwrap_or_default()
    }
}

impl Drop for Way {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}
