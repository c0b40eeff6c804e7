//! The command line: what there is to do, and the flags that set what is set most.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::{Args, Parser, Subcommand};
use toml::{Table, Value};

use crate::config::{self, Layers, Problem, Problems};
use crate::fleet;

/// A STUN and TURN relay for WebRTC (RFC 8489, RFC 8656).
#[derive(Debug, Parser)]
#[command(name = "edgerelay", version, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a relay.
    #[command(after_help = SIGNALS)]
    Serve(ConfigArgs),
    /// Run a relay on this machine alone, to try things out: nothing to configure.
    Dev(DevArgs),
    /// Send packets through a running relay, over each of its transports, and tell how that went.
    Try(TryArgs),
    /// Have a running relay hand over to itself: it takes settings that need a restart, and calls go on.
    Reload(ReloadArgs),
    /// Check a configuration and tell what would run.
    Check(ConfigArgs),
    /// Print iceServers JSON with a time-limited credential. Needs the relay's secret and its URLs.
    Credential(CredentialArgs),
    /// What is asked of a fleet.
    #[command(flatten)]
    Fleet(fleet::Command),
}

const SIGNALS: &str = "\
Signals:
  SIGTERM, SIGINT  Drain: take no new allocations, end with the last one; again: end at once
  SIGUSR1          Take the drain back and stay
  SIGHUP           Look at the configuration and its files now
  SIGUSR2          Hand over to itself, as by `edgerelay reload`";

/// Where the configuration comes from. What is given here wins over the environment
/// (EDGERELAY_REALM, EDGERELAY_RELAY__PORTS, ...), and that over the file.
#[derive(Args, Clone, Debug, Default)]
pub struct ConfigArgs {
    /// The configuration file (TOML); see edgerelay.example.toml.
    #[arg(long, value_name = "FILE", env = "EDGERELAY_CONFIG")]
    pub config: Option<PathBuf>,
    /// A listener, such as udp://0.0.0.0:3478 or tls://192.0.2.1:5349; again for each. Replaces those of the file.
    #[arg(long, value_name = "URL", value_parser = listener)]
    pub listen: Vec<Table>,
    /// The certificate chain (PEM) of TLS listeners that name none.
    #[arg(long, value_name = "FILE")]
    pub certificate: Option<PathBuf>,
    /// The key (PEM) of TLS listeners that name none.
    #[arg(long, value_name = "FILE")]
    pub key: Option<PathBuf>,
    /// The realm.
    #[arg(long)]
    pub realm: Option<String>,
    /// An address that peers see, as ADDRESS, or behind 1:1 NAT as BOUND/ADVERTISED; again for the other family.
    #[arg(long, value_name = "ADDRESS", value_parser = relay_address)]
    pub relay_address: Vec<Table>,
    /// The ports that peers see.
    #[arg(long, value_name = "FIRST-LAST")]
    pub ports: Option<String>,
    /// A file of secrets for time-limited credentials, one a line; again for each.
    #[arg(long, value_name = "FILE")]
    pub secret_file: Vec<PathBuf>,
    /// A file of long-term users, one `name:password` a line.
    #[arg(long, value_name = "FILE")]
    pub users_file: Option<PathBuf>,
    /// A range of peers to allow beside what is allowed by default; again for each.
    #[arg(long, value_name = "CIDR")]
    pub allow_peer: Vec<String>,
    /// A range of peers to refuse in any case; again for each.
    #[arg(long, value_name = "CIDR")]
    pub deny_peer: Vec<String>,
    /// How many threads serve packets.
    #[arg(long, value_name = "COUNT")]
    pub workers: Option<u32>,
    /// Where calls are kept, so that they outlive this process and its keeper: a tmpfs is best.
    #[arg(long, value_name = "DIRECTORY")]
    pub recovery_directory: Option<PathBuf>,
    /// Where /live, /ready and /metrics are served.
    #[arg(long, value_name = "ADDRESS")]
    pub admin: Option<String>,
    /// Where metrics and traces go by OTLP over gRPC.
    #[arg(long, value_name = "URL")]
    pub otlp_endpoint: Option<String>,
    /// Which log lines are written: error, warn, info, debug or trace.
    #[arg(long, value_name = "LEVEL")]
    pub log_level: Option<String>,
    /// How log lines are written: text or json.
    #[arg(long, value_name = "FORMAT")]
    pub log_format: Option<String>,
    /// How long a drain waits for allocations to end.
    #[arg(long, value_name = "DURATION")]
    pub drain_deadline: Option<String>,
    /// Any other setting, such as limits.user.allocations=5; again for each. Secrets are not taken here,
    /// since every user of the machine sees the arguments.
    #[arg(long, value_name = "SETTING=VALUE")]
    pub set: Vec<String>,
}

/// Which relay.
#[derive(Args, Clone, Debug)]
pub struct ReloadArgs {
    /// Its recovery.directory.
    #[arg(long, value_name = "DIRECTORY")]
    pub recovery_directory: Option<PathBuf>,
    /// Its configuration file (TOML), which names that directory.
    #[arg(long, value_name = "FILE", env = "EDGERELAY_CONFIG")]
    pub config: Option<PathBuf>,
}

impl ReloadArgs {
    /// The relay's `recovery.directory`, if these, the environment or the file tell it.
    pub fn directory(self, environment: impl Iterator<Item = (OsString, OsString)>) -> Option<PathBuf> {
        let Self { recovery_directory, config } = self;
        ConfigArgs { recovery_directory, config, ..ConfigArgs::default() }.recovery_directory(environment)
    }
}

/// How the trial relay is to run.
#[derive(Args, Clone, Debug)]
pub struct DevArgs {
    /// The port for UDP and TCP on 127.0.0.1; 0 for free ones.
    #[arg(long, default_value_t = 3478)]
    pub port: u16,
    /// The port for TLS on 127.0.0.1; 0 for a free one.
    #[arg(long, default_value_t = 5349)]
    pub tls_port: u16,
    /// Where /live, /ready and /metrics are served.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9090")]
    pub admin: SocketAddr,
    /// Which log lines are written: error, warn, info, debug or trace.
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    pub log_level: String,
}

/// What to try, and how hard.
#[derive(Args, Clone, Debug)]
pub struct TryArgs {
    /// A relay to try, such as turn:relay.example.org:3478?transport=udp; again for each transport.
    /// With none given: the one that `edgerelay dev` runs.
    #[arg(long, value_name = "URL")]
    pub url: Vec<String>,
    /// The user name that goes with --credential-file.
    #[arg(long, value_name = "NAME", requires = "credential_file", requires = "url")]
    pub username: Option<String>,
    /// A file with the credential (password) of that user.
    #[arg(long, value_name = "FILE", requires = "username")]
    pub credential_file: Option<PathBuf>,
    /// A file with the relay's secret, to make a time-limited credential with.
    #[arg(long, value_name = "FILE", conflicts_with = "username", requires = "url")]
    pub secret_file: Option<PathBuf>,
    /// A file of certificates (PEM) to trust beside the system's.
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// The address of this machine that the relay can reach; by default the one that reaches the relay.
    #[arg(long, value_name = "ADDRESS")]
    pub peer_address: Option<std::net::IpAddr>,
    /// How many packets to send over each transport.
    #[arg(long, value_name = "COUNT", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub packets: u32,
    /// How many packets to send in a second.
    #[arg(long, value_name = "PER_SECOND", default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub rate: u32,
    /// Bytes of application data in each packet.
    #[arg(long, value_name = "BYTES", default_value_t = 160, value_parser = clap::value_parser!(u16).range(16..=1400))]
    pub size: u16,
}

/// Whose credential, for how long, and for which relay. The relay may be on another machine.
#[derive(Args, Clone, Debug)]
pub struct CredentialArgs {
    /// Who the credential is for.
    #[arg(long, value_name = "NAME", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub user: String,
    /// How long an allocation can be made with it.
    #[arg(long, value_name = "DURATION", default_value = "8h", value_parser = humantime::parse_duration)]
    pub ttl: std::time::Duration,
    /// What clients reach the relay by, such as turn:relay.example.org:3478?transport=udp; again for each
    /// transport. With none given: what the configuration says.
    #[arg(long, value_name = "URL", value_parser = turn_url)]
    pub url: Vec<String>,
    /// A file with the relay's secret. With none given: the first secret of the configuration.
    #[arg(long, value_name = "FILE")]
    pub secret_file: Option<PathBuf>,
    /// The relay's configuration file (TOML); not needed beside --url and --secret-file.
    #[arg(long, value_name = "FILE", env = "EDGERELAY_CONFIG")]
    pub config: Option<PathBuf>,
}

impl CredentialArgs {
    /// File, environment and these flags, laid over each other.
    ///
    /// # Errors
    /// As [`ConfigArgs::layers`].
    pub fn layers(
        &self,
        environment: impl Iterator<Item = (OsString, OsString)>,
    ) -> Result<Layers, Problems> {
        let config = ConfigArgs { config: self.config.clone(), ..ConfigArgs::default() };
        let mut layers = config.layers(environment)?;
        if let Some(path) = &self.secret_file {
            // No other secret signs then.
            let files = ("rest_secret_files".to_owned(), Value::String(path.to_string_lossy().into_owned()));
            layers.set("credentials", Value::Table(Table::from_iter([files])), "--secret-file");
        }
        Ok(layers)
    }
}

impl ConfigArgs {
    /// File, environment and these flags, laid over each other.
    ///
    /// # Errors
    /// When the file cannot be read or is not TOML, a variable is no text, or a `--set` cannot be taken.
    pub fn layers(
        &self,
        environment: impl Iterator<Item = (OsString, OsString)>,
    ) -> Result<Layers, Problems> {
        let mut layers = match &self.config {
            Some(path) => Layers::from_file(path)?,
            None => Layers::default(),
        };
        self.lay_over(&mut layers, environment)?;
        Ok(layers)
    }

    /// `recovery.directory`, as far as it can be told where the configuration cannot be used.
    pub fn recovery_directory(
        &self,
        environment: impl Iterator<Item = (OsString, OsString)>,
    ) -> Option<PathBuf> {
        let mut layers = self.config.as_deref().map(Layers::from_readable).unwrap_or_default();
        // What can be laid over is, before this ends.
        let _ = self.lay_over(&mut layers, environment);
        layers.recovery_directory().map(Path::to_owned)
    }

    fn lay_over(
        &self,
        layers: &mut Layers,
        environment: impl Iterator<Item = (OsString, OsString)>,
    ) -> Result<(), Problems> {
        let environment = layers.environment(environment);
        for (flag, path, value) in self.common() {
            layers.set(path, value, flag);
        }
        for text in &self.set {
            let (path, value) = setting(text)?;
            layers.set(path, value, "--set");
        }
        layers.complete_tls_listeners(self.certificate.as_deref(), self.key.as_deref());
        environment
    }

    /// The flags that were given, each with the setting that it stands for.
    fn common(&self) -> impl Iterator<Item = (&'static str, &'static str, Value)> {
        let text = |text: &Option<String>| text.clone().map(Value::String);
        let path = |path: &PathBuf| Value::String(path.to_string_lossy().into_owned());
        let list = |values: Vec<Value>| (!values.is_empty()).then_some(Value::Array(values));
        let tables = |tables: &[Table]| list(tables.iter().cloned().map(Value::Table).collect());
        let texts = |texts: &[String]| list(texts.iter().cloned().map(Value::String).collect());
        [
            ("--listen", "listeners", tables(&self.listen)),
            ("--realm", "realm", text(&self.realm)),
            ("--relay-address", "relay.addresses", tables(&self.relay_address)),
            ("--ports", "relay.ports", text(&self.ports)),
            (
                "--secret-file",
                "credentials.rest_secret_files",
                list(self.secret_file.iter().map(path).collect()),
            ),
            ("--users-file", "credentials.users_file", self.users_file.as_ref().map(path)),
            ("--allow-peer", "peers.allow", texts(&self.allow_peer)),
            ("--deny-peer", "peers.deny", texts(&self.deny_peer)),
            ("--workers", "workers.count", self.workers.map(|count| Value::Integer(count.into()))),
            ("--recovery-directory", "recovery.directory", self.recovery_directory.as_ref().map(path)),
            ("--admin", "admin.address", text(&self.admin)),
            ("--otlp-endpoint", "telemetry.otlp_endpoint", text(&self.otlp_endpoint)),
            ("--log-level", "telemetry.log_level", text(&self.log_level)),
            ("--log-format", "telemetry.log_format", text(&self.log_format)),
            ("--drain-deadline", "drain_deadline", text(&self.drain_deadline)),
        ]
        .into_iter()
        .filter_map(|(flag, path, value)| value.map(|value| (flag, path, value)))
    }
}

fn listener(url: &str) -> Result<Table, String> {
    let (transport, address) = url
        .split_once("://")
        .ok_or("write the transport, :// and the address, such as udp://0.0.0.0:3478")?;
    Ok(Table::from_iter([("transport", transport), ("address", address)].map(entry)))
}

fn turn_url(url: &str) -> Result<String, String> {
    let place = url.strip_prefix("turn:").or_else(|| url.strip_prefix("turns:"));
    match place {
        Some(place) if !place.is_empty() && !place.starts_with('/') => Ok(url.to_owned()),
        _ => Err("write turn: or turns:, a host and a port, such as turns:relay.example.org:5349".into()),
    }
}

fn relay_address(text: &str) -> Result<Table, String> {
    Ok(match text.split_once('/') {
        Some((bind, advertised)) => Table::from_iter([("bind", bind), ("advertised", advertised)].map(entry)),
        None => Table::from_iter([("bind", text)].map(entry)),
    })
}

fn entry((name, text): (&str, &str)) -> (String, Value) {
    (name.to_owned(), Value::String(text.to_owned()))
}

/// Reads `path=value`. What is refused is not repeated: it may be a secret.
fn setting(text: &str) -> Result<(&str, Value), Problem> {
    let refused = |field: &str, fault: &str, fix: &str| Problem {
        field: field.to_owned(),
        value: None,
        fault: fault.to_owned(),
        fix: fix.to_owned(),
    };
    let Some((path, value)) = text.split_once('=') else {
        let fix = "Write the setting's name, = and its value, such as limits.user.allocations=5";
        return Err(refused("--set", "there is no = in it", fix));
    };
    if config::is_secret(path) && !FILES_OF_SECRETS.contains(&path) {
        let fault = "this can hold a secret, and every user of the machine sees the arguments";
        return Err(refused(path, fault, "Write it into a file, or set it in the environment"));
    }
    Ok((path, config::value_of(value)))
}

/// Settings among the secret ones that only name files.
const FILES_OF_SECRETS: [&str; 7] = [
    "credentials.users_file",
    "credentials.rest_secret_files",
    "nonce.keys_file",
    "cluster.fleet_key_file",
    "cluster.redis.password_file",
    "cluster.redis.sentinel_password_file",
    "cluster.https.tokens_file",
];
