//! A node's part in the registry: each second it tells of itself and reads what some others tell.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use redis::{Cmd, Value, cmd};
use turn::{AddressFamily, Transport};

use super::chosen::Chosen;
use super::entry::{Distrust, Entry, Life, NodeName};
use super::known::{Known, LIFE};
use super::sample::{self, Sets};
use super::snapshot::Choice;
use crate::cluster::link::{Away, Link, Script};
use crate::cluster::node::{Load, TlsNames};
use crate::cluster::seal::Seal;
use crate::cluster::tally::Tally;

/// What stays the same about a node for as long as it lives.
#[derive(Clone, Debug)]
pub struct Identity {
    /// How it is called.
    pub name: NodeName,
    /// Which life of it this is.
    pub life: Life,
    /// Where it is; empty where there are no zones.
    pub zone: String,
    /// Of its program.
    pub version: String,
}

/// What a node tells of itself now.
#[derive(Clone, Debug, Default)]
pub struct Told {
    /// Where clients reach it without a load balancer: at most one for each transport and family.
    pub addresses: Vec<(Transport, SocketAddr)>,
    /// What its certificate says, if it has one for clients.
    pub tls: Option<TlsNames>,
    /// Where other nodes call it.
    pub internal: Option<SocketAddr>,
    /// How much it has to do.
    pub load: Load,
}

/// A node's part in the registry.
pub struct Member {
    link: Link,
    seal: Seal,
    tally: Arc<Tally>,
    identity: Identity,
    key: String,
    sets: [Sets; 2],
    known: Known,
    /// What it told last, and the choices of itself.
    own: Option<Arc<Entry>>,
    chosen: Chosen,
    renewal: u64,
    /// The entry as it was written last.
    written: Vec<u8>,
    /// When that was, and whether Redis has lost it since.
    written_at: Option<Instant>,
    has_lost: bool,
    /// A node that began later has the same name: that one is meant.
    displaced_by: Option<Life>,
    /// Names in the sets that nobody bears.
    dead: BTreeSet<Vec<u8>>,
    /// Keys that hold what the fleet never writes there.
    broken: BTreeSet<String>,
    warned: Option<Instant>,
}

/// The sets go when no node has been there for that long, in seconds.
const SETS_LIFE: u64 = 60;
/// One line of hostile entries in that time is enough; the metric counts all.
const BETWEEN_WARNINGS: Duration = Duration::from_secs(60);
/// How long a client takes to come to where it was sent.
const ON_THE_WAY: Duration = Duration::from_millis(500);

/// Removes an entry unless another node has written it.
static LEAVE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0",
    )
});

impl Member {
    /// A node that has told nothing yet.
    pub fn new(link: Link, seal: Seal, tally: Arc<Tally>, identity: Identity) -> Self {
        let sets = [AddressFamily::V4, AddressFamily::V6]
            .map(|family| Sets::new(&link, &seal, family, &identity.zone));
        Self {
            key: key_of(&link, &identity.name),
            sets,
            known: Known::default(),
            own: None,
            chosen: Chosen::default(),
            renewal: 0,
            written: Vec::new(),
            written_at: None,
            has_lost: false,
            displaced_by: None,
            dead: BTreeSet::new(),
            broken: BTreeSet::new(),
            warned: None,
            link,
            seal,
            tally,
            identity,
        }
    }

    /// Tells of itself and reads what some others tell: to be done each second. `now` is in milliseconds since 1970.
    ///
    /// # Errors
    /// When Redis does not answer; what is known is known on then.
    pub(super) async fn round(&mut self, told: Told, now: u64) -> Result<(), Away> {
        self.chosen.mark(Instant::now());
        self.known.mark(Instant::now());
        let entry = self.entry(told, now);
        self.own = Some(Arc::new(entry.clone()));
        if let Some(shown) = Instant::now().checked_sub(ON_THE_WAY) {
            self.chosen.settle(shown);
        }
        let result = self.tell_and_read(&entry, now).await;
        if result.is_err() {
            self.known.keep();
        }
        self.tally.set("nodes_known", self.choices().len() as u64);
        result
    }

    /// Forgets the nodes whose time is over.
    pub(super) fn lapse(&mut self) {
        self.known.lapse(Instant::now());
    }

    /// When a node's time is over next.
    pub(super) fn next_lapse(&self) -> Option<Instant> {
        self.known.next_lapse()
    }

    /// Where the node is.
    pub(super) fn zone(&self) -> &str {
        &self.identity.zone
    }

    /// The nodes that are known, with this one.
    pub(super) fn choices(&self) -> Vec<Choice> {
        let own = self.own.iter().map(|entry| Choice {
            entry: Arc::clone(entry),
            chosen: Arc::clone(self.chosen.count()),
            own: true,
        });
        own.chain(self.known.choices()).collect()
    }

    /// Leaves the registry at once.
    ///
    /// # Errors
    /// When Redis does not answer; the entry expires then.
    pub(super) async fn leave(&mut self) -> Result<(), Away> {
        if self.link.script::<u64>(&LEAVE, &self.key, &self.written[..]).await? == 0 {
            return Ok(());
        }
        let keys = self.sets.iter().flat_map(Sets::keys);
        let leave = keys.map(|key| remove(key, [self.identity.name.as_str()])).collect();
        self.link.pipeline(leave).await.map(drop)
    }

    fn entry(&mut self, told: Told, now: u64) -> Entry {
        self.renewal += 1;
        let Identity { name, life, zone, version } = self.identity.clone();
        let Told { addresses, tls, internal, load } = told;
        let (renewal, told_at) = (self.renewal, now);
        let degraded = self.tally.degraded().unwrap_or_default();
        Entry { name, life, renewal, told_at, addresses, tls, zone, version, internal, load, degraded }
    }

    async fn tell_and_read(&mut self, entry: &Entry, now: u64) -> Result<(), Away> {
        let mut names = self.tell(entry, now).await?;
        let commands = names.iter().flat_map(|name| {
            let key = key_of(&self.link, name);
            [sample::entry_command(&key), sample::left_command(&key)].map(|command| (key.clone(), command))
        });
        let asked = Instant::now();
        let answers = self.ask(commands.collect()).await?;
        self.known.answered(asked, self.has_lost);
        let (answers, _) = answers.as_chunks::<2>();
        let mut answers = answers.iter();
        names.retain(|name| {
            let Some([entry, left]) = answers.next() else { return false };
            self.read(name, entry, left, asked, now).unwrap_or_else(|why| {
                self.distrust(name, why);
                true
            })
        });
        self.known.keep_only(&names, asked);
        self.known.lapse(Instant::now());
        Ok(())
    }

    /// Tells of itself, and removes who was found gone a second ago. Returns the names of some others.
    async fn tell(&mut self, entry: &Entry, now: u64) -> Result<Vec<NodeName>, Away> {
        let mut commands: Vec<(String, Cmd)> = Vec::new();
        for key in std::mem::take(&mut self.broken) {
            let mut delete = cmd("DEL");
            delete.arg(&key);
            commands.push((key, delete));
        }
        let dead = std::mem::take(&mut self.dead);
        if !dead.is_empty() {
            let keys = self.sets.iter().flat_map(Sets::keys);
            commands.extend(keys.map(|key| (key.clone(), remove(key, &dead))));
        }
        let own = commands.len();
        commands.push((self.key.clone(), self.write(entry)));
        if self.displaced_by.is_none() {
            for sets in self.sets.iter().filter(|sets| entry.families().any(|family| family == sets.family)) {
                commands.extend(sets.keys().flat_map(|key| enter(key, entry)));
            }
        }
        let sampled = commands.len();
        commands.extend(self.sets.iter().flat_map(Sets::commands));
        let asked = Instant::now();
        let answers = self.ask(commands).await?;
        if let Some(former) = answers.get(own) {
            self.look_at_former(former, asked, now);
        }
        let mut names = BTreeSet::new();
        for members in answers.into_iter().skip(sampled) {
            let (found, foreign) = sample::names(members);
            foreign.iter().for_each(|_| self.tally.rejected("node"));
            self.dead.extend(foreign);
            names.extend(found);
        }
        names.remove(&self.identity.name);
        Ok(names.into_iter().collect())
    }

    /// Writes the own entry and asks for the one before it; only asks while another node has this name.
    fn write(&mut self, entry: &Entry) -> Cmd {
        if self.displaced_by.is_some() {
            return sample::entry_command(&self.key);
        }
        self.written = self.seal.seal(&self.key, self.identity.name.as_str(), 0, &entry.encode());
        let mut write = cmd("SET");
        write.arg(&self.key).arg(&self.written[..]).arg("PX").arg(LIFE.as_millis() as u64).arg("GET");
        write
    }

    /// What stood in the own entry's place.
    fn look_at_former(&mut self, former: &Value, asked: Instant, now: u64) {
        let former = self.open(&self.identity.name, former, now).unwrap_or_else(|why| {
            self.distrust(&self.identity.name.clone(), why);
            None
        });
        let life = former.map(|entry| entry.life);
        let expected = self.written_at.is_some_and(|at| asked.duration_since(at) < LIFE - ON_THE_WAY);
        self.has_lost = expected && life.is_none();
        // What was just asked wrote it, unless another one is meant.
        self.written_at = self.displaced_by.is_none().then_some(asked);
        let newer = life.filter(|life| *life > self.identity.life);
        if newer.is_some() == self.displaced_by.is_some() {
            return;
        }
        let name = &self.identity.name;
        let why = newer.map(|_| {
            format!(
                "a node that began later is called {name} too, and clients are sent to that one: end this one, or \
                 give it another name (cluster.node)"
            )
        });
        if let Some(why) = &why {
            tracing::warn!("{why}");
        }
        self.tally.trouble("registry", why);
        if let Some(ended) = std::mem::replace(&mut self.displaced_by, newer) {
            // It is the one that is meant from now on: others remember the one that was.
            self.identity.life.began_at = now.max(ended.began_at + 1);
        }
    }

    /// Takes what was read for `name`; false if nothing is there.
    fn read(
        &mut self,
        name: &NodeName,
        entry: &Value,
        left: &Value,
        asked: Instant,
        now: u64,
    ) -> Result<bool, Distrust> {
        match (self.open(name, entry, now)?, left) {
            (Some(_), Value::Int(-1)) => Err(Distrust::Lasting),
            (Some(entry), Value::Int(left @ 1..)) => {
                self.known.take(entry, asked, Duration::from_millis(left.cast_unsigned()))?;
                Ok(true)
            }
            _ => {
                self.dead.insert(name.as_str().into());
                Ok(false)
            }
        }
    }

    fn open(&self, name: &NodeName, entry: &Value, now: u64) -> Result<Option<Entry>, Distrust> {
        let Value::BulkString(sealed) = entry else { return Ok(None) };
        if sealed.is_empty() {
            return Ok(None);
        }
        open(&self.link, &self.seal, name, sealed, now).map(Some)
    }

    fn distrust(&mut self, name: &NodeName, why: Distrust) {
        self.tally.rejected("node");
        if why != Distrust::Old {
            self.dead.insert(name.as_str().into());
        }
        if self.warned.is_none_or(|at| at.elapsed() > BETWEEN_WARNINGS) {
            self.warned = Some(Instant::now());
            tracing::warn!(node = %name, "the node's entry in Redis is ignored: {why}");
        }
    }

    /// Asks all at once. A key of another type than the fleet writes is deleted with the next round: whoever keeps
    /// something there writes it again.
    async fn ask(&mut self, commands: Vec<(String, Cmd)>) -> Result<Vec<Value>, Away> {
        let (keys, commands): (Vec<_>, Vec<_>) = commands.into_iter().unzip();
        let answers = self.link.pipeline(commands).await?;
        for (key, answer) in keys.into_iter().zip(&answers) {
            if matches!(answer, Value::ServerError(error) if error.code() == "WRONGTYPE") {
                self.tally.rejected("node");
                self.broken.insert(key);
            }
        }
        Ok(answers)
    }
}

/// The key of a node's entry.
pub(super) fn key_of(link: &Link, name: &NodeName) -> String {
    link.key(&format!("node:{name}"))
}

/// Opens what is kept for `name`.
pub(super) fn open(
    link: &Link,
    seal: &Seal,
    name: &NodeName,
    sealed: &[u8],
    now: u64,
) -> Result<Entry, Distrust> {
    if sealed.len() > super::wire::LONGEST {
        return Err(Distrust::TooLong);
    }
    let plain = seal.open(&key_of(link, name), name.as_str(), 0, sealed).ok_or(Distrust::Seal)?;
    Entry::decode(&plain)?.check(name, now)
}

fn enter(key: &str, entry: &Entry) -> [(String, Cmd); 2] {
    let (mut add, mut expire) = (cmd("ZADD"), cmd("EXPIRE"));
    add.arg(key).arg(entry.rank()).arg(entry.name.as_str());
    expire.arg(key).arg(SETS_LIFE);
    [(key.to_owned(), add), (key.to_owned(), expire)]
}

fn remove(key: &str, names: impl IntoIterator<Item: redis::ToRedisArgs>) -> Cmd {
    let mut remove = cmd("ZREM");
    remove.arg(key);
    for name in names {
        remove.arg(name);
    }
    remove
}
