//! What a node tells of itself, and what of that others believe.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::{borrow, fmt};

use thiserror::Error;
use turn::{AddressFamily, Transport};

use crate::cluster::Incarnation;
use crate::cluster::node::{Load, TlsNames};

/// What a node tells of itself each second.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Which node.
    pub name: NodeName,
    /// Which life of it.
    pub life: Life,
    /// How often it has told of itself in that life.
    pub renewal: u64,
    /// When, in milliseconds since 1970, by its own clock.
    pub told_at: u64,
    /// Where clients reach it without a load balancer: at most one for each transport and family.
    pub addresses: Vec<(Transport, SocketAddr)>,
    /// What its certificate says, if it has one for clients.
    pub tls: Option<TlsNames>,
    /// Empty where there are no zones.
    pub zone: String,
    /// Of its program.
    pub version: String,
    /// Where other nodes call it.
    pub internal: Option<SocketAddr>,
    /// How much it has to do.
    pub load: Load,
    /// What makes it less than whole, for a person; empty if nothing does.
    pub degraded: String,
}

/// One run of a node's program, from its start to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Life {
    /// In milliseconds since 1970: of two nodes with one name, the one that began later is the one that is meant.
    pub began_at: u64,
    /// Made at random.
    pub incarnation: u64,
}

impl Life {
    /// One that begins now.
    pub fn begin(incarnation: Incarnation) -> Self {
        Self { began_at: super::unix_millis(), incarnation: incarnation.0 }
    }
}

/// A node's name: letters, digits, `.`, `_` and `-`, at most [`NodeName::LONGEST`]. Fit for a key or a log line.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeName(Arc<str>);

impl NodeName {
    /// In bytes: as long as the name of a Kubernetes node.
    pub const LONGEST: usize = 253;

    /// Checks a name.
    pub fn new(name: &str) -> Option<Self> {
        let fits = (1..=Self::LONGEST).contains(&name.len());
        let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
        (fits && plain).then(|| Self(name.into()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl borrow::Borrow<str> for NodeName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// Why an entry is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Distrust {
    /// Longer than any that a node writes.
    #[error("it is longer than a node's entry can be")]
    TooLong,
    /// Not sealed under the fleet key for this name.
    #[error("it is not sealed under the fleet key")]
    Seal,
    /// Sealed, but no entry.
    #[error("it cannot be read")]
    Garbled,
    /// Of another node.
    #[error("it is another node's")]
    Name,
    /// Where nobody may be sent.
    #[error("it has an address where no client can be sent")]
    Address,
    /// It does not go with the node's life.
    #[error("it never expires")]
    Lasting,
    /// Told too long ago, or written again after a newer one.
    #[error("it is an old one, or the node's clock is wrong")]
    Old,
}

impl Entry {
    /// Takes what was read for `name` at `now`, in milliseconds since 1970.
    pub(super) fn check(self, name: &NodeName, now: u64) -> Result<Self, Distrust> {
        if self.name != *name {
            return Err(Distrust::Name);
        }
        if self.told_at.abs_diff(now) > CLOCKS_APART {
            return Err(Distrust::Old);
        }
        if !self.addresses.iter().all(|(_, address)| is_public(*address)) {
            return Err(Distrust::Address);
        }
        Ok(self)
    }

    /// In which of the fleet's sorted sets it is.
    pub fn families(&self) -> impl Iterator<Item = AddressFamily> {
        let has =
            |family| self.addresses.iter().any(|(_, address)| AddressFamily::of(address.ip()) == family);
        [AddressFamily::V4, AddressFamily::V6].into_iter().filter(move |family| has(*family))
    }

    /// How many more allocations it can take.
    pub(super) const fn free(&self) -> u32 {
        self.load.capacity.saturating_sub(self.load.allocations)
    }

    /// What orders nodes by load, the emptiest first: the part of its capacity that is taken, and after all those
    /// who take calls those who do not.
    pub(super) fn rank(&self) -> f64 {
        let taken = f64::from(self.load.allocations) / f64::from(self.load.capacity.max(1));
        taken.min(1.0) + if self.load.draining { 2.0 } else { 0.0 }
    }
}

/// How far nodes' clocks may be apart, in milliseconds. An entry that somebody keeps and writes back later is
/// refused for its age; credentials need clocks that are about right anyway.
pub(super) const CLOCKS_APART: u64 = 60_000;

/// Whether clients may be sent there at all: no loopback, which libwebrtc refuses, nothing that means another host to
/// each who reads it.
pub fn is_public(address: SocketAddr) -> bool {
    let ip = match address.ip() {
        IpAddr::V4(ip) => {
            !(ip.is_loopback()
                || ip.is_unspecified()
                || ip.is_multicast()
                || ip.is_broadcast()
                || ip.is_link_local())
        }
        IpAddr::V6(ip) => {
            !(ip.is_loopback()
                || ip.is_unspecified()
                || ip.is_multicast()
                || ip.is_unicast_link_local()
                || is_v4_within(ip))
        }
    };
    ip && address.port() != 0
}

/// IPv4-mapped and IPv4-compatible addresses: another family than they say.
fn is_v4_within(ip: Ipv6Addr) -> bool {
    ip.to_ipv4().is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_sent_to_an_address_that_means_another_host_to_each() {
        let bad = [
            "127.0.0.1:3478",
            "0.0.0.0:3478",
            "224.0.0.1:3478",
            "255.255.255.255:3478",
            "169.254.169.254:3478",
            "192.0.2.1:0",
            "[::1]:3478",
            "[::]:3478",
            "[ff02::1]:3478",
            "[fe80::1]:3478",
            "[::ffff:192.0.2.1]:3478",
            "[::192.0.2.1]:3478",
        ];
        for address in bad {
            assert!(!is_public(address.parse().unwrap()), "{address}");
        }
        for address in ["192.0.2.1:3478", "10.0.0.1:3478", "[2001:db8::1]:3478", "[fd00::1]:5349"] {
            assert!(is_public(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn a_name_is_fit_for_a_key_and_a_log_line() {
        for name in ["a", "node-1.example_org", &"n".repeat(253)] {
            assert!(NodeName::new(name).is_some(), "{name}");
        }
        for name in ["", "a b", "a\n", "{a}", "a:b", "\u{e9}", &"n".repeat(254)] {
            assert!(NodeName::new(name).is_none(), "{name}");
        }
    }
}
