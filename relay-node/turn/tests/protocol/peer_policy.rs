//! The peer policy: what is inside is reached by no request, in no way of writing its address.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::support::{Relay, TestClient, allocated_with, at, peer, settings};
use proptest::prelude::*;
use turn::{DropReason, PeerPolicy, Quota, Settings};

/// One address of the node that is no relayed one.
const OWN: &str = "198.51.100.250";

const INSIDE_V4: [&str; 24] = [
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "10.255.255.255",
    "100.64.0.1",
    "100.100.100.200",
    "127.0.0.1",
    "127.9.9.9",
    "168.63.129.16",
    "169.254.0.1",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.1",
    "192.0.0.192",
    "192.168.0.1",
    "192.168.255.255",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.254",
    "255.255.255.255",
    OWN,
    "192.88.99.1",
];

const INSIDE_V6: [&str; 12] = [
    "::",
    "::1",
    "fe80::1",
    "fe80::5efe:808:808",
    "fec0::1",
    "fc00::1",
    "fd00:ec2::254",
    "fd20:ce::254",
    "fdff:ffff::1",
    "ff02::1",
    "ff0e::1",
    "100::1",
];

/// Public, but written in a way that no host has.
const NOTATIONS: [&str; 3] = ["::ffff:8.8.8.8", "::8.8.8.8", "::ffff:0:808:808"];

/// Every way to write an IPv4 address in an IPv6 one.
fn forms(v4: Ipv4Addr) -> [Ipv6Addr; 11] {
    let [high, low] = [(v4.to_bits() >> 16) as u16, v4.to_bits() as u16];
    [
        Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, high, low),
        Ipv6Addr::new(0, 0, 0, 0, 0, 0, high, low),
        Ipv6Addr::new(0, 0, 0, 0, 0xffff, 0, high, low),
        Ipv6Addr::new(0x2002, high, low, 0, 0, 0, 0, 1),
        Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low),
        Ipv6Addr::new(0x64, 0xff9b, 1, 0, 0, 0, high, low),
        Ipv6Addr::new(0x64, 0xff9b, 1, 0xabcd, 0, 0, high, low),
        Ipv6Addr::new(0x2001, 0, 0x4136, 0xe378, 0x8000, 0x63bf, !high, !low),
        Ipv6Addr::new(0x2001, 0, high, low, 0x8000, 0x63bf, 0xf7f7, 0xf7f7),
        Ipv6Addr::new(0x2600, 1, 2, 3, 0, 0x5efe, high, low),
        Ipv6Addr::new(0x2600, 1, 2, 3, 0x200, 0x5efe, high, low),
    ]
}

/// Room for one peer, so that whatever stays behind of a refusal shows at once.
fn strict() -> Settings {
    let one = Quota { allocations: 10, permissions: 1, channels: 1, bits_per_second: None };
    let mut settings = settings();
    settings.policy = PeerPolicy::new(vec![], vec![], vec![OWN.parse().unwrap()]);
    settings.limits.user = one;
    settings
}

/// Two allocations of one user, one of each family.
struct Calls {
    relay: Relay,
    v4: TestClient,
    v6: TestClient,
}

impl Calls {
    fn new(settings: Settings) -> Self {
        let (mut relay, v4, _) = allocated_with(settings);
        let mut v6 = TestClient::new("[2001:db8:2::7]:4000");
        assert!(v6.allocate_v6(&mut relay).is_ipv6());
        Self { relay, v4, v6 }
    }

    /// Tries to reach `ip` in every way there is, in vain, and sees to it that nothing stays behind.
    fn refuse(&mut self, ip: IpAddr) {
        let Self { relay, v4, v6 } = self;
        let client = if ip.is_ipv4() { v4 } else { v6 };
        let peer = SocketAddr::new(ip, 7000);
        let before = (relay.turn.stats().clone(), relay.turn.next_timeout(), relay.events.len());
        assert_eq!(client.permit(relay, peer).code(), 403, "CreatePermission for {ip}");
        assert_eq!(client.bind(relay, 0x4000, peer).code(), 403, "ChannelBind to {ip}");
        assert_eq!(client.send(relay, peer, b"hello"), [], "Send to {ip}");
        assert_eq!(client.channel_data(relay, 0x4000, b"hello"), [], "ChannelData to {ip}");

        let stats = relay.turn.stats();
        assert_eq!((stats.permissions, stats.channels), (0, 0), "after {ip}");
        assert_eq!(stats.to_peers, before.0.to_peers, "after {ip}");
        assert_eq!((relay.turn.next_timeout(), relay.events.len()), (before.1, before.2), "after {ip}");
        let dropped = |reason| stats.dropped(reason) - before.0.dropped(reason);
        assert_eq!([dropped(DropReason::NoPermission), dropped(DropReason::NoChannel)], [1, 1], "for {ip}");
    }

    /// Sees to it that the one peer there is room for can still be had.
    fn can_still_reach_a_peer(mut self) {
        assert_eq!(self.v4.bind(&mut self.relay, 0x4000, peer()).code(), 0);
        assert_eq!(self.v4.send(&mut self.relay, peer(), b"hello").len(), 1);
        assert_eq!(self.v4.channel_data(&mut self.relay, 0x4000, b"hello").len(), 1);
    }
}

#[test]
fn nothing_inside_is_reached() {
    let mut calls = Calls::new(strict());
    for ip in INSIDE_V4.iter().chain(&INSIDE_V6).chain(&NOTATIONS) {
        calls.refuse(ip.parse().unwrap());
    }
    calls.can_still_reach_a_peer();
}

#[test]
fn nothing_inside_is_reached_through_ipv6() {
    let mut calls = Calls::new(strict());
    for v4 in INSIDE_V4 {
        for ip in forms(v4.parse().unwrap()) {
            calls.refuse(ip.into());
        }
    }
    calls.can_still_reach_a_peer();
}

#[test]
fn what_is_denied_by_configuration_is_denied_in_every_form() {
    let mut strict = strict();
    let deny = vec!["192.0.2.128/25".parse().unwrap(), "2001:db8:3::/48".parse().unwrap()];
    // Being allowed as well does not help.
    let allow = vec!["192.0.2.0/24".parse().unwrap(), "2001:db8::/32".parse().unwrap()];
    strict.policy = PeerPolicy::new(allow, deny, vec![]);
    let mut calls = Calls::new(strict);
    for v4 in ["192.0.2.128", "192.0.2.255"] {
        calls.refuse(v4.parse().unwrap());
        for ip in forms(v4.parse().unwrap()) {
            calls.refuse(ip.into());
        }
    }
    calls.refuse("2001:db8:3::1".parse().unwrap());
    calls.can_still_reach_a_peer();
}

#[test]
fn what_is_allowed_by_configuration_is_reached_and_nothing_beside_it() {
    let mut strict = strict();
    let allow = vec!["127.0.0.1/32".parse().unwrap(), "::1/128".parse().unwrap()];
    strict.policy = PeerPolicy::new(allow, vec![], vec![]);
    strict.limits.user.permissions = 2;
    let mut calls = Calls::new(strict);
    for ip in ["127.0.0.2", "10.0.0.1", "::2", "::ffff:127.0.0.1", "::127.0.0.1", "2002:7f00:2::1"] {
        calls.refuse(ip.parse().unwrap());
    }
    let Calls { mut relay, mut v4, mut v6 } = calls;
    assert_eq!(v4.permit(&mut relay, at("127.0.0.1:7000")).code(), 0);
    assert_eq!(v4.send(&mut relay, at("127.0.0.1:7000"), b"hello").len(), 1);
    assert_eq!(v6.permit(&mut relay, at("[::1]:7000")).code(), 0);
    assert_eq!(v6.send(&mut relay, at("[::1]:7000"), b"hello").len(), 1);
}

#[test]
fn one_peer_inside_spoils_the_whole_request() {
    let Calls { mut relay, mut v4, .. } = Calls::new(strict());
    for peers in [["192.0.2.10:7000", "10.0.0.1:7000"], ["10.0.0.1:7000", "192.0.2.10:7000"]] {
        assert_eq!(v4.permit_all(&mut relay, &peers.map(at)).code(), 403);
        assert_eq!(relay.turn.stats().permissions, 0);
        assert_eq!(v4.send(&mut relay, peer(), b"hello"), []);
    }
}

#[test]
fn an_address_of_the_other_family_is_no_way_round() {
    let Calls { mut relay, mut v4, mut v6 } = Calls::new(strict());
    for ip in forms(Ipv4Addr::LOCALHOST) {
        assert_eq!(v4.permit(&mut relay, SocketAddr::new(ip.into(), 7000)).code(), 443, "{ip}");
    }
    assert_eq!(v6.permit(&mut relay, at("127.0.0.1:7000")).code(), 443);
    assert_eq!(relay.turn.stats().permissions, 0);
}

/// An address of a range that is inside.
fn inside() -> impl Strategy<Value = Ipv4Addr> {
    let ranges = prop_oneof![
        Just((Ipv4Addr::new(0, 0, 0, 0), 8)),
        Just((Ipv4Addr::new(10, 0, 0, 0), 8)),
        Just((Ipv4Addr::new(100, 64, 0, 0), 10)),
        Just((Ipv4Addr::new(127, 0, 0, 0), 8)),
        Just((Ipv4Addr::new(169, 254, 0, 0), 16)),
        Just((Ipv4Addr::new(172, 16, 0, 0), 12)),
        Just((Ipv4Addr::new(192, 0, 0, 0), 24)),
        Just((Ipv4Addr::new(192, 168, 0, 0), 16)),
        Just((Ipv4Addr::new(224, 0, 0, 0), 3)),
    ];
    (ranges, any::<u32>())
        .prop_map(|((net, bits), host)| Ipv4Addr::from_bits(net.to_bits() | host & (u32::MAX >> bits)))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn no_form_of_any_inner_address_is_reached(all in proptest::collection::vec(inside(), 1..8)) {
        let mut calls = Calls::new(strict());
        for v4 in all {
            calls.refuse(v4.into());
            for ip in forms(v4) {
                calls.refuse(ip.into());
            }
        }
        calls.can_still_reach_a_peer();
    }
}
