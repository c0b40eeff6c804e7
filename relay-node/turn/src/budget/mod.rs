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
//! | the same where a load balancer leads to | within shares of that port's own |
//! | a nonce that anybody may have, and wrong credentials | within other [`Guesses`], and its share |
//!
//! Behind a load balancer nobody but who has good credentials is more than a stranger, since what looks like a
//! client's address may be the balancer's: then all clients are one source. Its part is the same as any other's,
//! since where clients' addresses are kept it is what protects each of them; what is said below of many users
//! behind one NAT is true of it too. Guesses are told apart by port once an address has made too many, so
//! whoever guesses through a balancer silences at most the one whose address and port it spoofs, and there alone.
//! What comes that way uses up nothing of those who come directly.
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
//! one NAT. It is relaxed atomics in tables of fixed size, 4 MiB in all and one more behind a load balancer,
//! whoever and however many ask. A packet that is refused only reads the rates, so that what a flood makes the
//! cores share is bounded by the answers that they give. Two that check at the same moment may both be let
//! through: no more than one answer too many for each worker.

mod first_seen;
mod guesses;
mod share;
mod sketch;

use std::fmt;
use std::net::IpAddr;
use std::sync::LazyLock;

use ahash::RandomState;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use stun::TransactionId;

use crate::address::{ClientAddr, Entrance};
use crate::settings::AnswerLimits;
use crate::time::Monotonic;
use first_seen::FirstSeen;
use guesses::Guesses;
use share::Share;

/// The budget of one node for those who proved nothing.
pub struct AnswerBudget {
    direct: Shares,
    /// Made with the first request that comes so: most relays have no load balancer.
    first_contact: LazyLock<Shares>,
    first_seen: FirstSeen,
    /// Of those who are where they say.
    guesses: Guesses,
    /// Of those who may be anywhere.
    strangers_guesses: Guesses,
    hasher: RandomState,
}

/// Bindings and everything else do not take from each other.
#[derive(Debug, Default)]
struct Shares {
    bindings: Share,
    challenges: Share,
}

/// A request from an address that may be spoofed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stranger {
    /// Where it says that it comes from.
    pub(crate) client: ClientAddr,
    /// By which kind of listener it came.
    pub(crate) entrance: Entrance,
    /// What a retransmission has in common with it.
    pub(crate) transaction: TransactionId,
    /// Whether it is a Binding.
    pub(crate) binding: bool,
}

impl AnswerBudget {
    /// A full budget. `seed` has to be secret, lest somebody finds sources that share cells.
    pub fn new(seed: [u8; 32]) -> Self {
        let mut random = StdRng::from_seed(seed);
        Self {
            direct: Shares::default(),
            first_contact: LazyLock::new(Shares::default),
            first_seen: FirstSeen::default(),
            guesses: Guesses::default(),
            strangers_guesses: Guesses::default(),
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

    /// Whether credentials from an address are looked at. Where it is not shown that the client is there, they
    /// take nothing from those who are.
    pub(crate) fn hears(&self, now: Monotonic, client: ClientAddr, is_shown: bool) -> bool {
        self.guesses(is_shown).hears(now, self.network(client), self.hasher.hash_one(client))
    }

    /// Notes that credentials from there were wrong.
    pub(crate) fn note_wrong(&self, now: Monotonic, client: ClientAddr, is_shown: bool) {
        self.guesses(is_shown).note_wrong(now, self.network(client), self.hasher.hash_one(client));
    }

    fn share(&self, stranger: &Stranger) -> &Share {
        let shares = match stranger.entrance {
            Entrance::Direct => &self.direct,
            Entrance::FirstContact => &*self.first_contact,
        };
        if stranger.binding { &shares.bindings } else { &shares.challenges }
    }

    const fn guesses(&self, is_shown: bool) -> &Guesses {
        if is_shown { &self.guesses } else { &self.strangers_guesses }
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
