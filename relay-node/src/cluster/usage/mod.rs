//! What each user has used of the fleet, and each tenant: allocations, bytes each way, time.
//!
//! A hash `usage:USER` has the sums, and what they have of each allocation that lives. Nodes tell absolute numbers of
//! an allocation, by its name; a [script](write) adds what is new. So what a killed node had told is not counted again
//! by the one that goes on with its allocations, and what it had not told yet is. A call that was repeated since nobody
//! knows whether it was done changes nothing the second time.
//!
//! It is written behind, every few seconds for what lives and at once for what has ended. While Redis is away
//! [`Meter`] keeps what has ended one by one, up to a bound, then the sum for each user, up to another one; what it
//! has no room for is counted and lost.
//!
//! Sorted sets `users:0` ... `users:f` have the keys of all users, those of a tenant in one of them: Redis is never
//! asked for all its keys. Usage that nobody has added to for 35 days is forgotten.

mod list;
mod meter;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use turn::credentials::UserId;

pub use list::{Usage, list};
pub use meter::{Line, Meter, Over, Used, millis};

use super::seal::Seal;

/// Usage that nobody adds to is kept for so many seconds: a month can be billed after its end.
const RETENTION: u64 = 35 * 24 * 3600;

/// What is still to be written, for those who learn of it and the one who writes it.
#[derive(Clone, Debug, Default)]
pub struct Shared(Arc<Mutex<Meter>>);

impl Shared {
    /// For a moment, in which nobody waits for anything.
    pub fn lock(&self) -> MutexGuard<'_, Meter> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a user is called in Redis.
fn key_of(seal: &Seal, user: &UserId) -> String {
    seal.name_of(&plain(user))
}

/// Which of the sets has a tenant's users: one of them, so that few have to be looked through.
fn shard_of(seal: &Seal, tenant: Option<&str>) -> String {
    let name = seal.name_of(tenant.unwrap_or_default().as_bytes());
    format!("users:{}", name.get(..1).unwrap_or_default())
}

/// All sets.
fn shards() -> impl Iterator<Item = String> {
    (0..16).map(|shard| format!("users:{shard:x}"))
}

/// A user's name and kind.
fn plain(user: &UserId) -> Vec<u8> {
    [&[u8::from(user.is_time_limited())], user.name().as_bytes()].concat()
}

/// Whose that is.
fn user_of(plain: &[u8]) -> Option<UserId> {
    let (kind, name) = plain.split_first()?;
    let name = str::from_utf8(name).ok()?;
    match kind {
        0 => Some(UserId::long_term(name)),
        1 => Some(UserId::time_limited(name)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_read_as_it_was_written_and_kinds_are_not_confused() {
        let seal = Seal::new(&[7; 32], "test").unwrap();
        let users =
            [UserId::long_term("alice"), UserId::time_limited("alice"), UserId::time_limited("t1:alice")];
        for user in &users {
            assert_eq!(user_of(&plain(user)).as_ref(), Some(user));
        }
        let keys: std::collections::HashSet<_> = users.iter().map(|user| key_of(&seal, user)).collect();
        assert_eq!(keys.len(), users.len());
        assert_eq!(user_of(b""), None);
        assert_eq!(user_of(b"\x02alice"), None);
    }

    #[test]
    fn each_tenant_has_one_of_the_sets() {
        let seal = Seal::new(&[7; 32], "test").unwrap();
        let all: Vec<_> = shards().collect();
        assert_eq!(all.len(), 16);
        assert!([None, Some("t1"), Some("")].iter().all(|tenant| all.contains(&shard_of(&seal, *tenant))));
    }
}
