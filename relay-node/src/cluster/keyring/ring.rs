//! The keys of one kind that the fleet shares: a set, of which any two versions can be made one.
//!
//! A key is used from a moment on that lies ahead when it is made, so that every node knows it by then, and until
//! the next one is used. What was made with it stays good for as long as it may live. Two nodes that made a key each, or
//! lost each other's through a fail-over, end up with the keys of both: nothing that was made with either is refused.
//!
//! There is no clock in here and no Redis: times come in, versions go out.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// More keys than this are not kept: what is on the way out goes first.
pub const MOST_KEYS: usize = 16;
/// How long before it is used a key is made known. Nodes look twice a second.
const AHEAD: Millis = 10_000;
/// The same for the very first key, for which clients wait.
const AHEAD_AT_FIRST: Millis = 1_000;
/// Clocks of nodes may be that far apart.
const SKEW: Millis = 5_000;

/// Milliseconds since 1970.
pub type Millis = u64;

/// A key of the fleet.
pub type Key = [u8; 32];

/// How long keys are used and good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lives {
    /// How long one is used to make new things.
    pub used: Duration,
    /// How long what was made with it may live.
    pub accepted: Duration,
}

/// The keys of one kind.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
pub struct Ring {
    generation: u64,
    /// In the order in which they are used, no two the same.
    keys: Vec<Entry>,
}

/// A key, and since when it is used.
#[derive(Clone, Copy, Deserialize, PartialEq, Eq, PartialOrd, Ord, Serialize)]
struct Entry {
    from: Millis,
    key: Key,
}

/// What is in force at a moment.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct InForce {
    /// What new things are made with; nothing before the first key is used.
    pub used: Option<Used>,
    /// All that is accepted: the one in use first, then those to come, then the old ones, newest first.
    pub accepted: Vec<Key>,
}

/// The key that new things are made with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Used {
    /// The key.
    pub key: Key,
    /// Until when every node accepts what is made with it, whatever this node misses from now on.
    pub good_until: Millis,
}

impl Ring {
    /// How often it was changed, by anybody.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Whether there is any key that anything is accepted by.
    pub fn is_alive(&self, now: Millis, lives: Lives) -> bool {
        !self.in_force(now, lives).accepted.is_empty()
    }

    /// What is in force now.
    pub fn in_force(&self, now: Millis, lives: Lives) -> InForce {
        let current = self.keys.iter().rposition(|entry| entry.from <= now);
        let mut accepted: Vec<Key> = Vec::new();
        // What is used goes first, and what will be used comes next; before there is any, that is all.
        let coming = current.unwrap_or(0);
        accepted.extend(self.keys.iter().skip(coming).map(|entry| entry.key));
        let old = self.keys.windows(2).take(coming).rev().filter_map(|pair| match pair {
            [old, next] => (gone(next.from, lives) > now).then_some(old.key),
            _ => None,
        });
        accepted.extend(old);
        accepted.truncate(MOST_KEYS);
        let used = current.and_then(|at| self.keys.get(at)).map(|entry| Used {
            key: entry.key,
            good_until: gone(entry.from.saturating_add(millis(lives.used)), lives).saturating_sub(SKEW),
        });
        let is_over = used.is_some_and(|used| used.good_until <= now) && coming + 1 == self.keys.len();
        if is_over {
            // The fleet was away for longer than anything lives.
            return InForce::default();
        }
        InForce { used, accepted }
    }

    /// Whether it is time for another key.
    pub fn is_due(&self, now: Millis, lives: Lives) -> bool {
        match self.keys.last() {
            None => true,
            Some(last) => now.saturating_add(AHEAD) >= last.from.saturating_add(millis(lives.used)),
        }
    }

    /// The next version: with `key`, and without those that nothing is accepted by any more.
    pub fn with(&self, key: Key, now: Millis, lives: Lives) -> Self {
        let ahead = if self.is_alive(now, lives) { AHEAD } else { AHEAD_AT_FIRST };
        let living = self.in_force(now, lives).accepted;
        let mut keys: Vec<Entry> =
            self.keys.iter().filter(|entry| living.contains(&entry.key)).copied().collect();
        keys.push(Entry { from: now.saturating_add(ahead), key });
        Self { generation: self.generation.saturating_add(1), keys: ordered(keys) }
    }

    /// This version and another one in one. Where that is just `other`, it keeps that one's generation, so that there
    /// is nothing to write; else it is newer than both.
    pub fn joined(&self, other: &Self, now: Millis, lives: Lives) -> Self {
        let living = self.in_force(now, lives).accepted;
        let known = |entry: &Entry| other.keys.iter().any(|known| known.key == entry.key);
        let ours: Vec<Entry> =
            self.keys.iter().filter(|entry| living.contains(&entry.key) && !known(entry)).copied().collect();
        if ours.is_empty() {
            return other.clone();
        }
        let keys = ordered([ours.as_slice(), &other.keys].concat());
        if keys == other.keys {
            return other.clone();
        }
        Self { generation: self.generation.max(other.generation).saturating_add(1), keys }
    }

    /// As it is sealed.
    pub fn to_bytes(&self) -> Vec<u8> {
        let entries = self.keys.iter();
        entries.flat_map(|entry| entry.from.to_be_bytes().into_iter().chain(entry.key)).collect()
    }

    /// What [`Self::to_bytes`] made of a ring of this generation; nothing if it is none.
    pub fn from_bytes(generation: u64, bytes: &[u8]) -> Option<Self> {
        let (entries, rest) = bytes.as_chunks::<40>();
        if !rest.is_empty() || entries.is_empty() || entries.len() > MOST_KEYS {
            return None;
        }
        let mut keys = Vec::with_capacity(entries.len());
        for entry in entries {
            let (from, key) = entry.split_first_chunk::<8>()?;
            keys.push(Entry { from: u64::from_be_bytes(*from), key: key.try_into().ok()? });
        }
        let is_ordered = keys.windows(2).all(|pair| matches!(pair, [one, next] if one < next));
        is_ordered.then_some(Self { generation, keys })
    }
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "key from {}", self.from)
    }
}

impl std::fmt::Debug for InForce {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} keys", self.accepted.len())
    }
}

/// When nothing lives any more that was made with a key whose use ended at `end`.
fn gone(end: Millis, lives: Lives) -> Millis {
    end.saturating_add(millis(lives.accepted)).saturating_add(SKEW)
}

fn ordered(mut keys: Vec<Entry>) -> Vec<Entry> {
    keys.sort_unstable();
    keys.dedup_by_key(|entry| entry.key);
    let too_many = keys.len().saturating_sub(MOST_KEYS);
    keys.drain(..too_many);
    keys
}

fn millis(duration: Duration) -> Millis {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
