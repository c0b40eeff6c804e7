use std::collections::HashMap;

use proptest::prelude::*;
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::*;
use crate::cluster::node::TlsNames;
use crate::cluster::registry::fixtures::{entry, name};

const V4: AddressFamily = AddressFamily::V4;

/// A node of zone z1 with that many allocations of a thousand.
fn node(name: &str, allocations: u32) -> Choice {
    of(entry(name, allocations))
}

fn of(entry: Entry) -> Choice {
    Choice { entry: Arc::new(entry), chosen: Arc::default(), own: false }
}

fn places(alternates: &[Alternate]) -> Vec<String> {
    let mut places: Vec<_> =
        alternates.iter().flat_map(|it| &it.addresses).map(|(_, address)| address.to_string()).collect();
    places.sort();
    places
}

/// At an address of its own, named by its last number.
fn at(number: u8, entry: Entry) -> Choice {
    let address = SocketAddr::from(([192, 0, 2, number], 3478));
    of(Entry { addresses: vec![(Transport::Udp, address)], ..entry })
}

#[test]
fn nobody_is_sent_to_a_node_that_takes_no_calls() {
    let mut draining = entry("draining", 0);
    draining.load.draining = true;
    let nodes = [at(1, entry("free", 10)), at(2, draining), at(3, entry("full", 1000))];
    assert_eq!(places(&alternates(&nodes, "z1")), ["192.0.2.1:3478"]);
}

#[test]
fn nobody_is_sent_to_an_address_that_no_client_reaches() {
    let addresses = ["127.0.0.1:3478", "0.0.0.0:3478", "[fe80::1]:3478", "192.0.2.9:3478"];
    let addresses = addresses.iter().map(|it| (Transport::Tcp, it.parse().unwrap())).collect();
    let nodes = [of(Entry { addresses, ..entry("a", 1) })];
    assert_eq!(places(&alternates(&nodes, "z1")), ["192.0.2.9:3478"]);
}

#[test]
fn other_zones_are_no_choice_before_the_own_is_nearly_full() {
    let elsewhere = Entry { zone: "z2".to_owned(), ..entry("there", 0) };
    let with = |here: u32| [at(1, entry("here", here)), at(2, elsewhere.clone())];
    assert_eq!(places(&alternates(&with(890), "z1")), ["192.0.2.1:3478"]);
    assert_eq!(places(&alternates(&with(910), "z1")), ["192.0.2.1:3478", "192.0.2.2:3478"]);
    // Those on their way count.
    let crowded = with(500);
    crowded[0].chosen.store(450, Ordering::Relaxed);
    assert_eq!(places(&alternates(&crowded, "z1")).len(), 2);
    assert_eq!(places(&alternates(&with(1000), "z1")), ["192.0.2.2:3478"]);
}

#[test]
fn a_zone_that_cannot_serve_a_family_leaves_it_to_others() {
    let v6 = Entry {
        zone: "z2".to_owned(),
        addresses: vec![
            (Transport::Udp, "192.0.2.2:3478".parse().unwrap()),
            (Transport::Udp, "[2001:db8::2]:3478".parse().unwrap()),
        ],
        ..entry("there", 0)
    };
    let nodes = [at(1, entry("here", 10)), of(v6)];
    assert_eq!(places(&alternates(&nodes, "z1")), ["192.0.2.1:3478", "[2001:db8::2]:3478"]);
}

#[test]
fn who_is_less_than_whole_comes_last() {
    let degraded = Entry { degraded: "its certificate has expired".to_owned(), ..entry("ill", 0) };
    let elsewhere = Entry { zone: "z2".to_owned(), ..entry("there", 500) };
    let nodes = [at(1, degraded.clone()), at(2, elsewhere)];
    assert_eq!(places(&alternates(&nodes, "z1")), ["192.0.2.2:3478"]);
    assert_eq!(places(&alternates(&[at(1, degraded)], "z1")), ["192.0.2.1:3478"]);
}

#[test]
fn who_relays_much_has_less_room() {
    let mut busy = entry("busy", 100);
    busy.load.bits_per_second = 1_000_000_000;
    let mut idle = entry("idle", 100);
    idle.load.bits_per_second = 1_000_000;
    let rooms: Vec<u32> = alternates(&[of(busy), of(idle)], "z1").iter().map(|it| it.room).collect();
    assert_eq!(rooms, [450, 899]);
}

#[test]
fn what_a_client_is_told_of_a_node_is_what_the_node_tells() {
    let tls =
        TlsNames { domain: Some("a.example.org".to_owned()), covers: vec!["192.0.2.1".parse().unwrap()] };
    let nodes = [of(Entry { tls: Some(tls.clone()), ..entry("a", 10) })];
    let [told] = alternates(&nodes, "").try_into().unwrap();
    assert_eq!((told.domain.as_deref(), told.certificate_covers), (tls.domain.as_deref(), tls.covers));
    assert!(Arc::ptr_eq(&told.chosen, &nodes[0].chosen));
}

#[test]
fn the_best_come_first_and_the_first_one_is_taken() {
    let elsewhere = Entry { zone: "z2".to_owned(), ..entry("there", 0) };
    let v6 =
        Entry { addresses: vec![(Transport::Udp, "[2001:db8::1]:1".parse().unwrap())], ..entry("v6", 0) };
    let nodes = [of(elsewhere), node("a", 10), node("b", 999), of(v6), node("full", 1000)];
    let names = |best: Vec<&Choice>| best.iter().map(|it| it.entry.name.to_string()).collect::<Vec<_>>();
    let mut random = StdRng::seed_from_u64(1);
    let found = names(best(&nodes, "z1", &[V4], 3, &mut random));
    assert_eq!(found.last().map(String::as_str), Some("there"));
    assert_eq!(found.len(), 3);
    assert_eq!(nodes.iter().map(|node| node.chosen.load(Ordering::Relaxed)).sum::<u32>(), 1);
    assert_eq!(best(&nodes, "z1", &[V4], 1, &mut random).len(), 1);
    assert!(best(&[], "z1", &[V4], 3, &mut random).is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// A thousand clients come in the second in which the registry shows nothing new.
    #[test]
    fn a_crowd_is_spread_before_the_registry_shows_it(
        loads in prop::collection::vec(0_u32..300, 3..32),
        seed in any::<u64>(),
    ) {
        let nodes: Vec<Choice> =
            loads.iter().enumerate().map(|(at, load)| node(&format!("n{at}"), *load)).collect();
        let mut random = StdRng::seed_from_u64(seed);
        for _ in 0..1000 {
            best(&nodes, "z1", &[V4], 1, &mut random);
        }
        let after: HashMap<_, u32> = nodes
            .iter()
            .map(|it| (it.entry.name.clone(), it.entry.load.allocations + it.chosen.load(Ordering::Relaxed)))
            .collect();
        let least = *loads.iter().min().unwrap();
        let emptiest = name(&format!("n{}", loads.iter().position(|load| *load == least).unwrap()));
        // If choices did not count, it would have got two parts of all; as they do, it is filled up to the others.
        let mean = after.values().sum::<u32>() / after.len() as u32;
        prop_assert!(after[&emptiest] <= mean + 60, "{} of {mean}", after[&emptiest]);
        let most = after.values().max().unwrap();
        prop_assert!(*most <= (mean + 60).max(300 + 60), "{most} of {mean}");
    }
}
