use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::settings::{AnswerLimits, Quota};

const START: Monotonic = Monotonic::from_nanos(1_000_000_000);
const FIRST: u16 = 50_000;
const LAST: u16 = 50_031;

fn ledger() -> Arc<Ledger> {
    on_ports(FIRST..=LAST)
}

fn on_ports(ports: RangeInclusive<u16>) -> Arc<Ledger> {
    let same = |ip: &str| ip.parse().ok().map(|ip| RelayAddress { bind: ip, advertised: ip });
    Arc::new(Ledger::new(PerFamily { v4: same("203.0.113.1"), v6: same("2001:db8::1") }, ports))
}

fn user(n: u8) -> UserId {
    UserId::long_term(&format!("user-{n}"))
}

/// Two users reach the total before all three reach their own.
fn limits() -> Limits {
    Limits {
        user: Quota { allocations: 3, permissions: 5, channels: 4, bits_per_second: None },
        total: Quota { allocations: 7, permissions: 12, channels: 9, bits_per_second: None },
        answers: AnswerLimits::default(),
    }
}

fn take(ledger: &Ledger, family: AddressFamily) -> Option<Port> {
    ledger.take_port(family, PortKind::Any, 0).map(|(port, _)| port)
}

/// An even port and the next one.
fn take_pair(ledger: &Ledger, random: u64) -> (Port, Port) {
    let (port, next) = ledger.take_port(AddressFamily::V4, PortKind::EvenAndNext, random).unwrap();
    (port, next.unwrap())
}

fn free(ledger: &Ledger, family: AddressFamily) -> usize {
    std::iter::from_fn(|| take(ledger, family)).collect::<Vec<_>>().len()
}

/// The ports that somebody listens on.
fn held(ledger: &Ledger, family: AddressFamily) -> Vec<u16> {
    (FIRST..=LAST).filter(|port| ledger.holder(family, RelayPort::new(*port)).is_some()).collect()
}

const HOLDER: Holder = Holder { worker: WorkerId(65_535), index: u32::MAX };

#[test]
fn a_holder_is_found_while_it_has_the_port() {
    let ledger = ledger();
    let port = take(&ledger, AddressFamily::V6).unwrap();
    let number = port.number();
    assert_eq!(ledger.holder(AddressFamily::V6, number), None, "its socket is not open yet");
    for holder in [HOLDER, Holder { worker: WorkerId(0), index: 0 }, Holder { worker: WorkerId(3), index: 7 }]
    {
        port.is_held_by(holder);
        assert_eq!(ledger.holder(AddressFamily::V6, number), Some(holder));
    }
    assert_eq!(ledger.holder(AddressFamily::V4, number), None, "families have ports of their own");
    assert_eq!(ledger.holder(AddressFamily::V6, RelayPort::new(FIRST - 1)), None);
    assert_eq!(ledger.holder(AddressFamily::V6, RelayPort::new(LAST + 1)), None);
    drop(port);
    assert_eq!(ledger.holder(AddressFamily::V6, number), None);
}

#[test]
fn a_family_without_an_address_has_no_ports() {
    let ledger = Ledger::new(RelayAddresses::default(), FIRST..=LAST);
    assert!(take(&ledger, AddressFamily::V4).is_none());
    assert_eq!(ledger.relay_address(AddressFamily::V4), None);
}

#[test]
fn a_token_is_good_once_and_for_its_user_until_its_time() {
    let ledger = ledger();
    let until = START.after(Duration::from_secs(30));
    let (_port, next) = take_pair(&ledger, 0);
    let number = next.number();
    ledger.reserve([1; 8], next, user(1), until);
    assert!(ledger.redeem([2; 8], &user(1), START).is_none());
    assert!(ledger.redeem([1; 8], &user(2), START).is_none());
    assert!(ledger.redeem([1; 8], &user(1), until).is_none());
    let (redeemed, kept_until) = ledger.redeem([1; 8], &user(1), START).unwrap();
    assert_eq!(kept_until, until);
    assert_eq!((redeemed.family(), redeemed.number()), (AddressFamily::V4, number));
    assert!(ledger.redeem([1; 8], &user(1), START).is_none());
}

#[test]
fn users_who_got_or_gave_back_allocations_are_told_of_once() {
    let (ledger, limits) = (ledger(), limits());
    let open = |n| ledger.open_account(&user(n), &limits).unwrap();
    let mut accounts = vec![open(1), open(1), open(2)];
    let changed = || ledger.changed_users(10);
    assert_eq!(changed(), [(user(1), 2), (user(2), 1)], "all who have any, the first time");
    assert_eq!(changed(), []);
    accounts.remove(0);
    accounts.push(open(3));
    accounts.push(ledger.claim_account(&user(3)));
    assert_eq!(changed(), [(user(1), 1), (user(3), 2)]);
    accounts.clear();
    assert_eq!(ledger.changed_users(2), [(user(1), 0), (user(2), 0)], "no more than asked for");
    assert_eq!((changed(), changed()), (vec![(user(3), 0)], vec![]));
    assert_eq!(ledger.allocations_of(&user(3)), 0);
}

#[test]
fn a_reserved_port_is_kept_until_its_time() {
    let ledger = ledger();
    let until = START.after(Duration::from_secs(30));
    let (_port, next) = take_pair(&ledger, 0);
    ledger.reserve([1; 8], next, user(1), until);
    ledger.expire(START.after(Duration::from_secs(29)));
    assert_eq!(free(&ledger, AddressFamily::V4), 30);
    ledger.expire(until);
    assert_eq!(free(&ledger, AddressFamily::V4), 31);
}

#[test]
fn a_token_that_comes_twice_leaks_no_port() {
    let ledger = ledger();
    for seconds in [30, 31] {
        let (_port, next) = take_pair(&ledger, 0);
        ledger.reserve([1; 8], next, user(1), START.after(Duration::from_secs(seconds)));
    }
    assert_eq!(free(&ledger, AddressFamily::V4), 31);
    ledger.expire(START.after(Duration::from_secs(30)));
    assert_eq!(
        free(&ledger, AddressFamily::V4),
        31,
        "the time of the first one is over, and it is gone already"
    );
    ledger.expire(START.after(Duration::from_secs(31)));
    assert_eq!(free(&ledger, AddressFamily::V4), 32);
}

#[test]
fn a_port_is_claimed_by_its_name_and_by_one_only() {
    let ledger = ledger();
    let address = ledger.relay_address(AddressFamily::V6).unwrap();
    let claim = |port| ledger.claim_port(address, RelayPort::new(port));
    let port = claim(FIRST + 1).unwrap();
    assert_eq!(
        (port.address(), port.number(), port.family()),
        (address, RelayPort::new(FIRST + 1), AddressFamily::V6)
    );
    assert_eq!(claim(FIRST + 1).unwrap_err(), PortLoss::Taken);
    for outside in [0, FIRST - 1, LAST + 1, u16::MAX] {
        assert_eq!(claim(outside).unwrap_err(), PortLoss::OutOfRange);
    }
    drop(port);
    assert_eq!(free(&ledger, AddressFamily::V6), 32);
    assert!(claim(FIRST + 1).is_ok());
}

#[test]
fn a_port_on_another_address_is_not_claimed() {
    let ledger = ledger();
    let address = ledger.relay_address(AddressFamily::V4).unwrap();
    let elsewhere = "203.0.113.2".parse().unwrap();
    for other in
        [RelayAddress { bind: elsewhere, ..address }, RelayAddress { advertised: elsewhere, ..address }]
    {
        assert_eq!(ledger.claim_port(other, RelayPort::new(FIRST)).unwrap_err(), PortLoss::AddressGone);
    }
}

#[test]
fn what_is_claimed_counts_and_asks_no_quota() {
    let ledger = ledger();
    let mut accounts: Vec<_> = (0..4).map(|_| ledger.claim_account(&user(1))).collect();
    accounts[0].claim_peers(peers(6, 5));
    assert_eq!(accounts[0].peers(), peers(6, 5));
    assert_eq!(ledger.open_account(&user(1), &limits()).unwrap_err(), QuotaReached::User);
    assert!(!accounts[0].take_peers(peers(1, 0), &limits()));
    let mut other = ledger.open_account(&user(2), &limits()).unwrap();
    assert!(!other.take_peers(peers(5, 5), &limits()), "there are twelve and nine for all");
    accounts.clear();
    assert_eq!(ledger.users(), 1);
    assert!(ledger.open_account(&user(1), &limits()).is_ok());
    assert!(other.take_peers(peers(5, 4), &limits()), "all of it was given back");
}

#[test]
fn what_was_to_be_paid_is_paid_but_no_more_than_there_can_be() {
    let rate = Some(8000);
    let mut limits = limits();
    (limits.user.bits_per_second, limits.total.bits_per_second) = (rate, rate);
    let in_half_a_second = START.after(Duration::from_millis(500));
    for (user_pays, paid_at) in [
        (in_half_a_second, in_half_a_second),
        (Monotonic::from_nanos(u64::MAX), START.after(Duration::from_secs(1))),
    ] {
        let ledger = ledger();
        let account = ledger.claim_account(&user(1));
        account.claim_debts(START, PaidAt { user: user_pays, total: START });
        account.claim_debts(START, PaidAt::default());
        assert_eq!(account.paid_at(&limits), PaidAt { user: paid_at, total: Monotonic::default() });
    }
}

#[test]
fn one_user_cannot_keep_all_ports_waiting() {
    let ledger = on_ports(50_000..=59_999);
    for n in 0..5_000_u64 {
        let (_port, next) = take_pair(&ledger, n);
        let until = START.after(Duration::from_secs(30) + Duration::from_nanos(n));
        ledger.reserve(n.to_be_bytes(), next, user(1), until);
    }
    assert_eq!(free(&ledger, AddressFamily::V4), 10_000 - 64);
    assert!(ledger.redeem(4_935_u64.to_be_bytes(), &user(1), START).is_none(), "the oldest went");
    assert!(ledger.redeem(4_936_u64.to_be_bytes(), &user(1), START).is_some());
    ledger.expire(START.after(Duration::from_secs(60)));
    assert_eq!(free(&ledger, AddressFamily::V4), 10_000);
}

#[test]
fn every_limit_is_reached_exactly() {
    let ledger = ledger();
    let take = |n| ledger.open_account(&user(n), &limits());
    let mut accounts: Vec<_> = [1, 1, 1, 2, 2, 2, 3].map(|n| take(n).unwrap()).into();
    assert_eq!(take(1).unwrap_err(), QuotaReached::User);
    assert_eq!(take(3).unwrap_err(), QuotaReached::Total);
    assert_eq!(take(4).unwrap_err(), QuotaReached::Total);
    assert_eq!(ledger.users(), 3, "who was refused leaves no trace");

    assert!(!accounts[0].take_peers(peers(6, 0), &limits()), "more than the user may have");
    assert!(accounts[0].take_peers(peers(5, 0), &limits()), "none of the six was counted");
    assert!(!accounts[3].take_peers(peers(5, 5), &limits()), "channels stand in the way");
    assert!(accounts[3].take_peers(peers(5, 4), &limits()), "and no permission was counted for it");
    assert!(!accounts[6].take_peers(peers(3, 0), &limits()), "more than all may have");
    assert!(accounts[6].take_peers(peers(2, 0), &limits()), "and the user was not charged");
    assert!(accounts[0].take_peers(peers(0, 0), &limits()), "a refresh takes nothing");
}

#[test]
fn users_share_the_total_rate_and_not_their_own() {
    let ledger = ledger();
    let mut limits = limits();
    // A packet of 972 bytes with its headers, and half of that for others.
    limits.user.bits_per_second = Some(8_000);
    limits.total.bits_per_second = Some(12_000);
    let [first, second] = [1, 2].map(|n| ledger.open_account(&user(n), &limits).unwrap());
    assert!(first.meter(START, AddressFamily::V4, 972, &limits));
    assert!(!first.meter(START, AddressFamily::V4, 1, &limits), "its own rate is used up");
    assert!(second.meter(START, AddressFamily::V4, 472, &limits));
    assert!(!second.meter(START, AddressFamily::V4, 1, &limits), "the rate of all is used up");
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
    assert!(take(&ledger, AddressFamily::V4).is_some());
}

#[test]
fn threads_never_get_the_same_port_nor_more_than_the_quota() {
    let ledger = on_ports(50_000..=50_999);
    let limits = Limits { user: Quota { allocations: 200, ..limits().user }, ..limits() };
    let limits = Limits { total: Quota { allocations: 300, ..limits.total }, ..limits };
    let taken: Vec<_> = std::thread::scope(|scope| {
        let workers = [1, 2, 3, 4].map(|seed: u64| {
            let (ledger, limits) = (&ledger, &limits);
            scope.spawn(move || {
                let take = |n| {
                    let port = ledger.take_port(AddressFamily::V4, PortKind::Any, seed << 32 | n);
                    (port.unwrap().0, ledger.open_account(&user(1), limits))
                };
                (0..250).map(take).collect::<Vec<_>>()
            })
        });
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    });
    let distinct: std::collections::BTreeSet<_> = taken.iter().map(|(port, _)| port.number()).collect();
    assert_eq!((taken.len(), distinct.len()), (1_000, 1_000));
    assert_eq!(ledger.open_account(&user(1), &limits).unwrap_err(), QuotaReached::User);
    let _others: Vec<_> = (0..100).map(|_| ledger.open_account(&user(2), &limits).unwrap()).collect();
    assert_eq!(ledger.open_account(&user(2), &limits).unwrap_err(), QuotaReached::Total);
}

fn peers(permissions: u32, channels: u32) -> PeerCount {
    PeerCount { permissions, channels }
}

/// What somebody may do to the books.
#[derive(Clone, Debug)]
enum Step {
    Allocate { user: u8, family: AddressFamily, kind: PortKind, random: u64 },
    Redeem { nth: usize, user: u8 },
    Permit { nth: usize, permissions: u32, channels: u32 },
    Close { nth: usize },
    Cancel { nth: usize },
    Wait { seconds: u64 },
}

fn step() -> impl Strategy<Value = Step> {
    let family = prop_oneof![Just(AddressFamily::V4), Just(AddressFamily::V6)];
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
    port: Port,
    account: Account,
    permissions: u32,
    channels: u32,
}

struct Waiting {
    user: u8,
    family: AddressFamily,
    port: RelayPort,
    until: Monotonic,
}

/// The books and a model of them that knows no structure, only what somebody has.
struct Both {
    ledger: Arc<Ledger>,
    now: Monotonic,
    held: Vec<Held>,
    waiting: BTreeMap<[u8; 8], Waiting>,
    tokens: u64,
}

impl Both {
    fn open_account(&self, of: u8) -> Option<Account> {
        let has = self.held.iter().filter(|held| held.user == of).count();
        let expected = match (has < 3, self.held.len() < 7) {
            (false, _) => Some(QuotaReached::User),
            (true, false) => Some(QuotaReached::Total),
            (true, true) => None,
        };
        let taken = self.ledger.open_account(&user(of), &limits());
        assert_eq!(taken.as_ref().err().copied(), expected);
        taken.ok()
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Allocate { user: of, family, kind, random } => {
                let Some(account) = self.open_account(of) else { return };
                let Some((port, next)) = self.ledger.take_port(family, kind, random) else { return };
                if let Some(next) = next {
                    self.tokens += 1;
                    let (token, number) = (self.tokens.to_be_bytes(), next.number());
                    let until = self.now.after(Duration::from_secs(30));
                    self.ledger.reserve(token, next, user(of), until);
                    self.waiting.insert(token, Waiting { user: of, family, port: number, until });
                }
                self.hold(of, port, account);
            }
            Step::Redeem { nth, user: of } => {
                let Some(token) = self.token(nth) else { return };
                let Some(account) = self.open_account(of) else { return };
                let waiting = &self.waiting[&token];
                let good = waiting.user == of && waiting.until > self.now;
                let redeemed = self.ledger.redeem(token, &user(of), self.now).map(|(port, _)| port);
                let which = redeemed.as_ref().map(|port| (port.family(), port.number()));
                assert_eq!(which, good.then_some((waiting.family, waiting.port)));
                let Some(port) = redeemed else { return };
                self.waiting.remove(&token);
                self.hold(of, port, account);
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
                let taken = held.account.take_peers(peers(permissions, channels), &limits());
                assert_eq!(taken, expected);
                if taken {
                    held.permissions += permissions;
                    held.channels += channels;
                }
            }
            Step::Close { nth } => {
                if let Some(nth) = nth.checked_rem(self.held.len()) {
                    self.held.swap_remove(nth);
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

    fn hold(&mut self, user: u8, port: Port, account: Account) {
        port.is_held_by(HOLDER);
        self.held.push(Held { user, port, account, permissions: 0, channels: 0 });
    }

    fn token(&self, nth: usize) -> Option<[u8; 8]> {
        self.waiting.keys().nth(nth.checked_rem(self.waiting.len())?).copied()
    }

    fn compare(&self) {
        for family in AddressFamily::BOTH {
            let of_family = self.held.iter().filter(|it| it.port.family() == family);
            let mut ports: Vec<_> = of_family.map(|it| it.port.number().get()).collect();
            ports.sort_unstable();
            let waiting = self.waiting.values().filter(|waiting| waiting.family == family).count();
            assert_eq!(held(&self.ledger, family), ports);
            assert_eq!(free(&self.ledger, family), 32 - ports.len() - waiting);
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
        both.held.clear();
        both.take(Step::Wait { seconds: 30 });
        both.compare();
        prop_assert_eq!(both.ledger.users(), 0);
        // What is left of the totals shows in what can be taken again.
        let mut accounts: Vec<_> = [1, 1, 1, 2, 2, 2, 3].into_iter().filter_map(|of| both.open_account(of)).collect();
        prop_assert_eq!(accounts.len(), 7);
        prop_assert!(accounts[0].take_peers(peers(5, 4), &limits()));
        prop_assert!(accounts[3].take_peers(peers(5, 4), &limits()));
        prop_assert!(accounts[6].take_peers(peers(2, 1), &limits()));
    }
}
