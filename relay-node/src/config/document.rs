//! The configuration as written: its settings, their names and their defaults, not yet checked.

mod cluster;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Deserializer};

use super::secret::Secret;

pub(super) use cluster::{ClusterSection, GrpcSection, HttpsSection, IssuingSection, RedisSection};

/// A whole configuration, as the layers give it.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Document {
    pub(super) realm: String,
    pub(super) software: String,
    pub(super) drain_deadline: String,
    pub(super) reload_interval: String,
    pub(super) listeners: Vec<ListenerSection>,
    pub(super) relay: RelaySection,
    pub(super) credentials: CredentialsSection,
    pub(super) nonce: NonceSection,
    pub(super) peers: PeersSection,
    pub(super) limits: LimitsSection,
    pub(super) lifetimes: LifetimesSection,
    pub(super) workers: WorkersSection,
    pub(super) recovery: RecoverySection,
    pub(super) cluster: ClusterSection,
    pub(super) admin: AdminSection,
    pub(super) telemetry: TelemetrySection,
}

#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub(super) struct ListenerSection {
    pub(super) transport: String,
    pub(super) address: String,
    pub(super) advertised: Option<String>,
    #[serde(default)]
    pub(super) proxy_protocol: ProxySection,
    #[serde(default)]
    pub(super) first_contact: bool,
    pub(super) certificate: Option<PathBuf>,
    pub(super) key: Option<PathBuf>,
}

/// Who may say whose connections they bring.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(untagged, expecting = "expected a list of networks")]
pub(super) enum ProxySection {
    Flag(bool),
    One(String),
    Many(Vec<String>),
}

impl Default for ProxySection {
    fn default() -> Self {
        Self::Many(Vec::new())
    }
}

#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RelaySection {
    pub(super) addresses: Vec<RelayAddressSection>,
    pub(super) ports: String,
}

#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub(super) struct RelayAddressSection {
    pub(super) bind: String,
    pub(super) advertised: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub(super) struct CredentialsSection {
    pub(super) users: BTreeMap<String, Secret>,
    pub(super) users_file: Option<PathBuf>,
    #[serde(deserialize_with = "one_or_many")]
    pub(super) rest_secrets: Vec<Secret>,
    #[serde(deserialize_with = "one_or_many")]
    pub(super) rest_secret_files: Vec<PathBuf>,
}

#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub(super) struct NonceSection {
    #[serde(deserialize_with = "one_or_many")]
    pub(super) keys: Vec<Secret>,
    pub(super) keys_file: Option<PathBuf>,
    pub(super) lifetime: String,
}

#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub(super) struct PeersSection {
    #[serde(deserialize_with = "one_or_many")]
    pub(super) allow: Vec<String>,
    #[serde(deserialize_with = "one_or_many")]
    pub(super) deny: Vec<String>,
}

#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub(super) struct LimitsSection {
    #[serde(deserialize_with = "user_quota")]
    pub(super) user: QuotaSection,
    #[serde(deserialize_with = "total_quota")]
    pub(super) total: QuotaSection,
    pub(super) answers: AnswersSection,
    pub(super) streams: StreamsSection,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct QuotaSection {
    pub(super) allocations: u32,
    pub(super) permissions: u32,
    pub(super) channels: u32,
    pub(super) bits_per_second: Option<u64>,
}

#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub(super) struct AnswersSection {
    pub(super) per_source_bytes_per_second: u32,
    pub(super) total_bytes_per_second: u32,
}

#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub(super) struct StreamsSection {
    pub(super) connections: usize,
    pub(super) connections_per_source: usize,
    pub(super) handshake_deadline: String,
    pub(super) idle_deadline: String,
    pub(super) frame_deadline: String,
    pub(super) write_buffer: usize,
    pub(super) buffers: usize,
}

#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub(super) struct LifetimesSection {
    pub(super) default: String,
    pub(super) max: String,
}

#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub(super) struct WorkersSection {
    pub(super) count: Option<usize>,
    pub(super) pin: bool,
}

#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RecoverySection {
    pub(super) keeper: bool,
    pub(super) directory: Option<PathBuf>,
    pub(super) take_over: String,
    pub(super) instance: String,
}

#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub(super) struct AdminSection {
    pub(super) address: String,
}

#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub(super) struct TelemetrySection {
    pub(super) otlp_endpoint: Option<String>,
    pub(super) otlp_interval: String,
    pub(super) log_level: String,
    pub(super) log_format: String,
}

impl Default for Document {
    fn default() -> Self {
        Self {
            realm: "edgerelay".into(),
            software: "EdgeRelay".into(),
            drain_deadline: "10m".into(),
            reload_interval: "10s".into(),
            listeners: Vec::new(),
            relay: RelaySection::default(),
            credentials: CredentialsSection::default(),
            nonce: NonceSection::default(),
            peers: PeersSection::default(),
            limits: LimitsSection::default(),
            lifetimes: LifetimesSection::default(),
            workers: WorkersSection::default(),
            recovery: RecoverySection::default(),
            cluster: ClusterSection::default(),
            admin: AdminSection::default(),
            telemetry: TelemetrySection::default(),
        }
    }
}

impl Default for RelaySection {
    fn default() -> Self {
        // RFC 8656 section 7.2 recommends the dynamic ports; these leave most of them to other programs.
        Self { addresses: Vec::new(), ports: "50000-59999".into() }
    }
}

impl Default for NonceSection {
    fn default() -> Self {
        // RFC 8656 section 5 recommends a nonce lifetime of an hour at most.
        Self { keys: Vec::new(), keys_file: None, lifetime: "1h".into() }
    }
}

impl Default for LimitsSection {
    fn default() -> Self {
        Self {
            user: USER_QUOTA,
            total: TOTAL_QUOTA,
            answers: AnswersSection::default(),
            streams: StreamsSection::default(),
        }
    }
}

const USER_QUOTA: QuotaSection =
    QuotaSection { allocations: 100, permissions: 2_000, channels: 2_000, bits_per_second: None };
const TOTAL_QUOTA: QuotaSection =
    QuotaSection { allocations: 10_000, permissions: 200_000, channels: 200_000, bits_per_second: None };

impl Default for AnswersSection {
    fn default() -> Self {
        let turn::AnswerLimits { per_source_bytes_per_second, total_bytes_per_second } = Default::default();
        Self { per_source_bytes_per_second, total_bytes_per_second }
    }
}

impl Default for StreamsSection {
    fn default() -> Self {
        Self {
            connections: 8_000,
            connections_per_source: 1_000,
            handshake_deadline: "10s".into(),
            idle_deadline: "1m".into(),
            frame_deadline: "10s".into(),
            write_buffer: 256 * 1024,
            buffers: 64 * 1024 * 1024,
        }
    }
}

impl Default for LifetimesSection {
    fn default() -> Self {
        // RFC 8656 sections 3.2 and 7.2.
        Self { default: "10m".into(), max: "1h".into() }
    }
}

impl Default for WorkersSection {
    fn default() -> Self {
        Self { count: None, pin: true }
    }
}

impl Default for RecoverySection {
    fn default() -> Self {
        Self { keeper: true, directory: None, take_over: "ask".into(), instance: String::new() }
    }
}

impl Default for AdminSection {
    fn default() -> Self {
        Self { address: "127.0.0.1:9090".into() }
    }
}

impl Default for TelemetrySection {
    fn default() -> Self {
        Self {
            otlp_endpoint: None,
            otlp_interval: "15s".into(),
            log_level: "info".into(),
            log_format: "text".into(),
        }
    }
}

/// A quota of which only some numbers were given.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PartialQuota {
    allocations: Option<u32>,
    permissions: Option<u32>,
    channels: Option<u32>,
    bits_per_second: Option<u64>,
}

impl PartialQuota {
    fn or(self, default: QuotaSection) -> QuotaSection {
        QuotaSection {
            allocations: self.allocations.unwrap_or(default.allocations),
            permissions: self.permissions.unwrap_or(default.permissions),
            channels: self.channels.unwrap_or(default.channels),
            bits_per_second: self.bits_per_second.or(default.bits_per_second),
        }
    }
}

fn user_quota<'de, D: Deserializer<'de>>(deserializer: D) -> Result<QuotaSection, D::Error> {
    Ok(PartialQuota::deserialize(deserializer)?.or(USER_QUOTA))
}

fn total_quota<'de, D: Deserializer<'de>>(deserializer: D) -> Result<QuotaSection, D::Error> {
    Ok(PartialQuota::deserialize(deserializer)?.or(TOTAL_QUOTA))
}

/// A list, or one value that stands for a list of one: an environment variable needs no brackets.
fn one_or_many<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "expected a text or a list of texts")]
    enum OneOrMany<T> {
        One(T),
        Many(Vec<T>),
    }
    Ok(match OneOrMany::deserialize(deserializer)? {
        OneOrMany::One(one) => vec![one],
        OneOrMany::Many(many) => many,
    })
}

#[cfg(test)]
mod tests {
    use super::super::layers::Layers;
    use super::{Document, ProxySection};

    const EXAMPLE: &str = include_str!("../../edgerelay.example.toml");

    fn parse(text: &str) -> Document {
        Layers::from_text(text).unwrap().document().unwrap()
    }

    #[test]
    fn example_file_states_the_defaults() {
        assert_eq!(parse(EXAMPLE), Document::default());
    }

    /// The example file with the comment sign taken away from the lines that `choose` names.
    fn uncommented(choose: impl Fn(usize) -> bool) -> String {
        let is_commented_setting = |rest: &&str| rest.starts_with(|first: char| first.is_ascii_lowercase());
        EXAMPLE
            .lines()
            .enumerate()
            .map(|(index, line)| {
                line.strip_prefix('#').filter(is_commented_setting).filter(|_| choose(index)).unwrap_or(line)
            })
            .collect::<Vec<_>>()
            .join("\n")
    }

    #[test]
    fn each_line_that_the_example_file_comments_out_can_be_taken_in_alone() {
        let mut taken = 0;
        for chosen in 0..EXAMPLE.lines().count() {
            let text = uncommented(|index| index == chosen);
            taken += usize::from(text.lines().ne(EXAMPLE.lines()));
            assert_eq!(parse(&text) != Document::default(), text.lines().ne(EXAMPLE.lines()), "{chosen}");
        }
        assert!(taken > 5, "{taken}");
    }

    #[test]
    fn all_lines_that_the_example_file_comments_out_can_be_taken_in() {
        let document = parse(&uncommented(|_| true));
        assert_eq!(document.listeners.len(), 2);
        assert_eq!(document.listeners[1].proxy_protocol, ProxySection::Many(vec!["10.0.0.0/8".to_owned()]));
        assert_eq!(document.relay.addresses[0].advertised.as_deref(), Some("203.0.113.7"));
        assert_eq!(document.limits.user.bits_per_second, Some(10_000_000));
        assert_eq!(document.workers.count, Some(2));
        assert!(document.credentials.users_file.is_some() && document.nonce.keys_file.is_some());
        assert!(document.recovery.directory.is_some() && document.telemetry.otlp_endpoint.is_some());
        assert!(document.cluster.fleet.is_some() && document.cluster.grpc.address.is_some());
    }

    #[test]
    fn the_example_file_names_every_setting() {
        // Who asks for a setting that is not there is told of all that are.
        let known = |section: &str| {
            let text =
                if section.is_empty() { "none = 0".to_owned() } else { format!("[{section}]\nnone = 0") };
            let error = toml::from_str::<Document>(&text).unwrap_err();
            let (_, expected) = error.message().split_once("expected").unwrap();
            expected.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>()
        };
        let mut named: Vec<String> = super::super::names::all().collect();
        let mut sections = vec![String::new()];
        while let Some(section) = sections.pop() {
            for name in known(&section) {
                let path = if section.is_empty() { name } else { format!("{section}.{name}") };
                if EXAMPLE.contains(&format!("\n[{path}")) {
                    sections.push(path);
                } else {
                    let at = named.iter().position(|named| *named == path);
                    named.remove(at.unwrap_or_else(|| panic!("{path} is not in the example file")));
                }
            }
        }
        assert!(named.is_empty(), "twice, or no setting: {named:?}");
    }
}
