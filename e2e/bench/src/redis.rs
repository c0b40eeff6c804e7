//! What the allocations of a fleet take in Redis.

use std::{
    error::Error,
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use edgerelay::{
    cluster::{
        allocations::{Moment, Name, Shelf, Written},
        link::Link,
        seal::Seal,
        tally::Tally,
    },
    config::{Cluster, Files, Issuing, Redis, RedisMode, Secret},
};
use tokio::{runtime, time::timeout};

/// Allocations that are written at once, as nodes do.
const BATCH: u32 = 256;

/// What was measured.
#[derive(Clone, Copy, Debug)]
pub struct Figures {
    allocations: u32,
    nodes: u32,
    /// Of Redis, more than it had when it was empty: of its data as it counts it.
    memory: u64,
    /// The same, of the process as the system sees it.
    resident: u64,
    /// What was written, with names.
    written: u64,
    took: Duration,
}

/// Writes so many to a Redis of its own, from nodes that have so many each.
///
/// # Errors
/// When Redis does not take them.
pub fn measure(allocations: u32, of_each_node: u32) -> Result<Figures, Box<dyn Error>> {
    let redis = testbed::Redis::start();
    let before = (redis.used_memory(), redis.info("used_memory_rss"));
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    let nodes = allocations.div_ceil(of_each_node);
    let (written, took) = runtime.block_on(async {
        let config = config(redis.url());
        let tally = Arc::<Tally>::default();
        let (link, keeper) = Link::start(&config, &Files::on_disk(), Arc::clone(&tally))?;
        timeout(Duration::from_secs(10), link.state().wait_for(|state| state.up)).await??;
        // Not what Redis can take at its best, but what it has then.
        let link = link.within(Duration::from_secs(10));
        let seal = Seal::new(config.fleet_key.expose().as_bytes(), &config.fleet)?;
        let (mut written, clock) = (0, Instant::now());
        for node in 0..nodes {
            let shelf = Shelf::new(&link, &seal, &tally, &format!("node-{node}"));
            let first = node * of_each_node;
            written += fill(&shelf, &seal, first..allocations.min(first + of_each_node)).await?;
        }
        keeper.abort();
        Ok::<_, Box<dyn Error>>((written, clock.elapsed()))
    })?;
    let memory = redis.used_memory().saturating_sub(before.0);
    let resident = redis.info("used_memory_rss").saturating_sub(before.1);
    Ok(Figures { allocations, nodes, memory, resident, written, took })
}

/// Writes these, and tells how many bytes they are.
async fn fill(shelf: &Shelf, seal: &Seal, mut numbers: std::ops::Range<u32>) -> Result<u64, Box<dyn Error>> {
    let mut written = 0;
    while !numbers.is_empty() {
        let at = Moment::now()?;
        let batch: Vec<_> = numbers
            .by_ref()
            .take(BATCH as usize)
            .map(|number| {
                let survivor = testbed::survivor(number, at.monotonic);
                let allocation = &survivor.allocation;
                let name = Name::of(seal, &allocation.five_tuple, allocation.created);
                (name, Written { at, survivor })
            })
            .collect();
        let sealed = |written: &Written| written.encode().len() + edgerelay::cluster::seal::OVERHEAD;
        written += batch.iter().map(|(name, it)| (name.to_string().len() + sealed(it)) as u64).sum::<u64>();
        shelf.change(&batch, &[]).await?;
    }
    Ok(written)
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { allocations, nodes, memory, resident, written, took } = self;
        let each = |bytes: &u64| bytes / u64::from((*allocations).max(1));
        writeln!(
            f,
            "{allocations} allocations of {nodes} nodes, each with a permission and a channel, written in {:.1} s:",
            took.as_secs_f64()
        )?;
        writeln!(f, "  sealed, with its name   {:>6} bytes for each", each(written))?;
        writeln!(
            f,
            "  in Redis, by its count  {:>6} bytes for each, {} MB",
            each(memory),
            memory / 1_000_000
        )?;
        writeln!(
            f,
            "  in Redis, resident      {:>6} bytes for each, {} MB",
            each(resident),
            resident / 1_000_000
        )
    }
}

fn config(url: String) -> Cluster {
    Cluster {
        fleet: "bench".to_owned(),
        node: "bench".to_owned(),
        zone: String::new(),
        redirect: turn::Redirect::default(),
        fleet_key: Secret::new("the key of a fleet that is measured"),
        capacity: 1,
        redis: Redis {
            mode: RedisMode::Single,
            urls: vec![url],
            username: String::new(),
            password: None,
            sentinel_password: None,
            ca_file: None,
            identity: None,
        },
        grpc: None,
        https: None,
        issuing: Issuing {
            ttl: Duration::from_secs(3600),
            max_ttl: Duration::from_secs(3600),
            urls: Vec::new(),
            per_caller_per_second: 1,
            rotation: Duration::from_secs(3600),
        },
    }
}
