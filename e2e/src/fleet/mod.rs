//! A fleet: three relays on hosts of their own, Redis, and a load balancer before them.

mod balancer;
mod configuration;
mod newcomer;
mod region;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use testbed::{Redis, eventually, eventually_true};

use crate::binary;
use crate::certificate::{Certificate, Key};
use crate::credential::Credential;
use crate::network::Family;
use crate::relay::Relay;

pub use balancer::{Balancer, Source, Spread};
pub use configuration::{NAME, grpc_address, node_name};
pub use newcomer::{Newcomer, Way};
pub use region::{NODES, Region};

/// Where a node listens on its inner address for what comes from the balancer, over UDP and TCP.
const FIRST_CONTACT_PORT: u16 = 13478;
/// The same over TLS.
const FIRST_CONTACT_TLS_PORT: u16 = 15349;
/// How long what happens within seconds may take on a busy machine.
const SOON: Duration = Duration::from_secs(20);

/// Nodes that run.
#[derive(Debug)]
pub struct Fleet<'r> {
    region: &'r Region,
    /// By their numbers; those that a test has killed stay there.
    pub nodes: Vec<Relay<'r>>,
    /// What they share their state through.
    pub redis: Redis,
    internal: Certificate,
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
        let internal = Certificate::for_name(configuration::NODES_CERTIFICATE);
        let hosts = region.hosts().enumerate();
        let nodes = hosts.map(|(node, host)| {
            let more = configuration::of(node, &redis.url(), &certificate, &internal);
            Relay::on(host, Arc::clone(&certificate), &more, settings)
        });
        let mut fleet = Self { region, nodes: nodes.collect(), redis, internal };
        fleet.nodes.iter_mut().for_each(Relay::await_ready);
        fleet.await_whole();
        fleet.await_agreement();
        fleet
    }

    /// Waits until every node knows all of them.
    ///
    /// # Panics
    /// When one does not in time.
    pub fn await_whole(&self) {
        eventually_true(SOON, "every node to know all of them", || {
            self.nodes.iter().all(|node| is(node, "up", 1) && is(node, "nodes_known", NODES))
        });
    }

    /// Waits until nodes take each other's nonces: they have started at once, each with a key of its own.
    fn await_agreement(&self) {
        let balancer = Balancer::new(self.region, Spread::EachDatagram, Source::Kept);
        let is_served = || {
            let mut newcomer = Newcomer::new(&self.region.network.bob, &balancer, Family::V4, "first");
            match newcomer.ask() {
                Ok(Way::Go(there)) => newcomer.go_to(there).and_then(|mut client| client.refresh(0)).is_ok(),
                Ok(Way::Stay) | Err(_) => false,
            }
        };
        eventually_true(SOON, "nodes to take each other's nonces", || (0..10).all(|_| is_served()));
    }

    /// Waits until every node says that the fleet's Redis is out of reach, and that it serves all the same.
    ///
    /// # Panics
    /// When one does not in time, or says that it does not serve.
    pub fn await_degraded(&self) {
        eventually_true(SOON, "every node to say that it is degraded", || {
            self.nodes.iter().all(|node| {
                let (status, text) = node.readiness();
                assert_eq!(status, 200, "{text}");
                text.contains("Redis") && is(node, "up", 0)
            })
        });
    }

    /// What the fleet answers when an operator gives a command by a node, such as `drain`; the error is what it refuses
    /// with.
    pub fn command(&self, node: usize, command: &[&str]) -> Result<Value, String> {
        let [certificate, key] = self.internal.for_client(configuration::OPERATOR);
        let mut edgerelay = self.region.host(node).namespace.command(&binary::relay().to_string_lossy());
        edgerelay.args(command).args(["--fleet", NAME, "--output", "json"]);
        edgerelay.args(["--address", &grpc_address(node).to_string()]);
        edgerelay.arg("--certificate").arg(certificate).arg("--key").arg(key);
        edgerelay.arg("--ca-file").arg(self.internal.authority());
        let output = edgerelay.output().expect("the relay is built");
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned());
        }
        Ok(serde_json::from_slice(&output.stdout).expect("it is JSON"))
    }

    /// A credential that the fleet gives out for a client that goes where it is sent.
    ///
    /// # Panics
    /// When it does not in time.
    pub fn issue(&self, user: &str) -> Credential {
        let command = ["issue", "--user", user, "--follows-redirects"];
        // Until the fleet has agreed upon a secret, there is none.
        let issued = eventually(SOON, "a credential", || self.command(0, &command).ok());
        let field = |name: &str| issued[name].as_str().expect("a text").to_owned();
        Credential { username: field("username"), password: field("password") }
    }

    /// The authority behind its nodes' certificates.
    pub fn authority(&self) -> PathBuf {
        self.nodes[0].certificate().authority()
    }
}

/// Whether a node says that about its fleet, which it does not from its first moment on.
fn is(node: &Relay<'_>, what: &str, value: usize) -> bool {
    let (metrics, wanted) = (node.metrics(), format!("edgerelay_cluster_{what} {value}"));
    metrics.lines().any(|line| line == wanted)
}
