//! What one node does about the keys of one kind when it has looked at Redis.

use super::ring::{Key, Lives, Millis, Ring};

/// How long a node that knows no keys waits for one that does before it makes some. Those who know look twice a
/// second.
const WAIT_FOR_OTHERS: Millis = 3_000;

/// One node's view of the keys of one kind.
pub(super) struct Member {
    lives: Lives,
    ring: Ring,
    /// Since when it finds nothing and knows nothing.
    waiting_since: Option<Millis>,
}

/// What is in Redis.
#[derive(Clone, Debug)]
pub(super) enum Found {
    /// Nothing, or nothing that the fleet sealed.
    Nothing,
    /// The keys, as somebody published them.
    Ring(Ring),
}

impl Member {
    /// One that knows `ring`, which is empty for a newcomer.
    pub(super) fn new(ring: Ring, lives: Lives) -> Self {
        Self { lives, ring, waiting_since: None }
    }

    /// What it knows.
    pub(super) fn ring(&self) -> &Ring {
        &self.ring
    }

    /// Takes in what is in Redis, and tells what is to be there instead, if that is still there. `key` makes one.
    pub(super) fn saw(&mut self, now: Millis, found: Found, key: impl FnOnce() -> Key) -> Option<Ring> {
        match found {
            Found::Ring(other) => {
                self.waiting_since = None;
                self.ring = self.ring.joined(&other, now, self.lives);
                if self.ring != other {
                    return Some(self.ring.clone());
                }
                self.ring.is_due(now, self.lives).then(|| self.ring.with(key(), now, self.lives))
            }
            // Redis was emptied, or a value was forged: those who know publish again.
            Found::Nothing if self.ring.is_alive(now, self.lives) => Some(self.ring.clone()),
            Found::Nothing => {
                let since = *self.waiting_since.get_or_insert(now);
                let is_over = now.saturating_sub(since) >= WAIT_FOR_OTHERS;
                is_over.then(|| self.ring.with(key(), now, self.lives))
            }
        }
    }

    /// What it wanted to be in Redis is there.
    pub(super) fn wrote(&mut self, ring: Ring) {
        self.waiting_since = None;
        self.ring = ring;
    }

    /// What is in force now.
    pub(super) fn in_force(&self, now: Millis) -> super::ring::InForce {
        self.ring.in_force(now, self.lives)
    }
}
