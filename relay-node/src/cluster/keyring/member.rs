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
    /// Nothing.
    Nothing,
    /// What was not sealed under this node's fleet key: forged, or this node has the wrong one.
    Foreign,
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
            Found::Nothing | Found::Foreign if self.ring.is_alive(now, self.lives) => Some(self.ring.clone()),
            // Who knows nothing may be the one that is wrong.
            Found::Foreign => None,
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    const LIVES: Lives = Lives { used: Duration::from_secs(3600), accepted: Duration::from_secs(7200) };

    fn newcomer() -> Member {
        Member::new(Ring::default(), LIVES)
    }

    /// One that knows a key.
    fn old_hand() -> Member {
        Member::new(Ring::default().with([1; 32], 1_000, LIVES), LIVES)
    }

    #[test]
    fn a_newcomer_waits_for_others_before_it_makes_a_key() {
        let mut newcomer = newcomer();
        assert_eq!(newcomer.saw(10_000, Found::Nothing, || [9; 32]), None);
        assert_eq!(newcomer.saw(12_999, Found::Nothing, || [9; 32]), None);
        let ring = newcomer.saw(13_000, Found::Nothing, || [9; 32]).unwrap();
        newcomer.wrote(ring);
        assert_eq!(newcomer.in_force(15_000).used.unwrap().key, [9; 32]);
    }

    #[test]
    fn who_knows_publishes_again_at_once_and_the_newcomer_takes_that() {
        let (mut newcomer, mut old_hand) = (newcomer(), old_hand());
        assert_eq!(newcomer.saw(10_000, Found::Nothing, || [9; 32]), None);
        let ring = old_hand.saw(10_100, Found::Nothing, || [8; 32]).unwrap();
        assert_eq!(newcomer.saw(10_500, Found::Ring(ring), || [9; 32]), None);
        assert_eq!(newcomer.in_force(10_500).used.unwrap().key, [1; 32]);
    }

    #[test]
    fn a_newcomer_writes_nothing_over_that_it_cannot_open_and_who_knows_does() {
        let mut newcomer = newcomer();
        for now in [10_000, 20_000, 1_000_000] {
            assert_eq!(newcomer.saw(now, Found::Foreign, || [9; 32]), None);
        }
        assert!(old_hand().saw(10_000, Found::Foreign, || [9; 32]).is_some());
    }

    #[test]
    fn the_wait_begins_anew_after_something_was_seen() {
        let mut newcomer = newcomer();
        assert_eq!(newcomer.saw(10_000, Found::Nothing, || [9; 32]), None);
        let dead = Ring::default().with([1; 32], 0, Lives { used: Duration::ZERO, accepted: Duration::ZERO });
        newcomer.saw(100_000_000, Found::Ring(dead), || [9; 32]);
        assert_eq!(newcomer.saw(100_000_500, Found::Nothing, || [9; 32]), None);
    }

    #[test]
    fn an_older_version_is_written_over_with_all_that_lives() {
        let mut old_hand = old_hand();
        let newer = old_hand.ring().with([2; 32], 1_000_000, LIVES);
        let older = old_hand.ring().clone();
        old_hand.wrote(newer.clone());
        let next = old_hand.saw(1_000_100, Found::Ring(older), || [9; 32]).unwrap();
        assert!(next.generation() > newer.generation());
        assert!(next.in_force(1_000_100, LIVES).accepted.contains(&[2; 32]));
    }

    #[test]
    fn a_key_is_made_when_it_is_time_and_not_twice() {
        let mut old_hand = old_hand();
        let published = old_hand.ring().clone();
        assert_eq!(old_hand.saw(3_000_000, Found::Ring(published.clone()), || [2; 32]), None);
        let next = old_hand.saw(3_600_000, Found::Ring(published), || [2; 32]).unwrap();
        // Another node was first: its key is taken, and none is made.
        let others = old_hand.ring().with([3; 32], 3_600_000, LIVES);
        assert_eq!(old_hand.saw(3_600_500, Found::Ring(others), || [4; 32]), None);
        assert!(!old_hand.in_force(3_600_500).accepted.contains(&[2; 32]));
        assert_eq!(next.generation(), 2);
    }

    proptest! {
        /// Redis is emptied or goes back to an older version at any time, and nodes look in any order: whatever one of
        /// them made with the key in use, all accept for as long as it may live.
        #[test]
        fn nothing_that_was_made_is_refused_before_its_time(
            steps in prop::collection::vec((0..3_usize, 1..1_800_000_u64, 0..8_u8), 1..100),
        ) {
            let mut nodes = [newcomer(), newcomer(), newcomer()];
            let (mut history, mut published) = (Vec::new(), Found::Nothing);
            let (mut now, mut keys, mut made) = (1_000_000, 0_u8, Vec::new());
            for (first, later, event) in steps {
                now += later;
                match event {
                    0 => published = Found::Nothing,
                    1 => published = history.get(first).cloned().map_or(Found::Nothing, Found::Ring),
                    _ => {}
                }
                for at in (0..6).map(|at| (at + first) % 3) {
                    let key = || {
                        keys = keys.wrapping_add(1);
                        [keys; 32]
                    };
                    if let Some(next) = nodes[at].saw(now, published.clone(), key) {
                        history.insert(0, next.clone());
                        published = Found::Ring(next.clone());
                        nodes[at].wrote(next);
                    }
                }
                for node in &nodes {
                    let used = node.in_force(now).used;
                    made.extend(used.map(|used| (used.key, now + 7_200_000, used.good_until)));
                }
                made.retain(|(_, until, _)| *until > now);
                for node in &nodes {
                    let accepted = node.in_force(now).accepted;
                    for (key, _, good_until) in &made {
                        prop_assert!(now >= *good_until || accepted.contains(key));
                    }
                    prop_assert!(accepted.len() <= 5, "{}", accepted.len());
                }
            }
        }
    }
}
