//! How often what happens.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use stun::attribute::AddressFamily;
use turn::OpenError;

use super::node::{CHANNELS, CLIENTS, Limits, Node, Rules, WORKERS, peers};
use super::step::{Failures, Families, Port, Request, Step, Wish};

pub(crate) fn node() -> impl Strategy<Value = Node> {
    let families = prop_oneof![4 => Just([true, true]), 1 => Just([true, false]), 1 => Just([false, true])];
    // Three whole pairs, or two and two halves.
    let ports = prop_oneof![Just(50000..=50005), Just(50001..=50006)];
    (families, ports).prop_map(|(families, ports)| Node { families, ports })
}

pub(crate) fn rules() -> impl Strategy<Value = Rules> {
    let limits =
        prop_oneof![3 => Just(Limits::Tight), 6 => Just(Limits::Wide), 1 => Just(Limits::Exactly(0))];
    let seldom = || prop::bool::weighted(0.2);
    let fleet = prop_oneof![3 => Just(None), 3 => Just(Some(true)), 1 => Just(Some(false))];
    (limits, any::<bool>(), seldom(), seldom(), seldom(), fleet).prop_map(
        |(limits, denied, without_bob, bob_revoked, moved, fleet)| Rules {
            limits,
            denied,
            without_bob,
            bob_revoked,
            moved,
            fleet,
        },
    )
}

pub(crate) fn steps() -> impl Strategy<Value = Vec<Step>> {
    let some = prop_oneof![45 => step().prop_map(|step| vec![step]), 1 => pair().prop_map(Vec::from)];
    vec(some, 1..180).prop_map(|steps| steps.concat())
}

/// The same on a node that dies now and then.
pub(crate) fn steps_and_restarts() -> impl Strategy<Value = Vec<Step>> {
    let restart = (1..=3_usize).prop_map(|workers| vec![Step::Restart { workers }]);
    let some = prop_oneof![
        40 => step().prop_map(|step| vec![step]),
        1 => pair().prop_map(Vec::from),
        4 => restart,
    ];
    vec(some, 1..180).prop_map(|steps| steps.concat())
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        19 => (client(), request()).prop_map(|(client, request)| Step::Ask { client, request }),
        2 => (client(), wish(), failures())
            .prop_map(|(client, wish, failures)| Step::AskInVain { client, wish, failures }),
        2 => (client(), 0..3_usize, failures())
            .prop_map(|(client, last, failures)| Step::Redeem { client, last, failures }),
        4 => (client(), any::<Index>()).prop_map(|(client, which)| Step::Again { client, which }),
        4 => client().prop_map(|client| Step::Packets { client }),
        4 => wait(prop_oneof![2 => 1..20_u64, 1 => 100..350_u64]),
        1 => rules().prop_map(Step::Swap),
        1 => client().prop_map(|client| Step::End { client }),
    ]
}

/// Two clients, of one user or not, with a pair of ports: what chance alone would seldom bring about.
fn pair() -> impl Strategy<Value = [Step; 5]> {
    let delete =
        || client().prop_map(|client| (client, Request::Refresh { family: None, lifetime: Some(0) }));
    let family = prop_oneof![Just(Families::Unsaid), family().prop_map(Families::One)];
    (delete(), delete(), family, wait(1..45_u64), failures()).prop_map(
        |((first, ends), (second, ends_too), families, wait, failures)| {
            let wish = Wish { families, port: Port::Pair, lifetime: None };
            [
                Step::Ask { client: first, request: ends },
                Step::Ask { client: first, request: Request::Allocate(wish) },
                wait,
                Step::Ask { client: second, request: ends_too },
                Step::Redeem { client: second, last: 0, failures },
            ]
        },
    )
}

fn wait(seconds: impl Strategy<Value = u64>) -> impl Strategy<Value = Step> {
    (seconds, option::of(0..WORKERS)).prop_map(|(seconds, late)| Step::Wait { seconds, late })
}

fn request() -> impl Strategy<Value = Request> {
    let hosts = prop_oneof![1 => Just(vec![]), 7 => vec(select(peers().to_vec()), 1..4)];
    prop_oneof![
        6 => wish().prop_map(Request::Allocate),
        4 => (option::of(family()), lifetime())
            .prop_map(|(family, lifetime)| Request::Refresh { family, lifetime }),
        4 => hosts.prop_map(|peers| Request::Permit { peers }),
        5 => (select(&CHANNELS[..]), select(peers().to_vec()))
            .prop_map(|(channel, peer)| Request::Bind { channel, peer }),
    ]
}

fn wish() -> impl Strategy<Value = Wish> {
    let one = (
        prop_oneof![Just(Families::Unsaid), family().prop_map(Families::One)],
        select(vec![Port::Any, Port::Even, Port::Pair]),
    );
    // Both families and a pair contradict each other.
    let both = (Just(Families::Both), select(vec![Port::Any, Port::Even]));
    let wish = |((families, port), lifetime)| Wish { families, port, lifetime };
    (prop_oneof![one, both], lifetime()).prop_map(wish)
}

fn client() -> impl Strategy<Value = usize> {
    0..CLIENTS
}

fn family() -> impl Strategy<Value = AddressFamily> {
    select(vec![AddressFamily::V4, AddressFamily::V6])
}

fn lifetime() -> impl Strategy<Value = Option<u32>> {
    option::of(prop_oneof![Just(0), Just(1), 500..4000_u32])
}

fn failures() -> impl Strategy<Value = Failures> {
    let error =
        || select(vec![OpenError::InUse, OpenError::InUse, OpenError::Exhausted, OpenError::Unavailable]);
    let of_family = || prop_oneof![2 => Just(vec![]), 1 => vec(error(), 1..3)];
    [of_family(), of_family()]
}
