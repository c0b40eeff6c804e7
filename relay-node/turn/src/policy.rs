//! Which peers may be reached: denied by default where a relay would open a network to strangers.

mod embedded;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use thiserror::Error;

use embedded::Embedding;

/// Judges the addresses that clients want to relay to.
///
/// An entry of the deny list weighs most, then one of the allow list, then what is refused by
/// default. A range on the allow list never opens the node itself or a cloud's metadata service: who means
/// them has to name that very address. IPv4 addresses inside of IPv6 ones are judged as well, by the same lists. The work is
/// that of walking the lists: this is for requests, not for packets.
#[derive(Clone, Debug, Default)]
pub struct PeerPolicy {
    allow: Vec<IpNet>,
    deny: Vec<IpNet>,
    own: Vec<IpAddr>,
}

/// Why a peer may not be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
pub enum Denied {
    /// On the configured deny list.
    #[error("the peer is on the deny list")]
    Listed,
    /// One of the node's own addresses.
    #[error("the peer address is the relay's own")]
    Own,
    /// `0.0.0.0/8`, `::`.
    #[error("the peer address is unspecified")]
    Unspecified,
    /// `127.0.0.0/8`, `::1`.
    #[error("the peer address is a loopback address")]
    Loopback,
    /// `169.254.0.0/16`, `fe80::/10`.
    #[error("the peer address is link-local")]
    LinkLocal,
    /// `224.0.0.0/4`, `ff00::/8`.
    #[error("the peer address is multicast")]
    Multicast,
    /// `255.255.255.255`.
    #[error("the peer address is the broadcast address")]
    Broadcast,
    /// RFC 1918.
    #[error("the peer address is private")]
    Private,
    /// `100.64.0.0/10` (RFC 6598).
    #[error("the peer address is of a carrier's shared address space")]
    SharedAddressSpace,
    /// `fc00::/7`, and the site-local `fec0::/10` before it.
    #[error("the peer address is unique-local")]
    UniqueLocal,
    /// Where clouds tell machines their secrets.
    #[error("the peer address is a cloud metadata service")]
    Metadata,
    /// Set aside for other purposes: `192.0.0.0/24`, `240.0.0.0/4`, `100::/64`.
    #[error("the peer address is reserved")]
    Reserved,
    /// An IPv4 address written as IPv6: IPv4-mapped, -compatible or -translated.
    #[error("the peer address is an IPv4 address written as IPv6")]
    Ipv4InIpv6,
}

impl Denied {
    /// Every reason.
    pub const ALL: [Self; 13] = [
        Self::Listed,
        Self::Own,
        Self::Unspecified,
        Self::Loopback,
        Self::LinkLocal,
        Self::Multicast,
        Self::Broadcast,
        Self::Private,
        Self::SharedAddressSpace,
        Self::UniqueLocal,
        Self::Metadata,
        Self::Reserved,
        Self::Ipv4InIpv6,
    ];

    /// The name in labels and logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Listed => "listed",
            Self::Own => "own",
            Self::Unspecified => "unspecified",
            Self::Loopback => "loopback",
            Self::LinkLocal => "link_local",
            Self::Multicast => "multicast",
            Self::Broadcast => "broadcast",
            Self::Private => "private",
            Self::SharedAddressSpace => "shared_address_space",
            Self::UniqueLocal => "unique_local",
            Self::Metadata => "metadata",
            Self::Reserved => "reserved",
            Self::Ipv4InIpv6 => "ipv4_in_ipv6",
        }
    }
}

impl Denied {
    /// Whether it stands until the allow list has that very address: what is the node itself, or tells
    /// its secrets, is not opened by the way.
    const fn is_only_opened_by_name(self) -> bool {
        matches!(self, Self::Own | Self::Unspecified | Self::Loopback | Self::Metadata)
    }
}

impl PeerPolicy {
    /// A policy with exceptions to the default, both ways, and the node's own addresses.
    pub fn new(allow: Vec<IpNet>, deny: Vec<IpNet>, own: Vec<IpAddr>) -> Self {
        Self { allow, deny, own }
    }

    /// Whether `peer`, one of the node's own addresses, is open to clients as a whole: any port of it.
    pub(crate) fn opens(&self, peer: IpAddr) -> bool {
        self.names(peer) && self.check(peer).is_ok()
    }

    /// Whether packets may be relayed to and from `peer`.
    ///
    /// # Errors
    /// The reason why not.
    pub fn check(&self, peer: IpAddr) -> Result<(), Denied> {
        self.check_outer(peer)?;
        let IpAddr::V6(v6) = peer else { return Ok(()) };
        match embedded::find(v6) {
            // No host has such an address: it is another way to write an IPv4 one.
            Some(Embedding::Notation(v4)) => {
                Err(self.check_outer(v4.into()).err().unwrap_or(Denied::Ipv4InIpv6))
            }
            Some(Embedding::Tunnel(inner)) => {
                inner.into_iter().flatten().try_for_each(|v4| self.check_outer(v4.into()))
            }
            None => Ok(()),
        }
    }

    /// Judges an address as it is written.
    fn check_outer(&self, peer: IpAddr) -> Result<(), Denied> {
        let within = |list: &[IpNet]| list.iter().any(|net| net.contains(&peer));
        if within(&self.deny) {
            return Err(Denied::Listed);
        }
        if self.names(peer) {
            return Ok(());
        }
        match self.check_default(peer) {
            Err(denied) if !denied.is_only_opened_by_name() && within(&self.allow) => Ok(()),
            checked => checked,
        }
    }

    /// Without the lists.
    fn check_default(&self, peer: IpAddr) -> Result<(), Denied> {
        if self.own.contains(&peer) {
            return Err(Denied::Own);
        }
        match peer {
            IpAddr::V4(v4) => match_first(&DENIED_V4, |net| net.contains(&v4)),
            IpAddr::V6(v6) => match_first(&DENIED_V6, |net| net.contains(&v6)),
        }
    }

    /// Whether the allow list has that very address, not only a range around it.
    fn names(&self, peer: IpAddr) -> bool {
        self.allow.iter().any(|net| net.prefix_len() == net.max_prefix_len() && net.addr() == peer)
    }
}

fn match_first<N>(table: &[(N, Denied)], contains: impl Fn(&N) -> bool) -> Result<(), Denied> {
    table.iter().find(|(net, _)| contains(net)).map_or(Ok(()), |(_, reason)| Err(*reason))
}

/// The narrower range first.
const DENIED_V4: [(Ipv4Net, Denied); 16] = [
    (v4(169, 254, 169, 254, 32), Denied::Metadata), // most clouds
    (v4(100, 100, 100, 200, 32), Denied::Metadata), // Alibaba Cloud
    (v4(168, 63, 129, 16, 32), Denied::Metadata),   // Azure
    (v4(192, 0, 0, 192, 32), Denied::Metadata),     // Oracle Cloud
    (v4(255, 255, 255, 255, 32), Denied::Broadcast),
    (v4(0, 0, 0, 0, 8), Denied::Unspecified),
    (v4(127, 0, 0, 0, 8), Denied::Loopback),
    (v4(169, 254, 0, 0, 16), Denied::LinkLocal),
    (v4(10, 0, 0, 0, 8), Denied::Private),
    (v4(172, 16, 0, 0, 12), Denied::Private),
    (v4(192, 168, 0, 0, 16), Denied::Private),
    (v4(100, 64, 0, 0, 10), Denied::SharedAddressSpace),
    (v4(224, 0, 0, 0, 4), Denied::Multicast),
    (v4(192, 0, 0, 0, 24), Denied::Reserved),
    (v4(192, 88, 99, 0, 24), Denied::Reserved), // the anycast address of 6to4 relays (RFC 7526)
    (v4(240, 0, 0, 0, 4), Denied::Reserved),
];

const DENIED_V6: [(Ipv6Net, Denied); 10] = [
    (v6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254), 128), Denied::Metadata), // AWS
    (v6(Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254), 128), Denied::Metadata),  // Google Cloud
    (v6(Ipv6Addr::UNSPECIFIED, 128), Denied::Unspecified),
    (v6(Ipv6Addr::LOCALHOST, 128), Denied::Loopback),
    (v6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10), Denied::LinkLocal),
    (v6(Ipv6Addr::new(0xfec0, 0, 0, 0, 0, 0, 0, 0), 10), Denied::UniqueLocal),
    (v6(Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0), 7), Denied::UniqueLocal),
    (v6(Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0), 8), Denied::Multicast),
    (v6(Ipv6Addr::new(0x100, 0, 0, 0, 0, 0, 0, 0), 64), Denied::Reserved), // discard only (RFC 6666)
    (v6(Ipv6Addr::new(0x5f00, 0, 0, 0, 0, 0, 0, 0), 16), Denied::Reserved), // segment routing (RFC 9602)
];

const fn v4(a: u8, b: u8, c: u8, d: u8, bits: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), bits)
}

const fn v6(address: Ipv6Addr, bits: u8) -> Ipv6Net {
    Ipv6Net::new_assert(address, bits)
}

#[cfg(test)]
mod tests;
