use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::settings::{AnswerLimits, Quota};

const START: Monotonic = Monotonic::from_nanos(1_000_000_000);
const FIRST: u16 = 50_000;
const LAST: u16 = 50_031;

fn ledger() -> Ledger {
    Ledger::new(FIRST..=LAST)
}

fn user(n: u8) -> UserId {
    UserId::long_term(&format!("user-{n}"))
}

/// Two users reach the total before all three reach their own.
fn limits() -> Limits {
    Limits {
        user: Quota { allocations: 3, permissions: 5, channels: 4, bits_per_second: None },
        total: Quota { allocations: 7, permissions: 12, channels: 9, bits_per_second: None },
        answers: AnswerLimits { per_source_per_second: 1, total_per_second: 1 },
    }
}

fn free(ledger: &Ledger, family: Family) -> usize {
    std::iter::from_fn(|| ledger.take_port(family, PortKind::Any, 0))
        .collect::<Vec<_>>()
        .into_iter()
        .map(|port| ledger.release_port(family, port))
        .count()
}

fn in_use(ledger: &Ledger, family: Family) -> Vec<u16> {
    (FIRST..=LAST).filter(|port| ledger.in_use(family, RelayPort::new(*port))).collect()
}

#[test]
fn a_reserved_port_is_taken_but_nobody_listens_there() {
    let ledger = ledger();
    let port = ledger.take_port(Family::V6, PortKind::EvenAndNext, 3).unwrap();
    let next = port.next().unwrap();
    ledger.reserve([1; 8], Family::V6, next, user(1), START.after(Duration::from_secs(30)));
    assert_eq!(in_use(&ledger, Family::V6), [port.get()]);
    assert_eq!(in_use(&ledger, Family::V4), [0; 0], "families have ports of their own");
    assert_eq!(free(&ledger, Family::V6), 30);

    assert_eq!(ledger.redeem([1; 8], &user(1), START), Some((Family::V6, next)));
    assert_eq!(in_use(&ledger, Family::V6), [port.get(), next.get()]);
    assert_eq!(ledger.redeem([1; 8], &user(1), START), None, "a token is good once");
}

#[test]
fn a_token_is_good_for_its_user_until_its_time() {
    let ledger = ledger();
    let until = START.after(Duration::from_secs(30));
    let port = ledger.take_port(Family::V4, PortKind::EvenAndNext, 0).unwrap();
    ledger.reserve([1; 8], Family::V4, port.next().unwrap(), user(1), until);
    assert_eq!(ledger.redeem([2; 8], &user(1), START), None);
    assert_eq!(ledger.redeem([1; 8], &user(2), START), None);
    assert_eq!(ledger.redeem([1; 8], &user(1), until), None);
    ledger.expire(START.after(Duration::from_secs(29)));
    assert_eq!(free(&ledger, Family::V4), 30);
    ledger.expire(until);
    assert_eq!(free(&ledger, Family::V4), 31);
}

#[test]
fn a_token_that_comes_twice_leaks_no_port() {
    let ledger = ledger();
    for seconds in [30, 31] {
        let port = ledger.take_port(Family::V4, PortKind::EvenAndNext, 0).unwrap();
        let until = START.after(Duration::from_secs(seconds));
        ledger.reserve([1; 8], Family::V4, port.next().unwrap(), user(1), until);
        ledger.release_port(Family::V4, port);
    }
    assert_eq!(free(&ledger, Family::V4), 31);
    ledger.expire(START.after(Duration::from_secs(30)));
    assert_eq!(free(&ledger, Family::V4), 31, "the time of the first one is over, and it is gone already");
    ledger.expire(START.after(Duration::from_secs(31)));
    assert_eq!(free(&ledger, Family::V4), 32);
}

#[test]
fn one_user_cannot_keep_all_ports_waiting() {
    let ledger = Ledger::new(50_000..=59_999);
    for n in 0..5_000_u64 {
        let port = ledger.take_port(Family::V4, PortKind::EvenAndNext, n).unwrap();
        let until = START.after(Duration::from_secs(30) + Duration::from_nanos(n));
        ledger.reserve(n.to_be_bytes(), Family::V4, port.next().unwrap(), user(1), until);
        ledger.release_port(Family::V4, port);
    }
    assert_eq!(free(&ledger, Family::V4), 10_000 - 64);
    assert_eq!(ledger.redeem(4_935_u64.to_be_bytes(), &user(1), START), None, "the oldest went");
    assert!(ledger.redeem(4_936_u64.to_be_bytes(), &user(1), START).is_some());
    ledger.expire(START.after(Duration::from_secs(60)));
    assert_eq!(free(&ledger, Family::V4), 9_999);
}

#[test]
fn every_limit_is_reached_exactly() {
    let ledger = ledger();
    let take = |n| ledger.take_allocation(&user(n), &limits());
    let usages: Vec<_> = [1, 1, 1, 2, 2, 2, 3].map(|n| take(n).unwrap()).into();
    assert_eq!(take(1).unwrap_err(), QuotaReached::User);
    assert_eq!(take(3).unwrap_err(), QuotaReached::Total);
    assert_eq!(take(4).unwrap_err(), QuotaReached::Total);
    assert_eq!(ledger.users(), 3, "who was refused leaves no trace");

    assert!(!ledger.take_peers(&usages[0], 6, 0, &limits()), "more than the user may have");
    assert!(ledger.take_peers(&usages[0], 5, 0, &limits()), "none of the six was counted");
    assert!(!ledger.take_peers(&usages[3], 5, 5, &limits()), "channels stand in the way");
    assert!(ledger.take_peers(&usages[3], 5, 4, &limits()), "and no permission was counted for it");
    assert!(!ledger.take_peers(&usages[6], 3, 0, &limits()), "more than all may have");
    assert!(ledger.take_peers(&usages[6], 2, 0, &limits()), "and the user was not charged");
    assert!(ledger.take_peers(&usages[0], 0, 0, &limits()), "a refresh takes nothing");
}

#[test]
fn users_share_the_total_rate_and_not_their_own() {
    let ledger = ledger();
    let mut limits = limits();
    limits.user.bits_per_second = Some(8_000);
    limits.total.bits_per_second = Some(12_000);
    let [first, second] = [1, 2].map(|n| ledger.take_allocation(&user(n), &limits).unwrap());
    assert!(ledger.meter(&first, START, 1_000, &limits));
    assert!(!ledger.meter(&first, START, 1, &limits), "its own rate is used up");
    assert!(ledger.meter(&second, START, 500, &limits));
    assert!(!ledger.meter(&second, START, 1, &limits), "the rate of all is used up");
}

#[test]
fn a_thread_that_died_with_the_books_open_does_not_close_them() {
    let ledger = ledger();
    std::thread::scope(|scope| {
        let died = scope.spawn(|| {
            let _open = ledger.books();
            panic!("with the books open");
        });
        assert!(died.join().is_err());
    });
    assert!(ledger.books.is_poisoned());
    assert!(ledger.take_port(Family::V4, PortKind::Any, 0).is_some());
}

#[test]
fn threads_never_get_the_same_port_nor_more_than_the_quota() {
    let ledger = Ledger::new(50_000..=50_999);
    let limits = Limits { user: Quota { allocations: 200, ..limits().user }, ..limits() };
    let limits = Limits { total: Quota { allocations: 300, ..limits.total }, ..limits };
    let taken: Vec<_> = std::thread::scope(|scope| {
        let workers = [1, 2, 3, 4].map(|seed: u64| {
            let (ledger, limits) = (&ledger, &limits);
            scope.spawn(move || {
                let mut taken = vec![];
                for n in 0..250 {
                    taken.extend(ledger.take_port(Family::V4, PortKind::Any, seed << 32 | n));
                    let _counted = ledger.take_allocation(&user(1), limits);
                }
                taken
            })
        });
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    });
    let distinct: std::collections::BTreeSet<_> = taken.iter().collect();
    assert_eq!((taken.len(), distinct.len()), (1_000, 1_000));
    assert_eq!(ledger.take_allocation(&user(1), &limits).unwrap_err(), QuotaReached::User);
    for _ in 0..100 {
        ledger.take_allocation(&user(2), &limits).unwrap();
    }
    assert_eq!(ledger.take_allocation(&user(2), &limits).unwrap_err(), QuotaReached::Total);
}

/// What somebody may do to the books.
#[derive(Clone, Debug)]
enum Step {
    Allocate { user: u8, family: Family, kind: PortKind, random: u64 },
    Redeem { nth: usize, user: u8 },
    Permit { nth: usize, permissions: u32, channels: u32 },
    Close { nth: usize },
    Cancel { nth: usize },
    Wait { seconds: u64 },
}

fn step() -> impl Strategy<Value = Step> {
    let family = prop_oneof![Just(Family::V4), Just(Family::V6)];
    let kind = prop_oneof![Just(PortKind::Any), Just(PortKind::Even), Just(PortKind::EvenAndNext)];
    prop_oneof![
        4 => (1..=4u8, family, kind, any::<u64>())
            .prop_map(|(user, family, kind, random)| Step::Allocate { user, family, kind, random }),
        2 => (any::<usize>(), 1..=4u8).prop_map(|(nth, user)| Step::Redeem { nth, user }),
        2 => (any::<usize>(), 0..4u32, 0..3u32)
            .prop_map(|(nth, permissions, channels)| Step::Permit { nth, permissions, channels }),
        2 => any::<usize>().prop_map(|nth| Step::Close { nth }),
        1 => any::<usize>().prop_map(|nth| Step::Cancel { nth }),
        1 => (0..20u64).prop_map(|seconds| Step::Wait { seconds }),
    ]
}

/// An allocation as the model has it.
struct Held {
    user: u8,
    family: Family,
    port: RelayPort,
    usage: Arc<Usage>,
    permissions: u32,
    channels: u32,
}

struct Waiting {
    user: u8,
    family: Family,
    port: RelayPort,
    until: Monotonic,
}

/// The books and a model of them that knows no structure, only what somebody has.
struct Both {
    ledger: Ledger,
    now: Monotonic,
    held: Vec<Held>,
    waiting: BTreeMap<[u8; 8], Waiting>,
    tokens: u64,
}

impl Both {
    fn take_allocation(&self, of: u8) -> Option<Arc<Usage>> {
        let has = self.held.iter().filter(|held| held.user == of).count();
        let expected = match (has < 3, self.held.len() < 7) {
            (false, _) => Some(QuotaReached::User),
            (true, false) => Some(QuotaReached::Total),
            (true, true) => None,
        };
        let taken = self.ledger.take_allocation(&user(of), &limits());
        assert_eq!(taken.as_ref().err().copied(), expected);
        taken.ok()
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Allocate { user: of, family, kind, random } => {
                let Some(usage) = self.take_allocation(of) else { return };
                let Some(port) = self.ledger.take_port(family, kind, random) else {
                    return self.ledger.release_allocation(&usage);
                };
                if kind == PortKind::EvenAndNext {
                    self.tokens += 1;
                    let (token, port) = (self.tokens.to_be_bytes(), port.next().unwrap());
                    let until = self.now.after(Duration::from_secs(30));
                    self.ledger.reserve(token, family, port, user(of), until);
                    self.waiting.insert(token, Waiting { user: of, family, port, until });
                }
                self.held.push(Held { user: of, family, port, usage, permissions: 0, channels: 0 });
            }
            Step::Redeem { nth, user: of } => {
                let Some(token) = self.token(nth) else { return };
                let Some(usage) = self.take_allocation(of) else { return };
                let waiting = &self.waiting[&token];
                let good = waiting.user == of && waiting.until > self.now;
                let redeemed = self.ledger.redeem(token, &user(of), self.now);
                assert_eq!(redeemed, good.then_some((waiting.family, waiting.port)));
                let Some((family, port)) = redeemed else {
                    return self.ledger.release_allocation(&usage);
                };
                self.waiting.remove(&token);
                self.held.push(Held { user: of, family, port, usage, permissions: 0, channels: 0 });
            }
            Step::Permit { nth, permissions, channels } => {
                let Some(nth) = nth.checked_rem(self.held.len()) else { return };
                let of = self.held[nth].user;
                let sum = |of: Option<u8>| {
                    let held = self.held.iter().filter(|held| of.is_none_or(|user| held.user == user));
                    held.fold((0, 0), |sum, held| (sum.0 + held.permissions, sum.1 + held.channels))
                };
                let fits = |(has, bound): (u32, u32), quota: Quota| {
                    (permissions == 0 || has + permissions <= quota.permissions)
                        && (channels == 0 || bound + channels <= quota.channels)
                };
                let expected = fits(sum(Some(of)), limits().user) && fits(sum(None), limits().total);
                let held = &mut self.held[nth];
                let taken = self.ledger.take_peers(&held.usage, permissions, channels, &limits());
                assert_eq!(taken, expected);
                if taken {
                    held.permissions += permissions;
                    held.channels += channels;
                }
            }
            Step::Close { nth } => {
                if let Some(nth) = nth.checked_rem(self.held.len()) {
                    self.close(nth);
                }
            }
            Step::Cancel { nth } => {
                if let Some(token) = self.token(nth) {
                    self.ledger.cancel_reservation(token);
                    self.waiting.remove(&token);
                }
            }
            Step::Wait { seconds } => {
                self.now = self.now.after(Duration::from_secs(seconds));
                self.ledger.expire(self.now);
                self.waiting.retain(|_, waiting| waiting.until > self.now);
            }
        }
    }

    fn close(&mut self, nth: usize) {
        let held = self.held.swap_remove(nth);
        self.ledger.release_peers(&held.usage, held.permissions, held.channels);
        self.ledger.release_allocation(&held.usage);
        self.ledger.release_port(held.family, held.port);
    }

    fn token(&self, nth: usize) -> Option<[u8; 8]> {
        self.waiting.keys().nth(nth.checked_rem(self.waiting.len())?).copied()
    }

    fn compare(&self) {
        for family in Family::BOTH {
            let mut held: Vec<_> =
                self.held.iter().filter(|held| held.family == family).map(|held| held.port.get()).collect();
            held.sort_unstable();
            let waiting = self.waiting.values().filter(|waiting| waiting.family == family).count();
            assert_eq!(in_use(&self.ledger, family), held);
            assert_eq!(free(&self.ledger, family), 32 - held.len() - waiting);
        }
        let users: std::collections::BTreeSet<_> = self.held.iter().map(|held| held.user).collect();
        assert_eq!(self.ledger.users(), users.len());
    }
}

proptest! {
    #[test]
    fn the_books_agree_with_a_simple_model_and_nothing_leaks(
        steps in proptest::collection::vec(step(), 0..120)
    ) {
        let mut both =
            Both { ledger: ledger(), now: START, held: vec![], waiting: BTreeMap::new(), tokens: 0 };
        for step in steps {
            both.take(step);
            both.compare();
        }
        while !both.held.is_empty() {
            both.close(0);
        }
        both.take(Step::Wait { seconds: 30 });
        both.compare();
        prop_assert_eq!(both.ledger.users(), 0);
        // What is left of the totals shows in what can be taken again.
        let usages: Vec<_> = [1, 1, 1, 2, 2, 2, 3].into_iter().filter_map(|of| both.take_allocation(of)).collect();
        prop_assert_eq!(usages.len(), 7);
        prop_assert!(both.ledger.take_peers(&usages[0], 5, 4, &limits()));
        prop_assert!(both.ledger.take_peers(&usages[3], 5, 4, &limits()));
        prop_assert!(both.ledger.take_peers(&usages[6], 2, 1, &limits()));
    }
}
