//! How many answers the unauthenticated get: a fixed table, however many sources there are.
//!
//! A source is hashed into one cell of each of two rows, and is answered while either has room: under
//! a flood from spoofed sources an honest one is refused only if both of its cells are flooded. Over
//! all sources a total holds; it is what bounds the relay's part in an amplification attack.

use std::net::IpAddr;
use std::time::Duration;

use ahash::RandomState;

use crate::settings::AnswerLimits;
use crate::time::Monotonic;

/// Cells in a row: 256 KiB for both rows together.
const CELLS: usize = 1 << 14;
/// A source may have this much of its rate at once.
const BURST: Duration = Duration::from_secs(1);

/// The budget of one worker.
#[derive(Debug)]
pub struct AnswerBudget {
    limits: AnswerLimits,
    /// When each cell's next answer would be due, had all before kept to the rate.
    rows: [Box<[Monotonic]>; 2],
    total: Monotonic,
    hashers: [RandomState; 2],
}

impl AnswerBudget {
    /// A full budget. `seed` keeps outsiders from choosing their cells.
    pub fn new(limits: AnswerLimits, seed: u64) -> Self {
        let row = || vec![Monotonic::default(); CELLS].into_boxed_slice();
        let hasher = |n| RandomState::with_seeds(seed, n, seed.rotate_left(32), !n);
        Self { limits, rows: [row(), row()], total: Monotonic::default(), hashers: [hasher(1), hasher(2)] }
    }

    /// Goes on under other limits.
    pub fn set_limits(&mut self, limits: AnswerLimits) {
        self.limits = limits;
    }

    /// Takes one answer to `source` out of the budget, if there is one. An IPv6 source is its /64.
    pub fn allow(&mut self, now: Monotonic, source: IpAddr) -> bool {
        let source = match source {
            IpAddr::V4(ip) => u64::from(ip.to_bits()),
            IpAddr::V6(ip) => (ip.to_bits() >> 64) as u64 | 1 << 63,
        };
        let Self { limits, rows, total, hashers } = self;
        if !has_room(*total, now, limits.total_per_second) {
            return false;
        }
        let mut allowed = false;
        for (row, hasher) in rows.iter_mut().zip(hashers) {
            let cell = hasher.hash_one(source) as usize % CELLS;
            if let Some(due) = row.get_mut(cell)
                && has_room(*due, now, limits.per_source_per_second)
            {
                take(due, now, limits.per_source_per_second);
                allowed = true;
            }
        }
        if allowed {
            take(total, now, limits.total_per_second);
        }
        allowed
    }
}

/// Whether one more answer keeps the cell within its burst.
fn has_room(due: Monotonic, now: Monotonic, per_second: u32) -> bool {
    due.max(now).after(interval(per_second)) <= now.after(BURST)
}

fn take(due: &mut Monotonic, now: Monotonic, per_second: u32) {
    *due = (*due).max(now).after(interval(per_second));
}

fn interval(per_second: u32) -> Duration {
    BURST / per_second.max(1)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const START: Monotonic = Monotonic::from_nanos(10_000_000_000);
    const LIMITS: AnswerLimits = AnswerLimits { per_source_per_second: 10, total_per_second: 1000 };

    fn source(n: u32) -> IpAddr {
        IpAddr::V4(Ipv4Addr::from_bits(n))
    }

    #[test]
    fn a_source_has_its_rate_and_no_more() {
        let mut budget = AnswerBudget::new(LIMITS, 7);
        let answered = |budget: &mut AnswerBudget, now| (0..100).filter(|_| budget.allow(now, source(1))).count();
        assert_eq!(answered(&mut budget, START), 10);
        assert_eq!(answered(&mut budget, START.after(Duration::from_millis(500))), 5);
        assert_eq!(answered(&mut budget, START.after(Duration::from_secs(60))), 10);
    }

    #[test]
    fn one_ipv6_network_is_one_source() {
        let mut budget = AnswerBudget::new(LIMITS, 7);
        let host = |n: u128| IpAddr::V6((0x2001_0db8_u128 << 96 | n).into());
        assert_eq!((0..100).filter(|n| budget.allow(START, host(*n))).count(), 10);
        assert!(budget.allow(START, IpAddr::V6((0x2001_0db9_u128 << 96).into())));
    }

    #[test]
    fn a_flood_of_sources_gets_the_total_and_no_more() {
        let mut budget = AnswerBudget::new(LIMITS, 7);
        assert_eq!((0..100_000).filter(|n| budget.allow(START, source(*n))).count(), 1000);
    }

    #[test]
    fn an_honest_source_is_rarely_refused_beside_a_flooding_one() {
        let generous = AnswerLimits { per_source_per_second: 10, total_per_second: u32::MAX };
        let mut refused = 0;
        for seed in 0..200 {
            let mut budget = AnswerBudget::new(generous, seed);
            for flooding in 0..100 {
                for _ in 0..100 {
                    budget.allow(START, source(flooding));
                }
            }
            refused += u32::from(!budget.allow(START, source(9_999_999)));
        }
        assert_eq!(refused, 0);
    }
}
