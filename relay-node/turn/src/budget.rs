//! The budget for answers to those who proved no credentials: what bounds amplification.

use std::fmt;
use std::net::IpAddr;

use ahash::RandomState;

use crate::settings::AnswerLimits;
use crate::time::Monotonic;

const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// Cells in each row. A power of two, so that a part of the hash is an index.
const CELLS: usize = 1 << 15;

/// Counts answers against a limit for each source and one for all together.
///
/// An IPv4 address or an IPv6 /64 is a source. Memory is the same for any number of them (512 KiB):
/// each has a cell in either of two rows, found by a keyed hash, and shares it with others. It is charged
/// for what the less used of its two cells says, so one source never gets more than its limit. Somebody
/// else gets less only where both cells are shared with sources at their limits: with 1,000 such
/// sources that is one in about a thousand.
///
/// In a flood from 100,000 spoofed sources each of them stays below its own limit, and the limit for all
/// together is what bounds the answers: first come, first served. Authenticated requests and relayed data
/// need no budget, so live allocations go on as they were; a new client gets its challenge with
/// one of its retransmissions.
pub struct AnswerBudget {
    rows: [Box<[Rate]>; 2],
    total: Rate,
    source_cost: Option<u64>,
    total_cost: Option<u64>,
    hasher: RandomState,
}

impl AnswerBudget {
    /// A full budget. `seed` has to be secret, lest somebody finds sources that share cells.
    pub fn new(limits: AnswerLimits, seed: u64) -> Self {
        let row = || vec![Rate::default(); CELLS].into_boxed_slice();
        Self {
            rows: [row(), row()],
            total: Rate::default(),
            source_cost: cost(limits.per_source_per_second),
            total_cost: cost(limits.total_per_second),
            hasher: RandomState::with_seeds(seed, !seed, seed.rotate_left(32), 0),
        }
    }

    /// Goes on with other limits.
    pub fn set_limits(&mut self, limits: AnswerLimits) {
        self.source_cost = cost(limits.per_source_per_second);
        self.total_cost = cost(limits.total_per_second);
    }

    /// Takes one answer to `source` out of the budget, if there is one left.
    pub fn allow(&mut self, now: Monotonic, source: IpAddr) -> bool {
        let (Some(source_cost), Some(total_cost)) = (self.source_cost, self.total_cost) else {
            return false;
        };
        let hash = self.hasher.hash_one(network(source)) as usize;
        let [first, second] = &mut self.rows;
        let (Some(first), Some(second)) =
            (first.get_mut(hash % CELLS), second.get_mut((hash / CELLS) % CELLS))
        else {
            return false;
        };
        // Who is over its own limit takes nothing from the others' share, nor the other way round.
        let (Some(source_rate), Some(total)) =
            ((*first).min(*second).charged(now, source_cost), self.total.charged(now, total_cost))
        else {
            return false;
        };
        *first = (*first).max(source_rate);
        *second = (*second).max(source_rate);
        self.total = total;
        true
    }
}

impl fmt::Debug for AnswerBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnswerBudget")
            .field("source_cost", &self.source_cost)
            .field("total_cost", &self.total_cost)
            .finish_non_exhaustive()
    }
}

/// A rate by the generic cell rate algorithm: when, in nanoseconds, all that was let through would be
/// paid for at exactly the limit.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Rate(u64);

impl Rate {
    /// The rate after one more, which may run a second's worth ahead of the clock.
    fn charged(self, now: Monotonic, cost: u64) -> Option<Self> {
        let paid = self.0.max(now.as_nanos()).saturating_add(cost);
        (paid - now.as_nanos() <= NANOS_PER_SECOND).then_some(Self(paid))
    }
}

/// Nanoseconds for each; none where there may be no answer at all.
fn cost(per_second: u32) -> Option<u64> {
    NANOS_PER_SECOND.checked_div(per_second.into())
}

/// What counts as one source.
fn network(source: IpAddr) -> (u8, u64) {
    match source.to_canonical() {
        IpAddr::V4(v4) => (4, v4.to_bits().into()),
        IpAddr::V6(v6) => (6, (v6.to_bits() >> 64) as u64),
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};
    use std::time::Duration;

    use super::*;

    const START: Monotonic = Monotonic::from_nanos(5_000_000_000);

    fn budget(per_source: u32, total: u32) -> AnswerBudget {
        AnswerBudget::new(AnswerLimits { per_source_per_second: per_source, total_per_second: total }, 42)
    }

    fn v4(number: u32) -> IpAddr {
        Ipv4Addr::from_bits(number).into()
    }

    fn allowed(budget: &mut AnswerBudget, now: Monotonic, source: IpAddr, tries: u32) -> u32 {
        (0..tries).filter(|_| budget.allow(now, source)).count() as u32
    }

    #[test]
    fn gives_a_source_its_rate_and_no_more() {
        let mut budget = budget(10, 1_000);
        assert_eq!(allowed(&mut budget, START, v4(1), 100), 10);
        assert_eq!(allowed(&mut budget, START, v4(2), 100), 10, "another source has its own");
        let half = START.after(Duration::from_millis(500));
        assert_eq!(allowed(&mut budget, half, v4(1), 100), 5);
        let ages = START.after(Duration::from_secs(86_400));
        assert_eq!(allowed(&mut budget, ages, v4(1), 100), 10, "nothing is saved up");
    }

    #[test]
    fn one_source_does_not_use_up_the_total() {
        let mut budget = budget(10, 20);
        assert_eq!(allowed(&mut budget, START, v4(1), 1_000), 10);
        assert_eq!(allowed(&mut budget, START, v4(2), 1_000), 10);
        assert_eq!(allowed(&mut budget, START, v4(3), 1_000), 0, "the total is used up");
        let later = START.after(Duration::from_millis(50));
        assert_eq!(
            allowed(&mut budget, later, v4(3), 1_000),
            1,
            "and refused answers cost the source nothing"
        );
    }

    #[test]
    fn an_ipv6_network_of_64_bits_is_one_source() {
        let mut budget = budget(10, 1_000);
        let host =
            |net: u128, host: u128| IpAddr::V6(Ipv6Addr::from_bits(0x2001_0db8 << 96 | net << 64 | host));
        assert_eq!((0..100).filter(|n| budget.allow(START, host(1, *n))).count(), 10);
        assert!(budget.allow(START, host(2, 1)));
    }

    #[test]
    fn an_ipv4_mapped_address_is_its_ipv4_address() {
        let mut budget = budget(1, 1_000);
        assert!(budget.allow(START, "::ffff:192.0.2.1".parse().unwrap()));
        assert!(!budget.allow(START, "192.0.2.1".parse().unwrap()));
    }

    #[test]
    fn none_means_none_and_limits_can_change() {
        let mut budget = budget(0, 1_000);
        assert!(!budget.allow(START, v4(1)));
        budget.set_limits(AnswerLimits { per_source_per_second: 1, total_per_second: 0 });
        assert!(!budget.allow(START, v4(1)));
        budget.set_limits(AnswerLimits { per_source_per_second: 1, total_per_second: 1 });
        assert!(budget.allow(START, v4(1)));
    }

    #[test]
    fn a_flood_from_many_sources_is_held_to_the_total() {
        let mut budget = budget(200, 20_000);
        let mut answers = 0;
        for n in 0..400_000_u32 {
            // 100,000 sources in one second, four times each.
            let now = START.after(Duration::from_nanos(u64::from(n) * 2_500));
            answers += u32::from(budget.allow(now, v4(0x0a00_0000 + n % 100_000)));
        }
        assert!((20_000..=40_000).contains(&answers), "{answers}: a second's worth at once and one in time");
    }

    #[test]
    fn a_flood_leaves_a_quiet_source_its_own_share() {
        // No limit for all together, so that only shared cells could refuse.
        let mut budget = budget(200, u32::MAX);
        for n in 0..400_000_u32 {
            budget.allow(START, v4(0x0a00_0000 + n % 100_000));
        }
        let refused = (0..10_000).filter(|n| !budget.allow(START, v4(0xc000_0000 + n))).count();
        assert_eq!(refused, 0);
    }

    #[test]
    fn sources_over_their_limit_hardly_touch_others() {
        let mut budget = budget(50, u32::MAX);
        for n in 0..1_000_u32 {
            allowed(&mut budget, START, v4(0x0a00_0000 + n), 200);
        }
        let refused = (0..10_000).filter(|n| !budget.allow(START, v4(0xc000_0000 + n))).count();
        assert!(refused < 50, "{refused} of 10,000");
    }
}
