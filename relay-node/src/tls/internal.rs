//! TLS on the inside, where who calls may have to show a certificate too.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::server::{NoServerSessionStorage, VerifierBuilderError, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};
use thiserror::Error;

use super::certificates::{CertificateError, hash, name, pair, provider, read};
use crate::config::{Files, Identity};

/// What a server of the inside shows, and asks for; read again when its files change.
pub struct Internal {
    identity: Identity,
    visitors: Visitors,
    protocol: &'static [u8],
    current: ArcSwap<ServerConfig>,
    // A hash of what `current` was read from.
    content: AtomicU64,
}

/// What a server asks of who connects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Visitors {
    /// A certificate of an authority in this PEM file.
    Certified(PathBuf),
    /// The same, if it shows one.
    MayBeCertified(PathBuf),
    /// Nothing.
    Anybody,
}

/// What is wrong with a server's certificate, key or authorities.
#[derive(Debug, Error)]
pub enum InternalError {
    /// With what it shows.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// No authority in the file.
    #[error("{0} holds no PEM certificate of an authority that can be read; it needs at least one")]
    NoAuthority(String),
    /// Its authorities cannot be used.
    #[error("the authorities in {path} cannot be used: {source}")]
    Authority {
        /// The file.
        path: String,
        /// What rustls says.
        source: VerifierBuilderError,
    },
}

/// What the files hold.
struct Read {
    config: ServerConfig,
    content: u64,
}

impl Internal {
    /// Takes what `identity` and `visitors` name in `files`, for a server that speaks `protocol`, by its ALPN name.
    ///
    /// # Errors
    /// When a file cannot be read or holds something else.
    pub fn from_files(
        identity: Identity,
        visitors: Visitors,
        protocol: &'static [u8],
        files: &Files,
    ) -> Result<Self, InternalError> {
        let Read { config, content } = read_all(&identity, &visitors, protocol, files)?;
        let (current, content) = (ArcSwap::from_pointee(config), AtomicU64::new(content));
        Ok(Self { identity, visitors, protocol, current, content })
    }

    /// Takes what the files on disk hold now, and tells whether that is something else. Connections that live keep theirs.
    ///
    /// # Errors
    /// As [`Self::from_files`]; what is in use stays then.
    pub fn renew(&self) -> Result<bool, InternalError> {
        let Read { config, content } =
            read_all(&self.identity, &self.visitors, self.protocol, &Files::on_disk())?;
        if self.content.swap(content, Ordering::Relaxed) == content {
            return Ok(false);
        }
        self.current.store(Arc::new(config));
        Ok(true)
    }

    /// The TLS settings for a new connection.
    pub(crate) fn current(&self) -> Arc<ServerConfig> {
        self.current.load_full()
    }
}

impl Visitors {
    fn authorities(&self) -> Option<&Path> {
        match self {
            Self::Certified(path) | Self::MayBeCertified(path) => Some(path),
            Self::Anybody => None,
        }
    }
}

fn read_all(
    identity: &Identity,
    visitors: &Visitors,
    protocol: &[u8],
    files: &Files,
) -> Result<Read, InternalError> {
    let (chain, key) = (read(files, &identity.certificate)?, read(files, &identity.key)?);
    let authorities = visitors.authorities().map(|path| read(files, path)).transpose()?;
    let content = hash(&[
        chain.bytes(),
        key.bytes(),
        authorities.as_ref().map(crate::config::File::bytes).unwrap_or_default(),
    ]);
    let (certificates_name, key_name) = (name(&identity.certificate), name(&identity.key));
    let (chain, key) = pair(chain.bytes(), &certificates_name, key.bytes(), &key_name)?;
    let builder = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|source| refused(identity, source))?;
    let builder = match (visitors.authorities(), authorities) {
        (Some(path), Some(file)) => {
            let verifier =
                WebPkiClientVerifier::builder_with_provider(roots(file.bytes(), path)?, provider());
            let verifier = match visitors {
                Visitors::MayBeCertified(_) => verifier.allow_unauthenticated(),
                Visitors::Certified(_) | Visitors::Anybody => verifier,
            };
            let verifier = verifier.build();
            builder.with_client_cert_verifier(
                verifier.map_err(|source| InternalError::Authority { path: name(path), source })?,
            )
        }
        _ => builder.with_no_client_auth(),
    };
    let mut config = builder.with_single_cert(chain, key).map_err(|source| refused(identity, source))?;
    config.alpn_protocols = vec![protocol.to_vec()];
    // A resumed session would go on with what was shown before a renewal of the authorities.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Read { config, content })
}

fn refused(identity: &Identity, source: rustls::Error) -> CertificateError {
    CertificateError::Refused { certificates: name(&identity.certificate), key: name(&identity.key), source }
}

fn roots(pem: &[u8], path: &Path) -> Result<Arc<RootCertStore>, InternalError> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let added = certificate.ok().and_then(|certificate| roots.add(certificate).ok());
        added.ok_or_else(|| InternalError::NoAuthority(name(path)))?;
    }
    if roots.is_empty() { Err(InternalError::NoAuthority(name(path))) } else { Ok(Arc::new(roots)) }
}
