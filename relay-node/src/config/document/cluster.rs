//! The fleet's settings as written.

use std::path::PathBuf;

use serde::Deserialize;

use super::{Secret, one_or_many};

/// The fleet; there is none without its name.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct ClusterSection {
    pub(in crate::config) fleet: Option<String>,
    pub(in crate::config) fleet_key: Option<Secret>,
    pub(in crate::config) fleet_key_file: Option<PathBuf>,
    pub(in crate::config) node: Option<String>,
    pub(in crate::config) zone: String,
    pub(in crate::config) capacity: Option<u32>,
    pub(in crate::config) redirect: String,
    pub(in crate::config) allow_public_addresses: bool,
    pub(in crate::config) redis: RedisSection,
    pub(in crate::config) grpc: GrpcSection,
    pub(in crate::config) https: HttpsSection,
    pub(in crate::config) issuing: IssuingSection,
}

#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct RedisSection {
    pub(in crate::config) mode: String,
    #[serde(deserialize_with = "one_or_many")]
    pub(in crate::config) urls: Vec<String>,
    pub(in crate::config) primary: Option<String>,
    pub(in crate::config) username: String,
    pub(in crate::config) password: Option<Secret>,
    pub(in crate::config) password_file: Option<PathBuf>,
    pub(in crate::config) sentinel_password: Option<Secret>,
    pub(in crate::config) sentinel_password_file: Option<PathBuf>,
    pub(in crate::config) ca_file: Option<PathBuf>,
    pub(in crate::config) certificate: Option<PathBuf>,
    pub(in crate::config) key: Option<PathBuf>,
}

#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct GrpcSection {
    pub(in crate::config) address: Option<String>,
    pub(in crate::config) advertised: Option<String>,
    pub(in crate::config) certificate: Option<PathBuf>,
    pub(in crate::config) key: Option<PathBuf>,
    pub(in crate::config) ca_file: Option<PathBuf>,
    #[serde(deserialize_with = "one_or_many")]
    pub(in crate::config) issuers: Vec<String>,
    #[serde(deserialize_with = "one_or_many")]
    pub(in crate::config) operators: Vec<String>,
}

#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct HttpsSection {
    pub(in crate::config) address: Option<String>,
    pub(in crate::config) certificate: Option<PathBuf>,
    pub(in crate::config) key: Option<PathBuf>,
    pub(in crate::config) ca_file: Option<PathBuf>,
    #[serde(deserialize_with = "one_or_many")]
    pub(in crate::config) issuers: Vec<String>,
    #[serde(deserialize_with = "one_or_many")]
    pub(in crate::config) tokens: Vec<Secret>,
    pub(in crate::config) tokens_file: Option<PathBuf>,
}

#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct IssuingSection {
    pub(in crate::config) ttl: String,
    pub(in crate::config) max_ttl: String,
    #[serde(deserialize_with = "one_or_many")]
    pub(in crate::config) urls: Vec<String>,
    pub(in crate::config) per_caller_per_second: u32,
    pub(in crate::config) rotation: String,
}

impl Default for ClusterSection {
    fn default() -> Self {
        Self {
            fleet: None,
            fleet_key: None,
            fleet_key_file: None,
            node: None,
            zone: String::new(),
            capacity: None,
            redirect: "known".into(),
            allow_public_addresses: false,
            redis: RedisSection::default(),
            grpc: GrpcSection::default(),
            https: HttpsSection::default(),
            issuing: IssuingSection::default(),
        }
    }
}

impl Default for RedisSection {
    fn default() -> Self {
        Self {
            mode: "single".into(),
            urls: Vec::new(),
            primary: None,
            username: String::new(),
            password: None,
            password_file: None,
            sentinel_password: None,
            sentinel_password_file: None,
            ca_file: None,
            certificate: None,
            key: None,
        }
    }
}

impl Default for IssuingSection {
    fn default() -> Self {
        Self {
            ttl: "12h".into(),
            max_ttl: "24h".into(),
            urls: Vec::new(),
            per_caller_per_second: 100,
            rotation: "4h".into(),
        }
    }
}
