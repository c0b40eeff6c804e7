//! Allocate (RFC 8656 section 7).

use std::net::SocketAddr;
use std::time::Duration;

use crate::support::{Relay, Seen, TestClient, at, relay_addresses, settings};
use stun::attribute::{
    AdditionalAddressFamily, AddressErrorCode, AddressFamily, EvenPort, Lifetime, RequestedAddressFamily,
    RequestedTransport, ReservationToken, XorMappedAddress,
};
use stun::{AttributeType, BufferFull, MessageWriter, Method};
use turn::{CloseReason, Event, Quota, RelayAddresses};
use turn_client::Allocate;

fn udp(writer: &mut MessageWriter<'_>) -> Result<(), BufferFull> {
    writer.attribute(&RequestedTransport::UDP).map(drop)
}

#[test]
fn answers_with_the_relayed_and_the_mapped_address_and_the_lifetime() {
    let mut relay = Relay::new();
    let mut alice = TestClient::new("198.51.100.7:4000");
    let answer = alice.try_allocate(&mut relay);
    let [relayed] = answer.relayed()[..] else { panic!("{answer:?}") };
    assert_eq!(relayed.ip(), at("203.0.113.1:0").ip());
    assert!((50000..=59999).contains(&relayed.port()));
    assert_eq!(answer.get(), Some(XorMappedAddress(alice.address())));
    assert_eq!(answer.get(), Some(Lifetime(600)));
    answer.message().verify_sha1(&alice.key()).unwrap();
    assert!(relay.sockets.contains_key(&relayed), "the socket is open before the answer leaves");
}

#[test]
fn the_socket_opens_before_the_answer_leaves() {
    let mut relay = Relay::new();
    let mut alice = TestClient::new("198.51.100.7:4000");
    alice.learn_nonce(&mut relay);
    let request = alice.signed_allocate();
    relay.packet_alone(&alice.path, &request);
    let Some(turn::Output::OpenRelay { relay: id, .. }) = relay.turn.poll_output() else {
        panic!("the first output is the socket's")
    };
    assert!(relay.turn.poll_output().is_none(), "nothing is told before the socket is open");
    relay.turn.relay_opened(relay.now, id, Ok(()));
    assert!(matches!(relay.drain()[..], [Seen::AtClient { .. }]));
}

#[test]
fn a_client_with_an_allocation_gets_437() {
    let mut relay = Relay::new();
    let mut alice = TestClient::new("198.51.100.7:4000");
    alice.allocate(&mut relay);
    assert_eq!(alice.try_allocate(&mut relay).code(), 437);
    assert_eq!(relay.turn.allocations(), 1);
}

#[test]
fn a_retransmission_is_answered_like_the_original() {
    let mut relay = Relay::new();
    let mut alice = TestClient::new("198.51.100.7:4000");
    alice.learn_nonce(&mut relay);
    let request = alice.signed(Method::ALLOCATE, |writer| {
        udp(writer)?;
        writer.attribute(&EvenPort { reserve_next: true })?.attribute(&Lifetime(1000)).map(drop)
    });
    let first = alice.exchange(&mut relay, &request);
    assert_eq!(first.code(), 0);
    relay.wait(Duration::from_secs(5));
    assert_eq!(alice.exchange(&mut relay, &request).0, first.0);
    assert_eq!((relay.turn.allocations(), relay.sockets.len()), (1, 1));
}

#[test]
fn needs_requested_transport_udp() {
    let mut relay = Relay::new();
    let mut alice = TestClient::new("198.51.100.7:4000");
    assert_eq!(alice.ask(&mut relay, Method::ALLOCATE, |_| Ok(())).code(), 400);
    let tcp = alice
        .ask(&mut relay, Method::ALLOCATE, |writer| writer.attribute(&RequestedTransport::TCP).map(drop));
    assert_eq!(tcp.code(), 442);
    assert_eq!(relay.turn.allocations(), 0);
}

#[test]
fn dont_fragment_is_understood() {
    let mut relay = Relay::new();
    let mut alice = TestClient::new("198.51.100.7:4000");
    let answer = alice.allocate_as(&mut relay, Allocate { dont_fragment: true, ..Allocate::default() });
    assert_eq!(answer.code(), 0);
}

#[test]
fn the_lifetime_is_between_the_default_and_the_maximum() {
    for (asked, granted) in [(0, 600), (1, 600), (599, 600), (1800, 1800), (u32::MAX, 3600)] {
        let mut relay = Relay::new();
        let mut alice = TestClient::new("198.51.100.7:4000");
        let wish = Allocate { lifetime: Some(asked), ..Allocate::default() };
        let answer = alice.allocate_as(&mut relay, wish);
        assert_eq!(answer.get(), Some(Lifetime(granted)), "asked for {asked}");
    }
}

#[test]
fn ends_when_it_is_not_refreshed() {
    let mut relay = Relay::new();
    let mut alice = TestClient::new("198.51.100.7:4000");
    alice.allocate(&mut relay);
    relay.wait(Duration::from_secs(599));
    assert_eq!(relay.turn.allocations(), 1);
    relay.wait(Duration::from_secs(1));
    assert_eq!((relay.turn.allocations(), relay.sockets.len()), (0, 0));
    let closed = relay.events.iter().find_map(|event| match event {
        Event::AllocationClosed { reason, age, .. } => Some((*reason, *age)),
        _ => None,
    });
    assert_eq!(closed, Some((CloseReason::Expired, Duration::from_secs(600))));
}

fn only_v4() -> Relay {
    Relay::on_addresses(settings(), RelayAddresses { v6: None, ..relay_addresses() })
}

#[test]
fn a_family_that_the_relay_has_not_gets_440() {
    let mut relay = only_v4();
    let mut alice = TestClient::new("198.51.100.7:4000");
    for family in [AddressFamily::V6.code(), 9] {
        let answer = alice.ask(&mut relay, Method::ALLOCATE, |writer| {
            udp(writer)?;
            writer.raw(AttributeType::REQUESTED_ADDRESS_FAMILY, &[family, 0, 0, 0]).map(drop)
        });
        assert_eq!(answer.code(), 440);
    }
}

#[test]
fn an_ipv6_address_can_be_asked_for() {
    let mut relay = Relay::new();
    let mut alice = TestClient::new("198.51.100.7:4000");
    assert_eq!(alice.allocate_v6(&mut relay).ip(), at("[2001:db8:1::1]:0").ip());
}

#[test]
fn one_request_can_have_an_address_of_each_family() {
    let mut relay = Relay::new();
    let mut alice = TestClient::new("198.51.100.7:4000");
    let answer = alice.allocate_both(&mut relay);
    assert_eq!(answer.relayed().iter().map(SocketAddr::is_ipv6).collect::<Vec<_>>(), [false, true]);
    assert!(answer.get::<AddressErrorCode<'_>>().is_none());
    assert_eq!(relay.sockets.len(), 2);
}

#[test]
fn of_two_families_one_is_enough_and_the_other_one_is_explained() {
    let mut relay = only_v4();
    let mut alice = TestClient::new("198.51.100.7:4000");
    let answer = alice.allocate_both(&mut relay);
    assert_eq!(answer.relayed().iter().map(SocketAddr::is_ipv6).collect::<Vec<_>>(), [false]);
    let refused = answer.get::<AddressErrorCode<'_>>().unwrap();
    assert_eq!((refused.family, refused.code), (AddressFamily::V6, 440));
}

#[test]
fn attributes_that_contradict_each_other_get_400() {
    type Extra = fn(&mut MessageWriter<'_>) -> Result<(), BufferFull>;
    let contradictions: [Extra; 5] = [
        |writer| {
            writer.attribute(&ReservationToken([1; 8]))?;
            writer.attribute(&EvenPort { reserve_next: false }).map(drop)
        },
        |writer| {
            writer.attribute(&ReservationToken([1; 8]))?;
            writer.attribute(&RequestedAddressFamily(AddressFamily::V4)).map(drop)
        },
        |writer| {
            writer.attribute(&RequestedAddressFamily(AddressFamily::V4))?;
            writer.attribute(&AdditionalAddressFamily(AddressFamily::V6)).map(drop)
        },
        |writer| writer.attribute(&AdditionalAddressFamily(AddressFamily::V4)).map(drop),
        |writer| {
            writer.attribute(&AdditionalAddressFamily(AddressFamily::V6))?;
            writer.attribute(&EvenPort { reserve_next: true }).map(drop)
        },
    ];
    for extra in contradictions {
        let mut relay = Relay::new();
        let mut alice = TestClient::new("198.51.100.7:4000");
        let answer = alice.ask(&mut relay, Method::ALLOCATE, |writer| {
            udp(writer)?;
            extra(writer)
        });
        assert_eq!(answer.code(), 400);
        assert_eq!(relay.turn.allocations(), 0);
    }
}

#[test]
fn a_port_that_another_process_holds_is_passed_over() {
    let mut relay = Relay::on_ports(settings(), 50000..=50007);
    relay.busy = (50000..50007).collect();
    let mut alice = TestClient::new("198.51.100.7:4000");
    // Sixteen tries among eight ports may all fail; then the answer is 508, and nothing is left behind.
    for _ in 0..50 {
        match alice.try_allocate(&mut relay).code() {
            0 => {
                assert_eq!(relay.sockets.keys().next().unwrap().port(), 50007);
                return;
            }
            code => assert_eq!((code, relay.turn.allocations()), (508, 0)),
        }
    }
    panic!("the one free port was never found");
}

#[test]
fn without_a_socket_to_be_had_the_answer_is_508_and_nothing_is_left() {
    let mut relay = Relay::new();
    relay.exhausted = true;
    let mut alice = TestClient::new("198.51.100.7:4000");
    assert_eq!(alice.try_allocate(&mut relay).code(), 508);
    assert_eq!(relay.turn.allocations(), 0);
    assert!(relay.events.is_empty());
    assert_eq!(relay.turn.next_timeout(), None);
    relay.exhausted = false;
    alice.allocate(&mut relay);
}

#[test]
fn without_a_free_port_the_answer_is_508() {
    let mut relay = Relay::on_ports(settings(), 50000..=50001);
    for port in [1, 2] {
        TestClient::new(&format!("198.51.100.7:{port}")).allocate(&mut relay);
    }
    let mut third = TestClient::new("198.51.100.7:3");
    assert_eq!(third.try_allocate(&mut relay).code(), 508);
}

#[test]
fn a_users_quota_gets_486_and_the_whole_relays_508() {
    let mut limited = settings();
    limited.limits.user = Quota { allocations: 2, ..limited.limits.user };
    limited.limits.total = Quota { allocations: 3, ..limited.limits.total };
    let mut relay = Relay::with(limited);
    let mut first = TestClient::new("198.51.100.7:1");
    first.allocate(&mut relay);
    TestClient::new("198.51.100.7:2").allocate(&mut relay);
    assert_eq!(TestClient::new("198.51.100.7:3").try_allocate(&mut relay).code(), 486);
    let bob = |port: u16| TestClient::new(&format!("198.51.100.7:{port}")).named("bob", "builder");
    bob(4).allocate(&mut relay);
    assert_eq!(bob(5).try_allocate(&mut relay).code(), 508);
    first.refresh(&mut relay, 0);
    bob(6).allocate(&mut relay);
}
