//! The fleet that a relay belongs to.

mod check;
mod files;
mod inside;
mod redis;

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use turn::Redirect;

use super::listener::Identity;
use super::secret::Secret;

pub(super) use check::{check, check_secrets};

/// The fleet that a relay belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    /// The fleet's name: what is in Redis begins with it, and its nodes' certificates name it.
    pub fleet: String,
    /// This node's name, which no other node has.
    pub node: String,
    /// Where it is; clients are sent to nodes of the same zone first. Empty where there are no zones.
    pub zone: String,
    /// What is sealed is sealed under this; the same on all nodes.
    pub fleet_key: Secret,
    /// How many allocations it is to have at most, as others see it.
    pub capacity: u32,
    /// Which clients are sent to another node.
    pub redirect: Redirect,
    /// Where state is shared.
    pub redis: Redis,
    /// Where nodes, operators and applications call it by gRPC; nowhere if nothing.
    pub grpc: Option<Grpc>,
    /// Where applications get credentials by HTTPS; nowhere if nothing.
    pub https: Option<Https>,
    /// What credentials are made of.
    pub issuing: Issuing,
}

/// Where state is shared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redis {
    /// What answers at `urls`.
    pub mode: RedisMode,
    /// `redis://host:port` or `rediss://host:port`, without a password.
    pub urls: Vec<String>,
    /// The ACL user; `default` if empty.
    pub username: String,
    /// Its password, if it has one.
    pub password: Option<Secret>,
    /// That of the Sentinels, if they have one.
    pub sentinel_password: Option<Secret>,
    /// PEM file of the authorities to trust; with none, the system's.
    pub ca_file: Option<PathBuf>,
    /// What this node shows for itself.
    pub identity: Option<Identity>,
}

/// What answers at the URLs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RedisMode {
    /// One server.
    Single,
    /// Sentinels, that tell of the primary with this name.
    Sentinel(String),
    /// Nodes of a Redis Cluster.
    Cluster,
}

/// gRPC, by mutual TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grpc {
    /// What is bound: an internal address.
    pub address: SocketAddr,
    /// What other nodes reach it by.
    pub advertised: SocketAddr,
    /// What it shows for itself, to callers and as a caller: with the name `relay.FLEET.edgerelay`.
    pub identity: Identity,
    /// PEM file of the authority that callers' certificates come from.
    pub ca_file: PathBuf,
    /// The names of certificates that may issue and revoke.
    pub issuers: Vec<String>,
    /// The names of certificates that may do all else too.
    pub operators: Vec<String>,
}

/// Credentials over HTTPS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Https {
    /// What is bound: an internal address.
    pub address: SocketAddr,
    /// What it shows for itself.
    pub identity: Identity,
    /// PEM file of the authority that clients' certificates come from, whose names are then looked up in `issuers`.
    pub ca_file: Option<PathBuf>,
    /// The names of client certificates that may issue.
    pub issuers: Vec<String>,
    /// Bearer tokens that may issue.
    pub tokens: Vec<Secret>,
}

/// What credentials are made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issuing {
    /// How long one is good for where nobody says.
    pub ttl: Duration,
    /// At most.
    pub max_ttl: Duration,
    /// What reaches the fleet by its load balancer, such as `turn:turn.example.org:3478?transport=udp`.
    pub urls: Vec<String>,
    /// Requests a second, of one caller.
    pub per_caller_per_second: u32,
    /// How long a secret is in use before the next one is; the credentials made with it stay good.
    pub rotation: Duration,
}

/// What the fleet is, for a person.
impl fmt::Display for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "fleet        {}, as {}", self.fleet, self.node)?;
        if !self.zone.is_empty() {
            write!(f, " in {}", self.zone)?;
        }
        let mode = match &self.redis.mode {
            RedisMode::Single => "at",
            RedisMode::Sentinel(_) => "by the Sentinels at",
            RedisMode::Cluster => "as a cluster at",
        };
        write!(f, "\nredis        {mode} {}", self.redis.urls.join(", "))?;
        if let Some(grpc) = &self.grpc {
            write!(f, "\ngrpc         {}", grpc.address)?;
            if grpc.advertised != grpc.address {
                write!(f, ", reached by {}", grpc.advertised)?;
            }
        }
        if let Some(https) = &self.https {
            write!(f, "\nhttps        {}", https.address)?;
        }
        Ok(())
    }
}
