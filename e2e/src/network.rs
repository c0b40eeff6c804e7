//! The network of a scenario: a router, and a relay, two clients and a peer around it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};

use testbed::{Namespace, NamespaceError, descriptors};

/// Scenarios of one test binary run one at a time: they measure memory and share two cores.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Four parties, each in a subnet of its own behind one router.
#[derive(Debug)]
pub struct Network {
    /// Where the relay runs.
    pub relay: Party,
    /// The first client.
    pub alice: Party,
    /// The second client, or an attacker.
    pub bob: Party,
    /// A peer that speaks plain UDP.
    pub peer: Party,
    router: Namespace,
    _turn: MutexGuard<'static, ()>,
}

/// One host: a namespace with a public IPv4 and a public IPv6 address.
#[derive(Debug)]
pub struct Party {
    /// The namespace that the host is.
    pub namespace: Namespace,
    /// Its IPv4 address.
    pub v4: Ipv4Addr,
    /// Its IPv6 address.
    pub v6: Ipv6Addr,
}

/// The family of the addresses that a scenario uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// IPv4
    V4,
    /// IPv6
    V6,
}

impl Network {
    /// Builds the network. Waits while another scenario of this process has one.
    pub fn new() -> Self {
        Self::build().unwrap_or_else(|error| panic!("{error}"))
    }

    /// Routes an IPv4 range to a party.
    pub fn route(&self, range: &str, to: &Party) {
        let route = format!("route add {range} via {}\n", to.v4);
        self.router.configure(&route).unwrap_or_else(|error| panic!("{error}"));
    }

    /// Loses what is sent to an IPv4 range, as if nobody had its addresses.
    pub fn nobody_has(&self, range: &str) {
        let route = format!("route add blackhole {range}\n");
        self.router.configure(&route).unwrap_or_else(|error| panic!("{error}"));
    }

    /// What all parties are connected to.
    pub fn router(&self) -> &Namespace {
        &self.router
    }

    /// Gives a party `count` addresses more, each of which counts as a source of its own.
    pub fn addresses(&self, count: u8, to: &Party) -> Vec<Ipv4Addr> {
        self.route("198.18.0.0/24", to);
        let addresses: Vec<_> = (1..=count).map(|host| Ipv4Addr::new(198, 18, 0, host)).collect();
        let lines: String = addresses.iter().map(|ip| format!("addr add {ip}/32 dev lo\n")).collect();
        to.namespace.configure(&lines).unwrap_or_else(|error| panic!("{error}"));
        addresses
    }

    fn build() -> Result<Self, NamespaceError> {
        let turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        descriptors::raise_limit();
        let router = Namespace::new()?;
        router.sysctl("ipv4/ip_forward", "1")?;
        router.sysctl("ipv6/conf/all/forwarding", "1")?;
        Ok(Self {
            relay: Party::join(&router, "relay", 1)?,
            alice: Party::join(&router, "alice", 2)?,
            bob: Party::join(&router, "bob", 3)?,
            peer: Party::join(&router, "peer", 4)?,
            router,
            _turn: turn,
        })
    }
}

impl Default for Network {
    fn default() -> Self {
        Self::new()
    }
}

impl Party {
    /// The address of a family.
    pub fn address(&self, family: Family) -> IpAddr {
        match family {
            Family::V4 => self.v4.into(),
            Family::V6 => self.v6.into(),
        }
    }

    pub(crate) fn join(router: &Namespace, role: &str, number: u8) -> Result<Self, NamespaceError> {
        let namespace = Namespace::new()?;
        let first = number * 8 + 1;
        let (gateway4, v4) = (Ipv4Addr::new(203, 0, 113, first), Ipv4Addr::new(203, 0, 113, first + 1));
        let subnet = 0x10 + u16::from(number);
        let gateway6 = Ipv6Addr::new(0x2001, 0xdb8, subnet, 0, 0, 0, 0, 1);
        let v6 = Ipv6Addr::new(0x2001, 0xdb8, subnet, 0, 0, 0, 0, 2);
        router.configure(&format!(
            "link add {role} type veth peer name eth0 netns {}\n\
             addr add {gateway4}/29 dev {role}\n\
             addr add {gateway6}/64 dev {role} nodad\n\
             link set {role} up\n",
            namespace.path()
        ))?;
        namespace.configure(&format!(
            "addr add {v4}/29 dev eth0\n\
             addr add {v6}/64 dev eth0 nodad\n\
             link set eth0 up\n\
             route add default via {gateway4}\n\
             route add ::/0 via {gateway6}\n"
        ))?;
        Ok(Self { namespace, v4, v6 })
    }
}
