//! What those who proved nothing may have: answers by the bytes, and attempts at proving something.
//!
//! Who asks is known only so well, and each is measured among its like, so that nobody uses up what
//! belongs to those who have shown more:
//!
//! | who | is answered |
//! | --- | --- |
//! | a stream's client, which TCP has shown to be there | always |
//! | credentials that are right | always |
//! | a nonce that we gave to that address, and wrong credentials | within [`Guesses`] |
//! | everybody else, whose address may be spoofed: Bindings | within a [`Share`] |
//! | everybody else: 400, 401 and 438 | within another [`Share`] |
//!
//! A share counts the bytes that an answer has more than its request: that is what somebody gains who
//! lets the relay shout at a spoofed victim. Each source has a part of it, and so have all together. Of
//! either, a quarter is kept for requests that were left without an answer before and come again at
//! least [`first_seen::LEAST_AGE`] later. A flood that makes up a new transaction for each packet cannot use
//! that part, so a new client of a flooded address gets in with one of its retransmissions
//! (RFC 8489 section 6.2.1); without a flood it is served at once. A flood that repeats its own transactions
//! just as a client does cannot be told from many clients, and is only held to the limit.
//!
//! One budget serves all workers of a node: a part for each would be too small for the many users behind
//! one NAT. It is relaxed atomics in tables of fixed size, 3 MiB in all, whoever and however many ask. A packet
//! that is refused only reads the rates, so that what a flood makes the cores share is bounded by the answers
//! that they give. Two that check at the same moment may both be let through: no more than one answer too
//! many for each worker.

mod first_seen;
mod guesses;
mod share;
mod sketch;

use std::fmt;
use std::net::IpAddr;

use ahash::RandomState;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use stun::TransactionId;

use crate::address::ClientAddr;
use crate::settings::AnswerLimits;
use crate::time::Monotonic;
use first_seen::FirstSeen;
use guesses::Guesses;
use share::Share;

/// The budget of one node for those who proved nothing.
pub struct AnswerBudget {
    bindings: Share,
    challenges: Share,
    first_seen: FirstSeen,
    guesses: Guesses,
    hasher: RandomState,
}

/// A request from an address that may be spoofed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stranger {
    /// Where it says that it comes from.
    pub(crate) client: ClientAddr,
    /// What a retransmission has in common with it.
    pub(crate) transaction: TransactionId,
    /// Bindings and everything else do not take from each other.
    pub(crate) binding: bool,
}

impl AnswerBudget {
    /// A full budget. `seed` has to be secret, lest somebody finds sources that share cells.
    pub fn new(seed: [u8; 32]) -> Self {
        let mut random = StdRng::from_seed(seed);
        Self {
            bindings: Share::default(),
            challenges: Share::default(),
            first_seen: FirstSeen::default(),
            guesses: Guesses::default(),
            hasher: RandomState::with_seeds(
                random.next_u64(),
                random.next_u64(),
                random.next_u64(),
                random.next_u64(),
            ),
        }
    }

    /// Whether a stranger is answered. What the answer costs is to be told to [`Self::charge`].
    pub(crate) fn answers(&self, now: Monotonic, stranger: &Stranger) -> bool {
        let ahead = self.share(stranger).ahead(now, self.network(stranger.client));
        if ahead <= share::FOR_FIRST {
            return true;
        }
        let request = self.hasher.hash_one((stranger.client, stranger.transaction));
        self.first_seen.comes_again(now, request, ahead <= share::FOR_ALL)
    }

    /// Takes an answer out of the budget: `asked` bytes came in and `answered` went out.
    pub(crate) fn charge(
        &self,
        now: Monotonic,
        limits: &AnswerLimits,
        stranger: &Stranger,
        asked: usize,
        answered: usize,
    ) {
        let network = self.network(stranger.client);
        self.share(stranger).charge(now, limits, network, answered.saturating_sub(asked));
    }

    /// Whether credentials from an address that we have reached are looked at.
    pub(crate) fn hears(&self, now: Monotonic, client: ClientAddr) -> bool {
        self.guesses.hears(now, self.network(client), self.hasher.hash_one(client))
    }

    /// Notes that credentials from there were wrong.
    pub(crate) fn note_wrong(&self, now: Monotonic, client: ClientAddr) {
        self.guesses.note_wrong(now, self.network(client), self.hasher.hash_one(client));
    }

    fn share(&self, stranger: &Stranger) -> &Share {
        if stranger.binding { &self.bindings } else { &self.challenges }
    }

    /// What counts as one source: an IPv4 address or an IPv6 /64, hashed.
    fn network(&self, client: ClientAddr) -> u64 {
        self.hasher.hash_one(match client.ip() {
            IpAddr::V4(v4) => (4_u8, u64::from(v4.to_bits())),
            IpAddr::V6(v6) => (6, (v6.to_bits() >> 64) as u64),
        })
    }
}

impl fmt::Debug for AnswerBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnswerBudget").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
