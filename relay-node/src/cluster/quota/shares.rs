//! What this node's shares say, whose are to be written, and when again.
//!
//! A share says how many allocations the desk has let a user have and that have not ended. It is not what the relay counts:
//! that has those who are being asked about, and those who were refused a moment ago. Were they in the shares, two nodes
//! that are both asked for the last place would both find the other in it.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::time::{Duration, Instant};

use turn::credentials::UserId;

/// A share is written again after that long: twice before it would count no more ([`super::script::LIFE`]).
const RENEWAL: Duration = Duration::from_millis(3_300);
/// Who has more than its share for that long was not asked about: it was restored, or Redis was late.
const DOUBT: Duration = Duration::from_millis(300);

/// The shares of the users with allocations on this node.
#[derive(Debug, Default)]
pub(super) struct Shares {
    by_user: HashMap<UserId, Share>,
    by_renewal: BTreeSet<(Instant, UserId)>,
    changed: BTreeSet<UserId>,
    /// Who had how many more than its share, to be looked at again.
    doubts: VecDeque<(Instant, UserId, u32)>,
}

#[derive(Clone, Copy, Debug)]
struct Share {
    count: u32,
    renewal: Instant,
}

impl Shares {
    /// What a user's share says.
    pub(super) fn of(&self, user: &UserId) -> u32 {
        self.by_user.get(user).map_or(0, |share| share.count)
    }

    /// The relay counts so many.
    pub(super) fn look(&mut self, user: UserId, count: u32, now: Instant) {
        if count < self.of(&user) {
            self.changed.insert(user);
        } else if count > self.of(&user) {
            self.doubts.push_back((now + DOUBT, user, count));
        }
    }

    /// Looks again at who had more than its share; the relay counts `count` now.
    pub(super) fn look_again(&mut self, now: Instant, count: impl Fn(&UserId) -> u32) {
        while let Some((_, user, before)) = self.doubts.pop_front_if(|(at, ..)| *at <= now) {
            let count = before.min(count(&user));
            if count > self.of(&user) {
                self.set(&user, count, now);
                self.changed.insert(user);
            }
        }
    }

    /// All are to be written again: Redis may have lost them.
    pub(super) fn change_all(&mut self) {
        self.changed.extend(self.by_user.keys().cloned());
    }

    /// A share says so many from now on. It has been sent to Redis, and is to be sent again as long as it lasts.
    pub(super) fn set(&mut self, user: &UserId, count: u32, now: Instant) {
        if let Some(share) = self.by_user.remove(user) {
            self.by_renewal.remove(&(share.renewal, user.clone()));
        }
        if count > 0 {
            let renewal = now + RENEWAL;
            self.by_user.insert(user.clone(), Share { count, renewal });
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
        shares.set(&user("a"), 2, start);
        assert!(shares.take(start, 9).is_empty());
        assert_eq!(shares.take(start + RENEWAL, 9), [user("a")]);
        shares.set(&user("a"), 0, start + RENEWAL);
        assert!(shares.take(start + RENEWAL * 9, 9).is_empty());
        assert!(shares.by_user.is_empty() && shares.by_renewal.is_empty());
    }

    #[test]
    fn an_end_is_written_at_once_and_an_allocation_that_nobody_asked_about_soon() {
        let (mut shares, start) = (Shares::default(), Instant::now());
        for name in ["less", "more", "asking"] {
            shares.set(&user(name), 2, start);
        }
        shares.look(user("less"), 1, start);
        shares.look(user("more"), 4, start);
        shares.look(user("asking"), 4, start);
        assert_eq!(shares.take(start, 9), [user("less")]);
        shares.look_again(start + DOUBT / 2, |_| 9);
        assert!(shares.take(start, 9).is_empty());
        // What was asked about has been answered by then.
        shares.look_again(start + DOUBT, |it| if *it == user("more") { 5 } else { 2 });
        assert_eq!(shares.take(start, 9), [user("more")]);
        assert_eq!(shares.of(&user("more")), 4);
    }

    #[test]
    fn what_has_changed_goes_first_and_nobody_is_written_twice_at_once() {
        let (mut shares, start) = (Shares::default(), Instant::now());
        for name in ["a", "b", "c", "d"] {
            shares.set(&user(name), 1, start);
        }
        shares.look(user("c"), 0, start);
        shares.look(user("d"), 0, start);
        assert_eq!(shares.take(start + RENEWAL, 3), [user("c"), user("d"), user("a")]);
        shares.change_all();
        assert_eq!(shares.take(start, 9), ["a", "b", "c", "d"].map(user));
    }
}
