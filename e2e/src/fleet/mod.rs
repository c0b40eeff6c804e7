//! A fleet: three relays on hosts of their own, Redis, and a load balancer before them.

mod balancer;
mod newcomer;
mod region;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use testbed::Redis;

use crate::certificate::{Certificate, Key};
use crate::network::Family;
use crate::relay::Relay;

pub use balancer::{Balancer, Source, Spread};
pub use newcomer::{Newcomer, Way};
pub use region::{NODES, Region};

/// Where a node listens on its inner address for what comes from the balancer, over UDP and TCP.
const FIRST_CONTACT_PORT: u16 = 13478;
/// The same over TLS.
const FIRST_CONTACT_TLS_PORT: u16 = 15349;

/// Nodes that run.
#[derive(Debug)]
pub struct Fleet<'r> {
    /// By their numbers; those that a test has killed stay there.
    pub nodes: Vec<Relay<'r>>,
    /// What they share their state through.
    pub redis: Redis,
}

impl<'r> Fleet<'r> {
    /// Starts Redis and all nodes, and waits until they are ready.
    pub fn start(region: &'r Region) -> Self {
        Self::with(region, &[])
    }

    /// The same with settings of its own on all nodes.
    pub fn with(region: &'r Region, settings: &[(&str, &str)]) -> Self {
        let redis = Redis::inside(&region.store, Region::store_address(), &[]);
        let hosts = region.hosts().chain([&region.balancer]);
        let addresses: Vec<_> = hosts.flat_map(|host| [host.v4.into(), host.v6.into()]).collect();
        let certificate = Arc::new(Certificate::for_addresses(&addresses, Key::Ecdsa));
        let hosts = region.hosts().enumerate();
        let nodes = hosts.map(|(node, host)| {
            let more = configuration(node, &certificate);
            Relay::on(host, Arc::clone(&certificate), &more, settings)
        });
        let mut fleet = Self { nodes: nodes.collect(), redis };
        fleet.nodes.iter_mut().for_each(Relay::await_ready);
        fleet
    }

    /// The authority behind its nodes' certificates.
    pub fn authority(&self) -> PathBuf {
        self.nodes[0].certificate().authority()
    }
}

/// What a node has in its configuration beside what every relay has.
fn configuration(node: usize, certificate: &Certificate) -> String {
    let mut text = String::new();
    for family in [Family::V4, Family::V6] {
        let inner = Region::inner(node, family);
        for transport in ["udp", "tcp"] {
            let address = SocketAddr::new(inner, FIRST_CONTACT_PORT);
            text += &format!("[[listeners]]\ntransport = {transport:?}\naddress = \"{address}\"\n");
        }
        let address = SocketAddr::new(inner, FIRST_CONTACT_TLS_PORT);
        text += &format!(
            "[[listeners]]\ntransport = \"tls\"\naddress = \"{address}\"\ncertificate = {:?}\nkey = {:?}\n",
            certificate.chain(),
            certificate.key(),
        );
    }
    text += "[nonce]\nkeys = [\"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\"]\n";
    text
}
