//! Looks at the fleet's keys in Redis, and publishes what is to be there.

use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use redis::Value;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use super::member::{Found, Member};
use super::ring::{Key, Lives, Millis, Ring};
use crate::cluster::link::{Away, Link, Script};
use crate::cluster::seal::Seal;
use crate::cluster::state::{FleetState, Rings};
use crate::cluster::tally::Tally;
use crate::config;

/// How often it looks. Messages could be missed; this cannot.
const LOOK: Duration = Duration::from_millis(500);
/// How long nothing more is said of values that are not the fleet's.
const SILENCE: Duration = Duration::from_secs(60);
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
    /// When the log was told of one.
    told: Option<Instant>,
}

/// What keeps the keys of the fleet.
pub struct Keyrings {
    /// The way to Redis.
    pub link: Link,
    /// What they are sealed with.
    pub seal: Seal,
    /// What is told of it.
    pub tally: Arc<Tally>,
    /// Who wants to know.
    pub fleet: Arc<watch::Sender<FleetState>>,
}

/// How long the keys of each kind live.
#[derive(Clone, Copy, Debug)]
pub struct AllLives {
    /// Secrets that time-limited credentials are made with.
    pub secrets: Lives,
    /// Keys that nonces are made with.
    pub nonces: Lives,
}

impl AllLives {
    /// Those in the fleet of `config`, where a nonce is good for `nonce_lifetime`.
    pub fn of(config: &config::Cluster, nonce_lifetime: Duration) -> Self {
        let config::Issuing { rotation: used, max_ttl, .. } = config.issuing;
        Self { secrets: Lives { used, accepted: max_ttl }, nonces: Lives { used, accepted: nonce_lifetime } }
    }
}

impl Keyrings {
    /// Keeps the fleet's state at what is in force, beginning with what was `known`. Does not come back.
    pub async fn keep(self, known: FleetState, lives: AllLives) {
        let kind = |what, ring, lives| Kind {
            what,
            name: self.link.key(what),
            member: Member::new(ring, lives),
            rejected: Vec::new(),
            told: None,
        };
        let Rings { secrets, nonces } = known.rings;
        let mut kinds = [kind("secrets", secrets, lives.secrets), kind("nonces", nonces, lives.nonces)];
        self.tell(&kinds);
        let mut ticks = interval(LOOK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            // What is away is looked for again in a moment.
            let _ = self.look(&mut kinds).await;
            self.tell(&kinds);
        }
    }

    async fn look(&self, kinds: &mut [Kind]) -> Result<(), Away> {
        let asked = kinds.iter().map(|kind| redis::cmd("GET").arg(&kind.name).to_owned()).collect();
        let found = self.link.pipeline(asked).await?;
        for (kind, found) in kinds.iter_mut().zip(found) {
            let raw = match found {
                Value::BulkString(raw) => raw,
                Value::Nil => Vec::new(),
                // A list, for example: nobody of ours made it, and it cannot be compared.
                _ => {
                    kind.reject(b"of another type", &self.tally);
                    self.link.query::<()>(redis::cmd("UNLINK").arg(&kind.name)).await?;
                    continue;
                }
            };
            let found = kind.open(&raw, &self.seal, &self.tally);
            if let Some(next) = kind.member.saw(now(), found, rand::random::<Key>) {
                let sealed = kind.seal(&next, &self.seal);
                if self.link.script::<bool>(&COMPARE_AND_SET, &kind.name, (raw, sealed)).await? {
                    let generation = next.generation();
                    tracing::debug!("cluster: {} of generation {generation} are published", kind.what);
                    kind.member.wrote(next);
                }
            }
        }
        Ok(())
    }

    /// Tells who waits for it what is in force, if that is news.
    fn tell(&self, kinds: &[Kind; 2]) {
        let [secrets, nonces] =
            kinds.each_ref().map(|kind| (kind.member.ring(), kind.member.in_force(now())));
        let rings = Rings { secrets: secrets.0.clone(), nonces: nonces.0.clone() };
        self.fleet.send_if_modified(|state| state.put_in_force(rings, &secrets.1, &nonces.1));
    }
}

impl Kind {
    /// A value is its generation and what was sealed with it.
    fn seal(&self, ring: &Ring, seal: &Seal) -> Vec<u8> {
        let generation = ring.generation();
        let sealed = seal.seal(&self.name, OWNER, generation, &ring.to_bytes());
        [generation.to_be_bytes().as_slice(), &sealed].concat()
    }

    fn open(&mut self, raw: &[u8], seal: &Seal, tally: &Tally) -> Found {
        if raw.is_empty() {
            tally.trouble(self.what, None);
            return Found::Nothing;
        }
        let ring = raw.split_first_chunk().and_then(|(generation, sealed)| {
            let generation = u64::from_be_bytes(*generation);
            Ring::from_bytes(generation, &seal.open(&self.name, OWNER, generation, sealed)?)
        });
        match ring {
            Some(ring) => {
                tally.trouble(self.what, None);
                Found::Ring(ring)
            }
            None => {
                self.reject(raw, tally);
                Found::Foreign
            }
        }
    }

    /// Counts each value once, and tells of it as long as it is there. Nodes with another fleet key write one after the
    /// other, so that a log line for each would be many.
    fn reject(&mut self, raw: &[u8], tally: &Tally) {
        let why = format!(
            "what is kept as {:?} in Redis was not sealed under this node's fleet key: see cluster.fleet_key_file, which \
             has to be the same on all nodes, and who else can write there. Nodes that know the fleet's keys write it \
             over; where none is left that does, remove it from Redis",
            self.name
        );
        if self.told.is_none_or(|told| told.elapsed() >= SILENCE) {
            tracing::warn!("cluster: {why}");
            self.told = Some(Instant::now());
        }
        tally.trouble(self.what, Some(why));
        if self.rejected != raw {
            tally.rejected(self.what);
            self.rejected = raw.to_vec();
        }
    }
}

/// The time by which keys are used.
pub(in crate::cluster) fn now() -> Millis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
