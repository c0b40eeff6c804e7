//! Calling a node by gRPC, from another node or by an operator's command.

use std::error::Error;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use thiserror::Error;
use tonic::transport::{self, Certificate, Channel, ClientTlsConfig, Endpoint};

use super::callers::node_name;
use crate::config::Identity;

/// For TCP and TLS.
const CONNECTING: Duration = Duration::from_secs(5);

/// Why a node cannot be called.
#[derive(Debug, Error)]
pub enum DialError {
    /// A file cannot be read.
    #[error("cannot read {path}: {source}; check the path and its permissions", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// No place to call.
    #[error("{0:?} is no address to call; write HOST:PORT, such as 10.0.0.7:9443")]
    Address(String),
    /// The certificate, key or authorities cannot be used.
    #[error(
        "the certificate, its key or the authorities cannot be used: {0}; they are to be PEM files that belong together"
    )]
    Identity(String),
    /// Nobody answers, or somebody else.
    #[error(
        "the node at {address} cannot be reached: {why}; check that it runs, and that both sides' certificates come \
             from the authorities that the other one trusts"
    )]
    Unreachable {
        /// Which.
        address: String,
        /// What is in the way.
        why: String,
    },
}

/// Connects to a node of `fleet` at `address`: any, since its certificate names the fleet and no place. Files are read
/// again each time, as they are renewed.
///
/// # Errors
/// When a file cannot be used, or no node of that fleet answers.
pub async fn dial(
    address: &str,
    fleet: &str,
    identity: &Identity,
    ca_file: &Path,
) -> Result<Channel, DialError> {
    let read =
        |path: &Path| fs::read(path).map_err(|source| DialError::Read { path: path.to_owned(), source });
    let own = transport::Identity::from_pem(read(&identity.certificate)?, read(&identity.key)?);
    let tls = ClientTlsConfig::new()
        .ca_certificate(Certificate::from_pem(read(ca_file)?))
        .identity(own)
        .domain_name(node_name(fleet));
    let endpoint = Endpoint::from_shared(format!("https://{address}"))
        .ok()
        .filter(|endpoint| endpoint.uri().port().is_some())
        .ok_or_else(|| DialError::Address(address.to_owned()))?;
    let endpoint = endpoint.tls_config(tls).map_err(|error| DialError::Identity(chain(&error)))?;
    let connected = endpoint.connect_timeout(CONNECTING).connect().await;
    connected.map_err(|error| DialError::Unreachable { address: address.to_owned(), why: chain(&error) })
}

/// An error with all that it comes from: the last one says most.
fn chain(error: &dyn Error) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let said = error.to_string();
        if !parts.last().is_some_and(|part| part.contains(&said)) {
            parts.push(said);
        }
        next = error.source();
    }
    parts.join(": ")
}
