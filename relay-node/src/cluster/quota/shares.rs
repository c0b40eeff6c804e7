//! Whose shares are to be written, and when again.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

use turn::credentials::UserId;

/// A share is written again after that long: twice before it would count no more ([`super::script::LIFE`]).
const RENEWAL: Duration = Duration::from_millis(3_300);

/// The users with allocations on this node, by when their shares are to be renewed, and those whose number has changed.
#[derive(Debug, Default)]
pub(super) struct Shares {
    written: HashMap<UserId, Written>,
    by_renewal: BTreeSet<(Instant, UserId)>,
    changed: BTreeSet<UserId>,
}

#[derive(Clone, Copy, Debug)]
struct Written {
    count: u32,
    renewal: Instant,
}

impl Shares {
    /// Whether a user's share says so many by what was sent last.
    pub(super) fn says(&self, user: &UserId, count: u32) -> bool {
        self.written.get(user).map_or(0, |written| written.count) == count
    }

    /// A user has more or fewer allocations.
    pub(super) fn change(&mut self, user: UserId) {
        self.changed.insert(user);
    }

    /// All are to be written again: Redis may have lost them.
    pub(super) fn change_all(&mut self) {
        self.changed.extend(self.written.keys().cloned());
    }

    /// A share of so many has been sent to Redis, or would have been.
    pub(super) fn sent(&mut self, user: &UserId, count: u32, now: Instant) {
        if let Some(written) = self.written.remove(user) {
            self.by_renewal.remove(&(written.renewal, user.clone()));
        }
        if count > 0 {
            let renewal = now + RENEWAL;
            self.written.insert(user.clone(), Written { count, renewal });
            self.by_renewal.insert((renewal, user.clone()));
        }
    }

    /// Up to `most` users whose shares are to be written now.
    pub(super) fn take(&mut self, now: Instant, most: usize) -> Vec<UserId> {
        let mut users: Vec<UserId> = std::iter::from_fn(|| self.changed.pop_first()).take(most).collect();
        let due = self.by_renewal.iter().take_while(|(at, _)| *at <= now).map(|(_, user)| user);
        let due = due.filter(|user| users.binary_search(user).is_err());
        let due: Vec<UserId> = due.take(most - users.len()).cloned().collect();
        users.extend(due);
        users
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(name: &str) -> UserId {
        UserId::time_limited(name)
    }

    #[test]
    fn a_share_is_renewed_as_long_as_it_lasts() {
        let (mut shares, start) = (Shares::default(), Instant::now());
        shares.change(user("a"));
        assert_eq!(shares.take(start, 9), [user("a")]);
        shares.sent(&user("a"), 2, start);
        assert!(shares.says(&user("a"), 2) && !shares.says(&user("a"), 3) && shares.says(&user("b"), 0));
        assert!(shares.take(start, 9).is_empty());
        assert_eq!(shares.take(start + RENEWAL, 9), [user("a")]);
        shares.sent(&user("a"), 0, start + RENEWAL);
        assert!(shares.take(start + RENEWAL * 9, 9).is_empty());
        assert!(shares.written.is_empty() && shares.by_renewal.is_empty());
    }

    #[test]
    fn what_has_changed_goes_first_and_nobody_is_written_twice_at_once() {
        let (mut shares, start) = (Shares::default(), Instant::now());
        for name in ["a", "b", "c"] {
            shares.sent(&user(name), 1, start);
        }
        shares.change(user("c"));
        shares.change(user("d"));
        assert_eq!(shares.take(start + RENEWAL, 3), [user("c"), user("d"), user("a")]);
        shares.change_all();
        assert_eq!(shares.take(start, 9), [user("a"), user("b"), user("c")]);
    }
}
