//! The hosts of a fleet: nodes with public addresses, the balancer before them, and an inner network that they share
//! with Redis.
//!
//! ```text
//!  alice  bob  peer                   203.0.113.0/24, 2001:db8::/32: a public address for each host
//!    └─────┴────┴─── router ──┬── balancer ──┐
//!                             ├── node 1 ────┤
//!                             ├── node 2 ────┤ 10.77.0.0/24, fd77::/64: the inner network
//!                             └── node 3 ────┤
//!                                  store ────┘
//! ```
//!
//! The balancer reaches nodes by their inner addresses, and what leaves from there goes back by way of the balancer, as
//! with a cloud's load balancer. All else goes between a client and a node's public address.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::process::Command;

use testbed::{Namespace, NamespaceError};

use crate::network::{Family, Network, Party};

/// How many nodes there are.
pub const NODES: usize = 3;

/// What the balancer and the store are in the inner network; nodes are 1, 2 and so on.
const BALANCER: u16 = 100;
const STORE: u16 = 200;
/// Where routers' own numbers of parties go on after those of [`Network`].
const FIRST: u8 = 5;
/// The routing table for what leaves from an inner address.
const TABLE: &str = "77";

/// The hosts; they go with the value.
#[derive(Debug)]
pub struct Region {
    /// Clients, a peer, and the first node, which is the relay there.
    pub network: Network,
    /// The load balancer, whose public address is the fleet's.
    pub balancer: Party,
    /// Where Redis runs; it has no public address.
    pub store: Namespace,
    others: Vec<Party>,
    _switch: Switch,
}

impl Region {
    /// Builds it. Waits while another scenario of this process has a network.
    pub fn new() -> Self {
        Self::build().unwrap_or_else(|error| panic!("{error}"))
    }

    /// The host of a node, counted from 0.
    pub fn host(&self, node: usize) -> &Party {
        node.checked_sub(1).map_or(&self.network.relay, |other| &self.others[other])
    }

    /// The hosts of all nodes.
    pub fn hosts(&self) -> impl Iterator<Item = &Party> {
        (0..NODES).map(|node| self.host(node))
    }

    /// The number of the node with this public address.
    pub fn node_at(&self, address: IpAddr) -> Option<usize> {
        self.hosts().position(|host| address == host.v4 || address == host.v6)
    }

    /// The inner address of a node.
    pub fn inner(node: usize, family: Family) -> IpAddr {
        address(node as u16 + 1, family)
    }

    /// The address of the store.
    pub fn store_address() -> IpAddr {
        address(STORE, Family::V4)
    }

    fn build() -> Result<Self, NamespaceError> {
        let network = Network::new();
        let join = |role: &str, number| Party::join(network.router(), role, number);
        let balancer = join("balancer", FIRST)?;
        let others = (1..NODES).map(|node| join(&format!("node{node}"), FIRST + node as u8));
        let others = others.collect::<Result<Vec<_>, _>>()?;
        let (switch, store) = (Switch::new()?, Namespace::new()?);
        switch.plug(&store, STORE)?;
        switch.plug(&balancer.namespace, BALANCER)?;
        balancer.namespace.sysctl("ipv4/ip_forward", "1")?;
        balancer.namespace.sysctl("ipv6/conf/all/forwarding", "1")?;
        let region = Self { network, balancer, store, others, _switch: switch };
        for (number, host) in region.hosts().enumerate() {
            region._switch.plug(&host.namespace, number as u16 + 1)?;
            for family in [Family::V4, Family::V6] {
                goes_back_by_the_balancer(&host.namespace, number, family);
            }
        }
        Ok(region)
    }
}

impl Default for Region {
    fn default() -> Self {
        Self::new()
    }
}

/// What the inner network's hosts are connected by.
#[derive(Debug)]
struct Switch(Namespace);

impl Switch {
    fn new() -> Result<Self, NamespaceError> {
        let namespace = Namespace::new()?;
        namespace.configure("link add bridge type bridge\nlink set bridge up\n")?;
        Ok(Self(namespace))
    }

    fn plug(&self, host: &Namespace, number: u16) -> Result<(), NamespaceError> {
        let [v4, v6] = [Family::V4, Family::V6].map(|family| address(number, family));
        self.0.configure(&format!(
            "link add port{number} type veth peer name inner netns {}\n\
             link set port{number} master bridge up\n",
            host.path()
        ))?;
        host.configure(&format!(
            "addr add {v4}/24 dev inner\n\
             addr add {v6}/64 dev inner nodad\n\
             link set inner up\n"
        ))
    }
}

fn goes_back_by_the_balancer(host: &Namespace, node: usize, family: Family) {
    let (option, net) = match family {
        Family::V4 => ("-4", "10.77.0.0/24"),
        Family::V6 => ("-6", "fd77::/64"),
    };
    let (from, balancer) = (Region::inner(node, family).to_string(), address(BALANCER, family).to_string());
    for line in [
        &["rule", "add", "from", &from, "lookup", TABLE][..],
        &["route", "add", net, "dev", "inner", "table", TABLE],
        &["route", "add", "default", "via", &balancer, "table", TABLE],
    ] {
        run(host.command("ip").arg(option).args(line));
    }
}

fn run(command: &mut Command) {
    let status = command.status().expect("iproute2 is installed by e2e/test");
    assert!(status.success(), "{command:?}: {status}");
}

fn address(number: u16, family: Family) -> IpAddr {
    match family {
        Family::V4 => Ipv4Addr::new(10, 77, 0, number as u8).into(),
        Family::V6 => Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, number).into(),
    }
}
