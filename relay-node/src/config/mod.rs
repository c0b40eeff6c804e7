//! The one configuration: written in layers, checked in one pass, typed from there on.
//!
//! [`Layers`] gathers what a file, the environment and flags say. [`Config::load`] turns that into a
//! [`Config`] that nothing has to check again, or into every [`Problem`] that there is. `document`
//! holds the settings as written, with their defaults; each section has a file that checks it.

mod cluster;
mod credentials;
mod document;
mod files;
mod host;
mod kept;
mod layers;
mod limit;
mod listener;
mod local_ports;
mod names;
mod offer;
mod peers;
mod problem;
mod recovery;
mod relay;
mod secret;
mod service_links;
mod telemetry;
mod value;

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use turn::{Lifetimes, Quota, Realm, Transport};

pub use cluster::{Cluster, Grpc, Https, Issuing, Redis, RedisMode};
pub use credentials::{Credentials, Nonce};
pub use files::{File, Files};
pub use host::Host;
pub use kept::Kept;
pub use layers::{Layers, is_secret, value_of};
pub use listener::{Identity, Listener};
pub use local_ports::LocalPorts;
pub use offer::Offer;
pub use peers::Peers;
pub use problem::{Problem, Problems};
pub use recovery::{Recovery, TakeOver};
pub use relay::Relay;
pub use secret::Secret;
pub use telemetry::{LogFormat, Telemetry};

use crate::worker::StreamLimits;

use document::Document;

/// RFC 8489 section 14.14.
const MOST_SOFTWARE: usize = 127;
/// More threads than this are a slip of the pen.
const MOST_WORKERS: usize = 1024;

/// A checked configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// What clients are told, and what their keys are derived from.
    pub realm: Realm,
    /// The SOFTWARE attribute of answers, if any.
    pub software: Option<String>,
    /// How long a drain waits for allocations to end.
    pub drain_deadline: Duration,
    /// How often files are looked at for changes.
    pub reload_interval: Duration,
    /// Where clients connect.
    pub listeners: Vec<Listener>,
    /// What peers see.
    pub relay: Relay,
    /// Who may relay.
    pub credentials: Credentials,
    /// How nonces are made.
    pub nonce: Nonce,
    /// Which peers may be reached.
    pub peers: Peers,
    /// How much of everything.
    pub limits: Limits,
    /// How long allocations live.
    pub lifetimes: Lifetimes,
    /// How many threads serve packets.
    pub workers: Workers,
    /// What outlives the process.
    pub recovery: Recovery,
    /// The fleet that it belongs to, if any.
    pub cluster: Option<Cluster>,
    /// Where the admin server listens.
    pub admin: SocketAddr,
    /// What is told to whom.
    pub telemetry: Telemetry,
    /// What stops nothing and should be known all the same, in sentences.
    pub warnings: Vec<String>,
}

/// How much of everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Of one user.
    pub user: Quota,
    /// Of all users.
    pub total: Quota,
    /// Answers to who has not shown that it can be reached.
    pub answers: turn::AnswerLimits,
    /// TCP and TLS connections.
    pub streams: StreamLimits,
}

/// The threads that serve packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Workers {
    /// How many.
    pub count: usize,
    /// Whether each stays on a core of its own.
    pub pin: bool,
}

impl Config {
    /// Checks what the layers say, on the machine `host`, and reads the files that it names. Beside it comes
    /// what makes it again when those are gone.
    ///
    /// # Errors
    /// Every problem that there is, unless the document does not even have the right shape.
    pub fn load(layers: Layers, host: Host) -> Result<(Self, Kept), Problems> {
        let kept = Kept::new(layers, host);
        Ok((kept.load()?, kept))
    }

    fn of(layers: &Layers, host: &Host, files: &Files) -> Result<Self, Problems> {
        let document = layers.document()?;
        let mut problems = Problems::default();
        match check(&mut problems, files, &document, host) {
            Some(mut config) if problems.is_empty() => {
                layers.warn(&mut problems);
                config.warnings = problems.take_warnings();
                Ok(config)
            }
            _ => Err(problems),
        }
    }

    /// This configuration as a relay takes it that was started with `started`, and the settings that
    /// wait for a restart: they stay as they were.
    pub fn taken_while_running(mut self, started: &Self) -> (Self, Vec<&'static str>) {
        let mut waiting = Vec::new();
        let waits = &mut waiting;
        keep(waits, "reload_interval", &mut self.reload_interval, &started.reload_interval);
        keep(waits, "listeners", &mut self.listeners, &started.listeners);
        // Those that live are bound to them.
        keep(waits, "relay.addresses", &mut self.relay.addresses, &started.relay.addresses);
        keep(waits, "relay.ports", &mut self.relay.ports, &started.relay.ports);
        keep(waits, "limits.streams", &mut self.limits.streams, &started.limits.streams);
        keep(waits, "workers", &mut self.workers, &started.workers);
        keep(waits, "recovery", &mut self.recovery, &started.recovery);
        keep(waits, "cluster", &mut self.cluster, &started.cluster);
        keep(waits, "admin", &mut self.admin, &started.admin);
        keep(waits, "telemetry", &mut self.telemetry, &started.telemetry);
        self.peers.add_own(peers::reached_by(&self.listeners, &self.relay));
        (self, waiting)
    }
}

/// Keeps a setting as it was, and notes if it was to become another.
fn keep<T: Clone + PartialEq>(waiting: &mut Vec<&'static str>, name: &'static str, new: &mut T, old: &T) {
    if new != old {
        waiting.push(name);
        new.clone_from(old);
    }
}

/// Checks every section; a result may still be wrong where a problem was noted.
fn check(problems: &mut Problems, files: &Files, document: &Document, host: &Host) -> Option<Config> {
    let second = Duration::from_secs(1);
    let realm = Realm::new(&document.realm);
    if let Err(error) = &realm {
        problems.add(
            "realm",
            &document.realm,
            error.to_string(),
            "A domain name such as \"example.org\" will do",
        );
    }
    let software = software(problems, &document.software);
    let drain_deadline =
        value::duration(problems, "drain_deadline", &document.drain_deadline, Duration::ZERO);
    let reload_interval = value::duration(problems, "reload_interval", &document.reload_interval, second);
    let listeners =
        listener::check(problems, files, &document.listeners, document.cluster.fleet.is_some(), host);
    let relay = relay::check(problems, &document.relay, host, &listeners);
    let cluster = cluster::check(problems, files, &document.cluster, document.limits.total.allocations);
    let credentials =
        credentials::check(problems, files, &document.credentials, document.cluster.fleet.is_some());
    if let Some(cluster) = &cluster {
        cluster::check_secrets(problems, cluster, credentials.rest_secrets.len());
    }
    let nonce = credentials::check_nonce(problems, files, &document.nonce);
    let mut peers = peers::check(problems, &document.peers, host);
    if let Some(relay) = &relay {
        peers.add_own(peers::reached_by(&listeners, relay));
    }
    let user = limit::check_quota(problems, "user", &document.limits.user);
    let total = limit::check_quota(problems, "total", &document.limits.total);
    let answers = limit::check_answers(problems, &document.limits.answers);
    let streams = limit::check_streams(problems, &document.limits.streams);
    let lifetimes = limit::check_lifetimes(problems, &document.lifetimes);
    let count = workers(problems, document.workers.count, host);
    let recovery = recovery::check(problems, &document.recovery);
    if let (Some(recovery), Some(relay)) = (&recovery, &relay) {
        recovery::warn_of_local_ports(problems, recovery, relay, host);
    }
    let admin = value::socket_address(problems, "admin.address", &document.admin.address);
    let telemetry = telemetry::check(problems, &document.telemetry);
    Some(Config {
        realm: realm.ok()?,
        software,
        drain_deadline: drain_deadline?,
        reload_interval: reload_interval?,
        listeners,
        relay: relay?,
        credentials,
        nonce: nonce?,
        peers,
        limits: Limits { user, total, answers, streams: streams? },
        lifetimes: lifetimes?,
        workers: Workers { count, pin: document.workers.pin },
        recovery: recovery?,
        cluster,
        admin: admin?,
        telemetry: telemetry?,
        warnings: Vec::new(),
    })
}

fn software(problems: &mut Problems, text: &str) -> Option<String> {
    if text.chars().count() > MOST_SOFTWARE || text.chars().any(char::is_control) {
        problems.add(
            "software",
            text,
            "clients could not show this",
            format!("Write at most {MOST_SOFTWARE} characters, none of them a control character"),
        );
    }
    (!text.is_empty()).then(|| text.to_owned())
}

fn workers(problems: &mut Problems, count: Option<usize>, host: &Host) -> usize {
    match count {
        None => host.cores,
        Some(count @ 1..=MOST_WORKERS) => count,
        Some(count) => {
            let fix = format!("Write 1 to {MOST_WORKERS}, or leave it out for one for each core");
            problems.add("workers.count", count, "this is no number of threads to serve with", fix);
            host.cores
        }
    }
}

/// What would run, for a person.
impl fmt::Display for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "realm        {}", self.realm.as_str())?;
        for Listener { transport, address, advertised, first_contact, proxies, identity } in &self.listeners {
            write!(f, "listener     {} {address}", transport.name())?;
            if *transport == Transport::Tcp && identity.is_some() {
                write!(f, ", and tls")?;
            }
            if let Some(advertised) = advertised {
                write!(f, ", reached by {advertised}")?;
            }
            if *first_contact {
                write!(f, ", for first contact")?;
            }
            if !proxies.is_empty() {
                let proxies: Vec<_> = proxies.iter().map(ToString::to_string).collect();
                write!(f, ", by PROXY protocol v2 from {}", proxies.join(", "))?;
            }
            writeln!(f)?;
        }
        for address in [self.relay.addresses.v4, self.relay.addresses.v6].into_iter().flatten() {
            let (first, last) = (self.relay.ports.start(), self.relay.ports.end());
            write!(f, "relay        {} ports {first}-{last}", address.bind)?;
            let differs = address.advertised != address.bind;
            writeln!(
                f,
                "{}",
                if differs { format!(", seen as {}", address.advertised) } else { String::new() }
            )?;
        }
        let Credentials { users, rest_secrets } = &self.credentials;
        writeln!(f, "credentials  {} users, {} secrets", users.len(), rest_secrets.len())?;
        for (verb, ranges) in [("allowed", &self.peers.allow), ("refused", &self.peers.deny)] {
            if !ranges.is_empty() {
                let ranges: Vec<_> = ranges.iter().map(ToString::to_string).collect();
                writeln!(f, "peers        {verb}: {}", ranges.join(", "))?;
            }
        }
        writeln!(f, "workers      {}", self.workers.count)?;
        writeln!(f, "recovery     {}", self.recovery)?;
        if let Some(cluster) = &self.cluster {
            writeln!(f, "{cluster}")?;
        }
        write!(f, "admin        http://{}", self.admin)?;
        self.warnings.iter().try_for_each(|warning| write!(f, "\nwarning      {warning}"))
    }
}
