//! Looks at the fleet's keys in Redis, and publishes what is to be there.

use std::sync::LazyLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use redis::Value;
use tokio::time::{MissedTickBehavior, interval};

use super::member::{Found, Member};
use super::ring::{Key, Lives, Millis, Ring};
use crate::cluster::Context;
use crate::cluster::link::{Away, Script};
use crate::cluster::state::Rings;

/// How often it looks. Messages could be missed; this cannot.
const LOOK: Duration = Duration::from_millis(500);
/// Whose these values are: not one node's.
const OWNER: &str = "fleet";

/// Writes what is to be there if what was seen is still there.
static COMPARE_AND_SET: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then return 0 end \
         redis.call('SET', KEYS[1], ARGV[2]) return 1",
    )
});

/// The keys of one kind in Redis.
struct Kind {
    what: &'static str,
    name: String,
    member: Member,
    /// The value that was rejected last, so that each is counted once.
    rejected: Vec<u8>,
}

/// Keeps `context.fleet` at what is in force, beginning with what was `known`.
pub(in crate::cluster) async fn run(context: Context, known: Rings, secrets: Lives, nonces: Lives) {
    let kind = |what, ring, lives| Kind {
        what,
        name: context.link.key(what),
        member: Member::new(ring, lives),
        rejected: Vec::new(),
    };
    let mut kinds = [kind("secrets", known.secrets, secrets), kind("nonces", known.nonces, nonces)];
    tell(&context, &kinds);
    let mut ticks = interval(LOOK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        // What is away is looked for again in a moment.
        let _ = look(&context, &mut kinds).await;
        tell(&context, &kinds);
    }
}

async fn look(context: &Context, kinds: &mut [Kind]) -> Result<(), Away> {
    let asked = kinds.iter().map(|kind| redis::cmd("GET").arg(&kind.name).to_owned()).collect();
    let found = context.link.pipeline(asked).await?;
    for (kind, found) in kinds.iter_mut().zip(found) {
        let raw = match found {
            Value::BulkString(raw) => raw,
            Value::Nil => Vec::new(),
            // Of another type: nobody of ours wrote it, and it can only be written over.
            _ => continue,
        };
        let found = kind.open(context, &raw);
        if let Some(next) = kind.member.saw(now(), found, rand::random::<Key>) {
            let sealed = kind.seal(context, &next);
            if context.link.script::<bool>(&COMPARE_AND_SET, &kind.name, (raw, sealed)).await? {
                tracing::debug!("cluster: {} of generation {} are published", kind.what, next.generation());
                kind.member.wrote(next);
            }
        }
    }
    Ok(())
}

impl Kind {
    /// A value is its generation and what was sealed with it.
    fn seal(&self, context: &Context, ring: &Ring) -> Vec<u8> {
        let generation = ring.generation();
        let sealed = context.seal.seal(&self.name, OWNER, generation, &ring.to_bytes());
        [generation.to_be_bytes().as_slice(), &sealed].concat()
    }

    fn open(&mut self, context: &Context, raw: &[u8]) -> Found {
        if raw.is_empty() {
            return Found::Nothing;
        }
        let ring = raw.split_first_chunk().and_then(|(generation, sealed)| {
            let generation = u64::from_be_bytes(*generation);
            Ring::from_bytes(generation, &context.seal.open(&self.name, OWNER, generation, sealed)?)
        });
        if ring.is_none() && self.rejected != raw {
            context.tally.rejected(self.what);
            tracing::warn!(
                "cluster: what is kept as {:?} in Redis was not sealed by this fleet; it is written over. See \
                 cluster.fleet_key_file, which has to be the same on all nodes, and who else can write there",
                self.name
            );
            self.rejected = raw.to_vec();
        }
        ring.map_or(Found::Nothing, Found::Ring)
    }
}

/// Tells who waits for it what is in force, if that is news.
fn tell(context: &Context, kinds: &[Kind; 2]) {
    let [secrets, nonces] = kinds.each_ref().map(|kind| (kind.member.ring(), kind.member.in_force(now())));
    let rings = Rings { secrets: secrets.0.clone(), nonces: nonces.0.clone() };
    context.fleet.send_if_modified(|state| state.put_in_force(rings, &secrets.1, &nonces.1));
}

fn now() -> Millis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
