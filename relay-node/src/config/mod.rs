//! The one configuration: written in layers, checked in one pass, typed from there on.
//!
//! [`Layers`] gathers what a file, the environment and flags say. [`Config::check`] turns that into a
//! [`Config`] that nothing has to check again, or into every [`Problem`] that there is. `document`
//! holds the settings as written, with their defaults; each section has a file that checks it.

mod credentials;
mod document;
mod host;
mod layers;
mod limit;
mod listener;
mod problem;
mod relay;
mod secret;
mod value;

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use axum::http::Uri;
use ipnet::IpNet;
use tracing_subscriber::filter::{LevelFilter, Targets};
use turn::{Lifetimes, Quota, Realm};

pub use credentials::{Credentials, Nonce};
pub use host::Host;
pub use layers::{Layers, is_secret, value_of};
pub use limit::{Answers, Streams};
pub use listener::{Identity, Listener};
pub use problem::{Problem, Problems};
pub use relay::Relay;
pub use secret::Secret;

use document::{Document, PeersSection, TelemetrySection};

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
    /// Where the admin server listens.
    pub admin: SocketAddr,
    /// What is told to whom.
    pub telemetry: Telemetry,
}

/// Which peers may be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peers {
    /// Exceptions to what is refused by default.
    pub allow: Vec<IpNet>,
    /// Refused in any case.
    pub deny: Vec<IpNet>,
    /// The machine's own addresses, refused unless allowed.
    pub own: Vec<IpAddr>,
}

/// How much of everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Of one user.
    pub user: Quota,
    /// Of all users.
    pub total: Quota,
    /// Answers to requests without proof of credentials.
    pub answers: Answers,
    /// TCP and TLS connections.
    pub streams: Streams,
}

/// The threads that serve packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Workers {
    /// How many.
    pub count: usize,
    /// Whether each stays on a core of its own.
    pub pin: bool,
}

/// Logs, metrics and traces.
#[derive(Clone, Debug, PartialEq)]
pub struct Telemetry {
    /// Where metrics and traces go by OTLP over gRPC.
    pub otlp_endpoint: Option<Uri>,
    /// How often metrics go there.
    pub otlp_interval: Duration,
    /// Which log lines are written.
    pub log_level: Targets,
    /// How they are written.
    pub log_format: LogFormat,
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl Config {
    /// Checks what the layers say, on the machine `host`, and reads the files that it names.
    ///
    /// # Errors
    /// Every problem that there is, unless the document does not even have the right shape.
    pub fn check(layers: &Layers, host: &Host) -> Result<Self, Problems> {
        let document = layers.document()?;
        let mut problems = Problems::default();
        match check(&mut problems, &document, host) {
            Some(config) if problems.is_empty() => Ok(config),
            _ => Err(problems),
        }
    }

    /// The settings that differ in `new` and cannot change while the relay runs.
    pub fn needs_restart(&self, new: &Self) -> Vec<&'static str> {
        [
            ("reload_interval", self.reload_interval != new.reload_interval),
            ("listeners", self.listeners != new.listeners),
            ("relay.ports", self.relay.ports != new.relay.ports),
            ("limits.streams", self.limits.streams != new.limits.streams),
            ("workers", self.workers != new.workers),
            ("admin", self.admin != new.admin),
            ("telemetry", self.telemetry != new.telemetry),
        ]
        .into_iter()
        .filter_map(|(name, differs)| differs.then_some(name))
        .collect()
    }
}

/// Checks every section; a result may still be wrong where a problem was noted.
fn check(problems: &mut Problems, document: &Document, host: &Host) -> Option<Config> {
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
    let listeners = listener::check(problems, &document.listeners, host);
    let relay = relay::check(problems, &document.relay, host, &listeners);
    let credentials = credentials::check(problems, &document.credentials);
    let nonce = credentials::check_nonce(problems, &document.nonce);
    let own = relay.as_ref().map_or_else(Vec::new, |relay| own_addresses(host, &listeners, relay));
    let peers = peers(problems, &document.peers, own);
    let user = limit::check_quota(problems, "user", &document.limits.user);
    let total = limit::check_quota(problems, "total", &document.limits.total);
    let answers = limit::check_answers(problems, &document.limits.answers);
    let streams = limit::check_streams(problems, &document.limits.streams);
    let lifetimes = limit::check_lifetimes(problems, &document.lifetimes);
    let count = workers(problems, document.workers.count, host);
    let admin = value::socket_address(problems, "admin.address", &document.admin.address);
    let telemetry = telemetry(problems, &document.telemetry);
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
        admin: admin?,
        telemetry: telemetry?,
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

/// What reaches this machine, whatever the interface: its services must not be reached by relaying.
fn own_addresses(host: &Host, listeners: &[Listener], relay: &Relay) -> Vec<IpAddr> {
    let advertised = listeners.iter().filter_map(|listener| listener.advertised).map(|address| address.ip());
    let relayed = [relay.addresses.v4, relay.addresses.v6].into_iter().flatten();
    let mut own: Vec<_> = host
        .addresses
        .iter()
        .copied()
        .chain(advertised)
        .chain(relayed.flat_map(|address| [address.bind, address.advertised]))
        .collect();
    own.sort_unstable();
    own.dedup();
    own
}

fn peers(problems: &mut Problems, section: &PeersSection, own: Vec<IpAddr>) -> Peers {
    let mut networks = |name: &str, texts: &[String]| {
        let checked = texts.iter().enumerate();
        checked
            .filter_map(|(index, text)| value::network(problems, &format!("peers.{name}[{index}]"), text))
            .collect()
    };
    Peers { allow: networks("allow", &section.allow), deny: networks("deny", &section.deny), own }
}

fn workers(problems: &mut Problems, count: Option<usize>, host: &Host) -> usize {
    match count {
        None => host.cores,
        Some(count @ 1..=MOST_WORKERS) => count,
        Some(count) => {
            let mend = format!("Write 1 to {MOST_WORKERS}, or leave it out for one for each core");
            problems.add("workers.count", count, "this is no number of threads to serve with", mend);
            host.cores
        }
    }
}

fn telemetry(problems: &mut Problems, section: &TelemetrySection) -> Option<Telemetry> {
    let otlp_endpoint = section.otlp_endpoint.as_deref().and_then(|text| {
        let uri = text.parse::<Uri>().ok();
        let uri =
            uri.filter(|uri| matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some());
        if uri.is_none() {
            let mend = "Write one such as \"http://127.0.0.1:4317\"";
            problems.add("telemetry.otlp_endpoint", text, "this is no http or https URL", mend);
        }
        uri
    });
    let otlp_interval = value::duration(
        problems,
        "telemetry.otlp_interval",
        &section.otlp_interval,
        Duration::from_millis(100),
    );
    let log_level = log_filter(&section.log_level);
    if log_level.is_none() {
        problems.add(
            "telemetry.log_level",
            &section.log_level,
            "this is no level and no filter",
            "Write error, warn, info, debug or trace, or a filter such as \"info,edgerelay::tls=debug\"",
        );
    }
    let log_format = match section.log_format.as_str() {
        "text" => Some(LogFormat::Text),
        "json" => Some(LogFormat::Json),
        other => {
            problems.add("telemetry.log_format", other, "there is no such format", "Write text or json");
            None
        }
    };
    Some(Telemetry {
        otlp_endpoint,
        otlp_interval: otlp_interval?,
        log_level: log_level?,
        log_format: log_format?,
    })
}

/// Reads a log filter: a level, or a list of `target=level` that may hold a level for all the rest.
fn log_filter(text: &str) -> Option<Targets> {
    // `Targets` takes any word without a level for a target.
    let is_known = |part: &str| part.contains('=') || part.trim().parse::<LevelFilter>().is_ok();
    text.split(',').all(is_known).then(|| text.parse().ok()).flatten()
}

/// What would run, for a person.
impl fmt::Display for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "realm        {}", self.realm.as_str())?;
        for Listener { transport, address, advertised, proxy_protocol, .. } in &self.listeners {
            write!(f, "listener     {} {address}", transport.name())?;
            if let Some(advertised) = advertised {
                write!(f, ", reached by {advertised}")?;
            }
            writeln!(f, "{}", if *proxy_protocol { ", behind PROXY protocol v2" } else { "" })?;
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
        write!(f, "admin        http://{}", self.admin)
    }
}
