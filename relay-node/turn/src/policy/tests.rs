use proptest::prelude::*;

use super::*;

fn check(ip: &str) -> Result<(), Denied> {
    PeerPolicy::default().check(ip.parse().unwrap())
}

#[test]
fn what_is_inside_is_denied() {
    for (ip, denied) in [
        ("127.0.0.1", Denied::Loopback),
        ("127.255.255.255", Denied::Loopback),
        ("::1", Denied::Loopback),
        ("0.0.0.0", Denied::Unspecified),
        ("0.255.255.255", Denied::Unspecified),
        ("::", Denied::Unspecified),
        ("169.254.0.1", Denied::LinkLocal),
        ("fe80::1", Denied::LinkLocal),
        ("febf::1", Denied::LinkLocal),
        ("fec0::1", Denied::UniqueLocal),
        ("224.0.0.1", Denied::Multicast),
        ("239.255.255.255", Denied::Multicast),
        ("ff02::1", Denied::Multicast),
        ("255.255.255.255", Denied::Broadcast),
        ("10.0.0.1", Denied::Private),
        ("172.16.0.1", Denied::Private),
        ("172.31.255.255", Denied::Private),
        ("192.168.1.1", Denied::Private),
        ("100.64.0.1", Denied::SharedAddressSpace),
        ("100.127.255.255", Denied::SharedAddressSpace),
        ("fc00::1", Denied::UniqueLocal),
        ("fdff::1", Denied::UniqueLocal),
        ("169.254.169.254", Denied::Metadata),
        ("168.63.129.16", Denied::Metadata),
        ("100.100.100.200", Denied::Metadata),
        ("192.0.0.192", Denied::Metadata),
        ("fd00:ec2::254", Denied::Metadata),
        ("fd20:ce::254", Denied::Metadata),
        ("192.0.0.8", Denied::Reserved),
        ("240.0.0.1", Denied::Reserved),
        ("100::1", Denied::Reserved),
    ] {
        assert_eq!(check(ip), Err(denied), "{ip}");
    }
}

#[test]
fn what_is_outside_is_allowed() {
    for ip in [
        "8.8.8.8",
        "1.1.1.1",
        "100.63.255.255",
        "100.128.0.0",
        "172.15.0.1",
        "172.32.0.1",
        "203.0.113.9",
        "198.51.100.9",
        "223.255.255.255",
        "2600::1",
        "2001:db8::1",
        "2002:0808:0808::1",
        "64:ff9b::808:808",
        "2a00::5efe:808:808",
    ] {
        assert_eq!(check(ip), Ok(()), "{ip}");
    }
}

#[test]
fn an_explicit_denial_is_stronger_than_a_permission_and_both_than_the_default() {
    let ranges = |list: &[&str]| list.iter().map(|range| range.parse().unwrap()).collect::<Vec<IpNet>>();
    let policy = PeerPolicy::new(
        ranges(&["10.1.0.0/16", "127.0.0.1/32"]),
        ranges(&["10.1.2.0/24", "8.8.8.0/24"]),
        vec!["203.0.113.1".parse().unwrap()],
    );
    for (ip, expected) in [
        ("10.1.1.1", Ok(())),
        ("127.0.0.1", Ok(())),
        ("10.1.2.1", Err(Denied::Listed)),
        ("8.8.8.8", Err(Denied::Listed)),
        ("64:ff9b::808:808", Err(Denied::Listed)),
        ("64:ff9b::a01:101", Ok(())),
        ("10.2.0.1", Err(Denied::Private)),
        ("127.0.0.2", Err(Denied::Loopback)),
        ("203.0.113.1", Err(Denied::Own)),
        ("2002:cb00:7101::1", Err(Denied::Own)),
    ] {
        assert_eq!(policy.check(ip.parse().unwrap()), expected, "{ip}");
    }
}

#[test]
fn a_range_opens_neither_the_node_nor_a_metadata_service() {
    let ranges = |list: &[&str]| list.iter().map(|range| range.parse().unwrap()).collect::<Vec<IpNet>>();
    let own = ["203.0.113.1", "10.0.0.5", "fd00::5", "2001:db8::5"];
    let own = || own.iter().map(|ip| ip.parse().unwrap()).collect::<Vec<IpAddr>>();
    let policy = PeerPolicy::new(ranges(&["0.0.0.0/0", "::/0"]), vec![], own());
    for (ip, denied) in [
        ("203.0.113.1", Denied::Own),
        ("10.0.0.5", Denied::Own),
        ("fd00::5", Denied::Own),
        ("2001:db8::5", Denied::Own),
        ("127.0.0.1", Denied::Loopback),
        ("127.0.0.2", Denied::Loopback),
        ("::1", Denied::Loopback),
        ("0.0.0.0", Denied::Unspecified),
        ("::", Denied::Unspecified),
        ("169.254.169.254", Denied::Metadata),
        ("192.0.0.192", Denied::Metadata),
        ("fd00:ec2::254", Denied::Metadata),
        ("64:ff9b::a9fe:a9fe", Denied::Metadata),
        ("2002:a00:5::1", Denied::Own),
    ] {
        let ip = ip.parse().unwrap();
        assert_eq!(policy.check(ip), Err(denied), "{ip}");
        let named = PeerPolicy::new(vec![IpNet::from(ip)], vec![], own());
        let inside_of_another = ip.to_string().starts_with("64:") || ip.to_string().starts_with("2002:");
        assert_eq!(named.check(ip).is_ok(), !inside_of_another, "{ip} by name");
        let narrow = if ip.is_ipv4() { 31 } else { 127 };
        let beside = PeerPolicy::new(vec![IpNet::new(ip, narrow).unwrap()], vec![], own());
        assert_eq!(beside.check(ip), Err(denied), "{ip} in a narrow range");
    }
    for ip in ["10.0.0.6", "169.254.1.1", "192.168.1.1", "fd00::6", "8.8.8.8"] {
        assert_eq!(policy.check(ip.parse().unwrap()), Ok(()), "{ip}");
    }
}

#[test]
fn every_reading_of_a_networks_own_nat64_address_counts() {
    // 127.0.0.1 behind a prefix of 48, 56, 64 and 96 bits; what is left of the address reads 8.8.8.8.
    for ip in [
        "64:ff9b:1:7f00:0:100:808:808",
        "64:ff9b:1:87f:0:1:808:808",
        "64:ff9b:1:808:7f:0:108:808",
        "64:ff9b:1::7f00:1",
    ] {
        assert_eq!(check(ip), Err(Denied::Loopback), "{ip}");
    }
    assert_eq!(check("64:ff9b:1::808:808"), Ok(()));
}

#[test]
fn every_reason_has_a_name_of_its_own() {
    let names: std::collections::BTreeSet<_> = Denied::ALL.iter().map(|reason| reason.name()).collect();
    assert_eq!(names.len(), Denied::ALL.len());
}

/// Every way to wrap an IPv4 address in an IPv6 one, with `fill` in what is left.
fn wrapped(v4: Ipv4Addr, fill: u64) -> [Ipv6Addr; 9] {
    let [high, low] = [(v4.to_bits() >> 16) as u16, v4.to_bits() as u16];
    let [a, b, c, d] = [fill as u16, (fill >> 16) as u16, (fill >> 32) as u16, (fill >> 48) as u16];
    [
        Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, high, low),
        Ipv6Addr::new(0, 0, 0, 0, 0xffff, 0, high, low),
        Ipv6Addr::new(0, 0, 0, 0, 0, 0, high, low),
        Ipv6Addr::new(0x2002, high, low, a, b, c, d, a),
        Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low),
        Ipv6Addr::new(0x64, 0xff9b, 1, a, b, c, high, low),
        Ipv6Addr::new(0x2001, 0, high, low, a, b, c, d),
        Ipv6Addr::new(0x2001, 0, 0x808, 0x808, a, b, !high, !low),
        Ipv6Addr::new(0x2600, a, b, c, (d & 1) << 9, 0x5efe, high, low),
    ]
}

proptest! {
    /// However an inner IPv4 address is wrapped, it stays inside.
    #[test]
    fn no_form_of_an_inner_address_is_allowed(
        (net, _) in proptest::sample::select(DENIED_V4.to_vec()),
        host: u32,
        fill: u64,
    ) {
        let v4 = Ipv4Addr::from_bits(net.network().to_bits() | host & net.hostmask().to_bits());
        let policy = PeerPolicy::default();
        prop_assert!(policy.check(v4.into()).is_err());
        for ip in wrapped(v4, fill) {
            prop_assert!(policy.check(ip.into()).is_err(), "{ip} holds {v4}");
        }
    }
}
