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
#[serde(try_from = "(u64, Vec<Entry>)", into = "(u64, Vec<Entry>)")]
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
        if !rest.is_empty() || entries.is_empty() {
            return None;
        }
        let mut keys = Vec::with_capacity(entries.len());
        for entry in entries {
            let (from, key) = entry.split_first_chunk::<8>()?;
            keys.push(Entry { from: u64::from_be_bytes(*from), key: key.try_into().ok()? });
        }
        Self::try_from((generation, keys)).ok()
    }
}

impl TryFrom<(u64, Vec<Entry>)> for Ring {
    type Error = &'static str;

    fn try_from((generation, keys): (u64, Vec<Entry>)) -> Result<Self, Self::Error> {
        let is_ordered = keys.windows(2).all(|pair| matches!(pair, [one, next] if one < next));
        if is_ordered && keys.len() <= MOST_KEYS {
            Ok(Self { generation, keys })
        } else {
            Err("these are no keys of a fleet")
        }
    }
}

impl From<Ring> for (u64, Vec<Entry>) {
    fn from(ring: Ring) -> Self {
        (ring.generation, ring.keys)
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HOUR: Millis = 3_600_000;
    const LIVES: Lives =
        Lives { used: Duration::from_secs(4 * 3600), accepted: Duration::from_secs(24 * 3600) };

    /// A ring whose keys were made every four hours.
    fn rotated(times: u8) -> (Ring, Millis) {
        let (mut ring, mut now) = (Ring::default(), HOUR);
        for key in 0..times {
            ring = ring.with([key; 32], now, LIVES);
            now += 4 * HOUR;
        }
        (ring, now)
    }

    #[test]
    fn the_first_key_is_used_after_everybody_had_time_to_see_it() {
        let ring = Ring::default().with([1; 32], HOUR, LIVES);
        assert_eq!(ring.in_force(HOUR, LIVES), InForce { used: None, accepted: vec![[1; 32]] });
        assert_eq!(ring.in_force(HOUR + AHEAD_AT_FIRST, LIVES).used.unwrap().key, [1; 32]);
    }

    #[test]
    fn a_new_key_is_accepted_before_it_is_used_and_the_old_one_long_after() {
        let ring = Ring::default().with([1; 32], HOUR, LIVES);
        assert!(!ring.is_due(HOUR + 3 * HOUR, LIVES));
        let now = HOUR + 4 * HOUR;
        assert!(ring.is_due(now, LIVES));
        let ring = ring.with([2; 32], now, LIVES);
        let in_force = ring.in_force(now, LIVES);
        assert_eq!((in_force.used.unwrap().key, in_force.accepted), ([1; 32], vec![[1; 32], [2; 32]]));
        let in_force = ring.in_force(now + AHEAD, LIVES);
        assert_eq!((in_force.used.unwrap().key, in_force.accepted), ([2; 32], vec![[2; 32], [1; 32]]));
        let over = now + AHEAD + 24 * HOUR + SKEW;
        assert!(ring.in_force(over - 1, LIVES).accepted.contains(&[1; 32]));
        assert!(!ring.in_force(over, LIVES).accepted.contains(&[1; 32]));
    }

    #[test]
    fn a_ring_that_is_rotated_for_long_keeps_what_may_still_live_and_no_more() {
        let (ring, now) = rotated(100);
        // Six on the way out, the one in use.
        assert_eq!(ring.in_force(now, LIVES).accepted.len(), 7);
        assert!(ring.keys.len() <= 8, "{ring:?}");
        assert_eq!(ring.generation(), 100);
    }

    #[test]
    fn a_fleet_that_was_away_for_longer_than_anything_lives_begins_anew() {
        let (ring, now) = rotated(3);
        assert!(ring.is_alive(now + 20 * HOUR, LIVES));
        assert!(!ring.is_alive(now + 48 * HOUR, LIVES));
    }

    #[test]
    fn keys_that_two_nodes_made_at_once_are_both_kept() {
        let common = Ring::default().with([1; 32], HOUR, LIVES);
        let now = 5 * HOUR;
        let (ours, theirs) = (common.with([2; 32], now, LIVES), common.with([3; 32], now + 5, LIVES));
        let joined = ours.joined(&theirs, now + 10, LIVES);
        assert_eq!(joined.generation(), 3);
        for key in [[1; 32], [2; 32], [3; 32]] {
            assert!(joined.in_force(now + 10, LIVES).accepted.contains(&key));
        }
        // And whoever has the other one has nothing to add.
        assert_eq!(theirs.joined(&joined, now + 10, LIVES), joined);
    }

    #[test]
    fn more_keys_than_there_can_be_are_no_ring() {
        let bytes: Vec<u8> = (0..=MOST_KEYS as u64).flat_map(|at| [at.to_be_bytes(); 5].concat()).collect();
        assert_eq!(Ring::from_bytes(3, &bytes), None);
        assert!(Ring::from_bytes(3, &bytes[40..]).is_some());
    }

    #[test]
    fn bytes_that_are_no_ring_are_none() {
        let (ring, _) = rotated(3);
        let bytes = ring.to_bytes();
        assert_eq!(Ring::from_bytes(3, &bytes), Some(ring));
        assert_eq!(Ring::from_bytes(3, &bytes[1..]), None);
        assert_eq!(Ring::from_bytes(3, &[]), None);
        assert_eq!(Ring::from_bytes(3, &[&bytes[40..], &bytes[..40]].concat()), None);
    }

    proptest! {
        #[test]
        fn joining_again_changes_nothing(mine in 0..5_u8, theirs in 0..5_u8, at in 0..40_u64) {
            let (mine, theirs) = (rotated(mine).0, rotated(theirs).0);
            let now = at * HOUR;
            let joined = mine.joined(&theirs, now, LIVES);
            prop_assert_eq!(mine.joined(&joined, now, LIVES), joined.clone());
            prop_assert_eq!(theirs.joined(&joined, now, LIVES), joined);
        }
    }
}
