//! What the core is told to do: one snapshot, swapped as a whole.

use std::fmt;
use std::sync::Arc;

use thiserror::Error;

use crate::credentials::Credentials;
use crate::nonce::Nonces;
use crate::policy::PeerPolicy;
use crate::redirect::Redirect;
use crate::revocations::Revocations;

/// A snapshot of everything that can change while the relay runs.
#[derive(Debug)]
pub struct Settings {
    /// Named in challenges.
    pub realm: Realm,
    /// Told to authenticated clients in SOFTWARE, if anything.
    pub software: Option<String>,
    /// Who may allocate.
    pub credentials: Credentials,
    /// How nonces are made and checked.
    pub nonces: Nonces,
    /// How long allocations live.
    pub lifetimes: Lifetimes,
    /// Which peers may be reached.
    pub policy: PeerPolicy,
    /// How much of everything.
    pub limits: Limits,
    /// Who is sent on to another node.
    pub redirect: Redirect,
    /// Whose credentials are good no more. Another list than before ends the allocations that it hits.
    pub revocations: Arc<Revocations>,
    /// Whether an Allocate that this node would serve waits for what the fleet says
    /// ([`Output::AskQuota`](crate::Output::AskQuota)).
    pub asks_quota: bool,
}

/// A realm (RFC 8489 section 14.9).
///
/// Cheap to clone: every allocation keeps the one that it began under.
#[derive(Clone, PartialEq, Eq)]
pub struct Realm(Arc<str>);

/// Bytes of the longest realm: a character takes four at most.
pub(crate) const LONGEST_REALM: usize = 4 * Realm::MOST_CHARACTERS;

/// A realm that no client could use.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RealmError {
    /// Nothing in it.
    #[error("the realm is empty; give it the name of your domain")]
    Empty,
    /// RFC 8489 section 14.9 ends at 127 characters.
    #[error("the realm has {0} characters; RFC 8489 allows 127")]
    TooLong(usize),
    /// A quote or a control character.
    #[error("the realm holds the character {0:?}, which clients cannot quote; leave it out")]
    Character(char),
}

impl Realm {
    /// RFC 8489 section 14.9: "fewer than 128 characters".
    const MOST_CHARACTERS: usize = 127;

    /// Checks a realm.
    ///
    /// # Errors
    /// When it is empty, longer than 127 characters, or holds what a quoted string cannot.
    pub fn new(realm: &str) -> Result<Self, RealmError> {
        if realm.is_empty() {
            return Err(RealmError::Empty);
        }
        let length = realm.chars().count();
        if length > Self::MOST_CHARACTERS {
            return Err(RealmError::TooLong(length));
        }
        match realm.chars().find(|c| c.is_control() || matches!(c, '"' | '\\')) {
            Some(character) => Err(RealmError::Character(character)),
            None => Ok(Self(realm.into())),
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Realm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// Lifetimes of allocations, in seconds (RFC 8656 section 7.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetimes {
    /// Without a LIFETIME, or with a shorter one.
    pub default: u32,
    /// At most.
    pub max: u32,
}

impl Default for Lifetimes {
    fn default() -> Self {
        Self { default: 600, max: 3600 }
    }
}

impl Lifetimes {
    /// What a client that wants `requested` seconds is given.
    pub(crate) fn grant(self, requested: Option<u32>) -> u32 {
        requested.map_or(self.default, |seconds| seconds.min(self.max).max(self.default))
    }
}

/// How much of everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// For each user.
    pub user: Quota,
    /// For all together.
    pub total: Quota,
    /// For answers to who has not shown that it can be reached.
    pub answers: AnswerLimits,
}

/// How much one user, or all together, may have at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Allocations.
    pub allocations: u32,
    /// Permissions over all allocations.
    pub permissions: u32,
    /// Channels over all allocations.
    pub channels: u32,
    /// What goes to and comes from peers, both directions together, with IP and UDP headers (28 bytes for each
    /// packet over IPv4, 48 over IPv6); `None`: as much as goes.
    pub bits_per_second: Option<u64>,
}

/// How many bytes a node's answers to who has not shown that it can be reached may have beyond those of
/// the requests: this much for Bindings, and this much for everything else; and the same again for what comes
/// through a load balancer. Where that hides addresses, all its clients are one source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AnswerLimits {
    /// To one IPv4 address or IPv6 /64.
    pub per_source_bytes_per_second: u32,
    /// To all.
    pub total_bytes_per_second: u32,
}

impl Default for AnswerLimits {
    /// 1,000 challenges or 6,000 Bindings a second to one source, ten times that to all.
    fn default() -> Self {
        Self { per_source_bytes_per_second: 100_000, total_bytes_per_second: 1_000_000 }
    }
}
