use std::time::Duration;

use super::*;

const START: Monotonic = Monotonic::from_nanos(5_000_000_000);

fn budget() -> AnswerBudget {
    AnswerBudget::new([42; 32])
}

fn limits(per_source: u32, total: u32) -> AnswerLimits {
    AnswerLimits { per_source_bytes_per_second: per_source, total_bytes_per_second: total }
}

fn client(address: &str) -> ClientAddr {
    ClientAddr::new(address.parse().unwrap())
}

/// A host of its own for each number.
fn host(number: u32) -> ClientAddr {
    ClientAddr::new((std::net::Ipv4Addr::from_bits(number), 4000).into())
}

/// How many of `tries` new requests from `client` are answered, each with 100 bytes more than it has.
fn answered(
    budget: &AnswerBudget,
    now: Monotonic,
    limits: AnswerLimits,
    client: ClientAddr,
    tries: u32,
) -> u32 {
    let mut count = 0;
    for n in 0..tries {
        let mut id = [0; 12];
        id[..4].copy_from_slice(&n.to_be_bytes());
        id[4..].copy_from_slice(&now.as_nanos().to_be_bytes());
        let stranger = Stranger {
            client,
            entrance: Entrance::Direct,
            transaction: TransactionId::new(id),
            binding: false,
        };
        if budget.answers(now, &stranger) {
            budget.charge(now, &limits, &stranger, 28, 128);
            count += 1;
        }
    }
    count
}

#[test]
fn a_source_has_three_quarters_of_a_second_at_once_and_its_rate_in_time() {
    let (budget, limits) = (budget(), limits(10_000, 1_000_000));
    // What begins within the limit is answered whole.
    assert_eq!(answered(&budget, START, limits, host(1), 500), 76);
    assert_eq!(answered(&budget, START, limits, host(2), 500), 76, "another source has its own");
    assert_eq!(answered(&budget, START.after(Duration::from_millis(500)), limits, host(1), 500), 50);
    let ages = START.after(Duration::from_secs(86_400));
    assert_eq!(answered(&budget, ages, limits, host(1), 500), 76, "nothing is saved up");
}

#[test]
fn bytes_out_count_less_the_bytes_in_and_never_nothing() {
    let (budget, limits) = (budget(), limits(16_000, 1_000_000));
    let spent = |asked, answered| {
        let stranger = Stranger {
            client: host(1),
            entrance: Entrance::Direct,
            transaction: TransactionId::new([0; 12]),
            binding: false,
        };
        let before = budget.share(&stranger).ahead(START, budget.network(stranger.client));
        budget.charge(START, &limits, &stranger, asked, answered);
        budget.share(&stranger).ahead(START, budget.network(stranger.client)) - before
    };
    assert_eq!(spent(28, 128), 6_250_000, "100 bytes at 16,000 in a second");
    assert_eq!(spent(128, 128), 1_000_000, "as many as 16 bytes");
    assert_eq!(spent(1000, 100), 1_000_000);
}

#[test]
fn one_source_does_not_use_up_the_total_nor_a_bound_total_a_source() {
    let (budget, limits) = (budget(), limits(10_000, 20_000));
    assert_eq!(answered(&budget, START, limits, host(1), 1_000), 76);
    assert_eq!(answered(&budget, START, limits, host(2), 1_000), 75);
    assert_eq!(answered(&budget, START, limits, host(3), 1_000), 0, "the total is used up");
    let later = START.after(Duration::from_millis(50));
    assert_eq!(answered(&budget, later, limits, host(3), 1_000), 10, "and refusals cost the source nothing");
}

#[test]
fn an_ipv6_network_of_64_bits_is_one_source() {
    let (budget, limits) = (budget(), limits(10_000, 1_000_000));
    let (one, same, other) =
        (client("[2001:db8::1]:1"), client("[2001:db8::ffff:0:0:2]:2"), client("[2001:db8:0:1::1]:1"));
    assert_eq!(answered(&budget, START, limits, one, 500), 76);
    assert_eq!(answered(&budget, START, limits, same, 500), 0);
    assert_eq!(answered(&budget, START, limits, other, 500), 76);
}

#[test]
fn a_flood_leaves_a_quiet_source_its_own_share() {
    // No limit for all together, so that only shared cells could refuse.
    let (budget, limits) = (budget(), limits(10_000, u32::MAX));
    for n in 0..100_000 {
        answered(&budget, START, limits, host(0x0a00_0000 + n), 4);
    }
    let refused = (0..10_000).filter(|n| answered(&budget, START, limits, host(0xc000_0000 + n), 1) == 0);
    assert_eq!(refused.count(), 0);
}

#[test]
fn a_flood_from_many_sources_is_held_to_the_total() {
    let (budget, limits) = (budget(), limits(100_000, 1_000_000));
    let mut answers = 0;
    for n in 0..400_000_u32 {
        // 100,000 sources in one second, four times each.
        let now = START.after(Duration::from_nanos(u64::from(n) * 2_500));
        answers += answered(&budget, now, limits, host(0x0a00_0000 + n % 100_000), 1);
    }
    assert!((17_000..=20_001).contains(&answers), "{answers}: a second's worth, and what may go at once");
}

#[test]
fn wrong_credentials_are_heard_so_often_from_a_network_and_then_from_each_client() {
    let budget = budget();
    let heard = |now, port: u16| {
        let guesser = client(&format!("198.51.100.7:{port}"));
        let heard = (0..1_000).filter(|_| {
            let heard = budget.hears(now, guesser, true);
            if heard {
                budget.note_wrong(now, guesser, true);
            }
            heard
        });
        heard.count()
    };
    assert_eq!(heard(START, 1), 110, "the network's hundred and the client's ten");
    assert_eq!(heard(START, 2), 10, "a neighbour has its own");
    assert!(budget.hears(START, client("198.51.100.7:3"), true), "and who has got nothing wrong is heard");
    assert!(budget.hears(START, client("198.51.100.8:1"), true));
    assert_eq!(heard(START.after(Duration::from_millis(500)), 1), 55);
}

#[test]
fn a_guesser_with_all_ports_of_its_address_silences_no_other_network() {
    let budget = budget();
    for port in 1..=u16::MAX {
        let guesser = client(&format!("198.51.100.7:{port}"));
        (0..20).for_each(|_| budget.note_wrong(START, guesser, true));
    }
    let silenced = (0..10_000).filter(|n| !budget.hears(START, host(0xc000_0000 + n), true)).count();
    assert_eq!(silenced, 0);
}
