//! The users who count: who has allocations, and who still has bandwidth to pay for.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::usage::Usage;
use crate::credentials::UserId;
use crate::time::Monotonic;

/// How many users without an allocation are remembered. What one has to pay is at most a second of its
/// rate, so this takes 65,536 users of their own who all left within that second. Then the one goes who
/// has the least to pay: what can be won by it is less than what any of the others had to spend.
const MOST_IN_DEBT: usize = 65_536;
/// How many users have to be told of before those who end their last allocation are left out. So many
/// wait only where nobody has asked for long.
const MOST_CHANGED: usize = 65_536;

/// Users by name. One who ends the last allocation is remembered until what passed is paid for:
/// else a new allocation would bring a new second of bandwidth.
#[derive(Debug, Default)]
pub(super) struct Users {
    by_name: BTreeMap<UserId, Arc<Usage>>,
    /// Who left without having paid, and when that will be so.
    in_debt: BTreeSet<(Monotonic, UserId)>,
    /// Whose allocations became more or fewer since somebody asked: nobody's until somebody does.
    changed: Option<BTreeSet<UserId>>,
}

impl Users {
    /// What `user` has: nothing yet, if it is not known.
    pub(super) fn usage_of(&self, user: &UserId) -> Arc<Usage> {
        self.by_name.get(user).cloned().unwrap_or_else(|| Arc::new(Usage::of(user.clone())))
    }

    /// Writes down a user who has one allocation more.
    pub(super) fn remember(&mut self, usage: &Arc<Usage>) {
        let Some(user) = usage.user() else { return };
        if let Some(changed) = &mut self.changed {
            changed.insert(user.clone());
        }
        self.in_debt.remove(&(usage.meter.paid_at(), user.clone()));
        self.by_name.entry(user.clone()).or_insert_with(|| Arc::clone(usage));
    }

    /// An allocation of a user ended, and so many are `left`.
    pub(super) fn release(&mut self, usage: &Usage, left: u32) {
        let Some(user) = usage.user() else { return };
        if let Some(changed) = self.changed.as_mut().filter(|it| left > 0 || it.len() < MOST_CHANGED) {
            changed.insert(user.clone());
        }
        if left == 0 {
            self.leave(usage, user);
        }
    }

    /// How many allocations a user has.
    pub(super) fn allocations_of(&self, user: &UserId) -> u32 {
        self.by_name.get(user).map_or(0, |usage| usage.allocations())
    }

    /// Up to `max` users whose allocations became more or fewer since they were told, and how many they have.
    pub(super) fn take_changed(&mut self, max: usize) -> Vec<(UserId, u32)> {
        let changed = self.changed.get_or_insert_with(|| self.by_name.keys().cloned().collect());
        let taken: Vec<_> = std::iter::from_fn(|| changed.pop_first()).take(max).collect();
        taken.into_iter().map(|user| (user.clone(), self.allocations_of(&user))).collect()
    }

    fn leave(&mut self, usage: &Usage, user: &UserId) {
        let paid_at = usage.meter.paid_at();
        if paid_at == Monotonic::default() {
            self.by_name.remove(user);
            return;
        }
        self.in_debt.insert((paid_at, user.clone()));
        if self.in_debt.len() > MOST_IN_DEBT {
            self.forget_first();
        }
    }

    /// Forgets who has paid and has nothing.
    pub(super) fn forget_paid(&mut self, now: Monotonic) {
        while self.in_debt.first().is_some_and(|(paid_at, _)| *paid_at <= now) {
            self.forget_first();
        }
    }

    /// How many users have allocations.
    pub(super) fn with_allocations(&self) -> usize {
        self.by_name.len() - self.in_debt.len()
    }

    fn forget_first(&mut self) {
        if let Some((_, user)) = self.in_debt.pop_first() {
            self.by_name.remove(&user);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Monotonic = Monotonic::from_nanos(5_000_000_000);

    /// A user who left with something to pay, the more the higher `n`.
    fn left(users: &mut Users, n: usize) -> UserId {
        let user = UserId::long_term(&format!("user-{n}"));
        let usage = Arc::new(Usage::of(user.clone()));
        users.remember(&usage);
        assert!(usage.meter.allow(NOW, 1 + n, Some(8_000_000)));
        users.release(&usage, 0);
        user
    }

    #[test]
    fn who_has_the_least_to_pay_is_forgotten_first() {
        let mut users = Users::default();
        let [least, more] = [0, 1].map(|n| left(&mut users, n));
        for n in 2..=MOST_IN_DEBT {
            left(&mut users, n);
        }
        assert_eq!(users.by_name.len(), MOST_IN_DEBT);
        assert!(!users.by_name.contains_key(&least));
        assert!(users.by_name.contains_key(&more));
    }

    #[test]
    fn who_has_paid_is_forgotten() {
        let mut users = Users::default();
        let user = left(&mut users, 999);
        users.forget_paid(NOW);
        assert!(users.by_name.contains_key(&user));
        users.forget_paid(NOW.after(std::time::Duration::from_millis(1)));
        assert_eq!((users.by_name.len(), users.in_debt.len()), (0, 0));
    }

    #[test]
    fn who_comes_back_owes_what_it_owed_and_is_not_forgotten() {
        let mut users = Users::default();
        let user = left(&mut users, 999);
        let usage = users.usage_of(&user);
        users.remember(&usage);
        users.forget_paid(NOW.after(std::time::Duration::from_secs(9)));
        assert_eq!((users.with_allocations(), users.by_name.len()), (1, 1));
        assert_eq!(usage.meter.paid_at(), NOW.after(std::time::Duration::from_millis(1)));
    }
}
