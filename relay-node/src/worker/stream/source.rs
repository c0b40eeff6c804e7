//! Where connections come from: who is one party when not all of them can be served.

use std::net::{IpAddr, Ipv6Addr};

/// The parties that an address belongs to, and that share what there is: first networks among each
/// other, then the hosts of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Source {
    pub(super) network: Party,
    pub(super) host: Party,
}

/// Whoever is counted as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Party {
    /// All networks.
    Everybody,
    /// An IPv6 /48, the most that one customer is usually given (RFC 6177): 65,536 hosts. IPv4 addresses are
    /// too scarce for that, and those side by side too often different people's: each is a network.
    Network(IpAddr),
    /// An IPv4 address, or the /64 that an IPv6 host chooses addresses from.
    Host(IpAddr),
}

impl Party {
    /// Before all others in their order.
    pub(super) const FIRST: Self = Self::Everybody;
    /// Behind all others in their order.
    pub(super) const LAST: Self = Self::Host(IpAddr::V6(Ipv6Addr::from_bits(u128::MAX)));
}

impl Source {
    /// Whose address this is.
    pub(super) fn of(ip: IpAddr) -> Self {
        let (network, host) = match ip.to_canonical() {
            IpAddr::V4(v4) => (v4.into(), v4.into()),
            IpAddr::V6(v6) => (prefix(v6, 48), prefix(v6, 64)),
        };
        Self { network: Party::Network(network), host: Party::Host(host) }
    }

    /// Its parties from the largest on, each with whom it is a part of.
    pub(super) const fn levels(self) -> [(Party, Party); 2] {
        [(Party::Everybody, self.network), (self.network, self.host)]
    }
}

fn prefix(ip: Ipv6Addr, length: u32) -> IpAddr {
    let rest = Ipv6Addr::BITS - length;
    Ipv6Addr::from_bits(ip.to_bits() >> rest << rest).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(ip: &str) -> Source {
        Source::of(ip.parse().unwrap())
    }

    #[test]
    fn an_ipv6_host_is_its_64_and_a_network_is_a_48() {
        let one = source("2001:db8:1:2::3");
        assert_eq!(one, source("2001:db8:1:2:ffff::"));
        let neighbour = source("2001:db8:1:3::3");
        assert_eq!(neighbour.network, one.network);
        assert_ne!(neighbour.host, one.host);
        assert_ne!(source("2001:db8:2:2::3").network, one.network);
    }

    #[test]
    fn an_ipv4_address_is_a_network_of_its_own_however_it_is_written() {
        assert_eq!(source("192.0.2.1"), source("::ffff:192.0.2.1"));
        assert_ne!(source("192.0.2.1").network, source("192.0.2.2").network);
    }
}
