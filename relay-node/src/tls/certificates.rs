//! A certificate chain with its key, and the TLS settings around them.

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::{fmt, io};

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem};
use rustls::server::NoServerSessionStorage;
use thiserror::Error;
use webpki::EndEntityCert;

use crate::config::{File, Files};

/// TURN and STUN over TLS (RFC 7443), what we like best first. A client that offers other protocols
/// only is refused, one that offers none is served (RFC 7301 section 3.2).
const ALPN: [&[u8]; 2] = [b"stun.turn", b"stun.nat-discovery"];

/// Who the relay is towards TLS clients. Clones are the same identity.
#[derive(Clone)]
pub struct Certificates(Arc<Identity>);

struct Identity {
    source: Source,
    current: ArcSwap<Shown>,
    // A hash of what `current` was read from.
    content: AtomicU64,
}

/// What is shown to clients.
struct Shown {
    config: Arc<ServerConfig>,
    /// The server's own certificate.
    own: CertificateDer<'static>,
}

enum Source {
    Files { certificates: PathBuf, key: PathBuf },
    Memory,
}

/// What is wrong with a certificate or its key.
#[derive(Debug, Error)]
pub enum CertificateError {
    /// A file cannot be read.
    #[error("cannot read {path}: {source}; check the path and its permissions", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// No certificate in a file.
    #[error("{0} holds no PEM certificate that can be read; it needs the chain, the server's own first")]
    NoCertificate(String),
    /// No key in a file.
    #[error("{0} holds no PEM private key that can be read; it needs one in PKCS#8, PKCS#1 or SEC1 form")]
    NoKey(String),
    /// The two do not go together, or are of a kind that TLS does not use.
    #[error("{certificates} and {key} cannot be used together: {source}; they must be one pair")]
    Refused {
        /// Where the certificates are from.
        certificates: String,
        /// Where the key is from.
        key: String,
        /// What rustls says.
        source: rustls::Error,
    },
}

impl Certificates {
    /// Takes a PEM certificate chain and its PEM private key from files.
    ///
    /// # Errors
    /// When a file cannot be read or is no such thing, or the two do not go together.
    pub fn from_files(certificates: PathBuf, key: PathBuf, files: &Files) -> Result<Self, CertificateError> {
        let (chain, secret) = (read(files, &certificates)?, read(files, &key)?);
        let shown = shown(chain.bytes(), &name(&certificates), secret.bytes(), &name(&key))?;
        Ok(Self::new(Source::Files { certificates, key }, shown, hash(&[chain.bytes(), secret.bytes()])))
    }

    /// Takes a PEM certificate chain and its PEM private key from memory.
    ///
    /// # Errors
    /// When they are no such thing or do not go together.
    pub fn from_pem(certificates: &[u8], key: &[u8]) -> Result<Self, CertificateError> {
        let shown = shown(certificates, "the certificate", key, "the key")?;
        Ok(Self::new(Source::Memory, shown, hash(&[certificates, key])))
    }

    fn new(source: Source, shown: Shown, content: u64) -> Self {
        Self(Arc::new(Identity {
            source,
            current: ArcSwap::from_pointee(shown),
            content: AtomicU64::new(content),
        }))
    }

    /// What `files` hold at its places, if that is another identity.
    ///
    /// # Errors
    /// As [`Self::from_files`]. The identity in use stays whatever comes of this.
    pub fn renewal(&self, files: &Files) -> Result<Option<Renewal>, CertificateError> {
        let Source::Files { certificates, key } = &self.0.source else { return Ok(None) };
        let (chain, secret) = (read(files, certificates)?, read(files, key)?);
        let content = hash(&[chain.bytes(), secret.bytes()]);
        if self.0.content.load(Ordering::Relaxed) == content {
            return Ok(None);
        }
        let shown = shown(chain.bytes(), &name(certificates), secret.bytes(), &name(key))?;
        Ok(Some(Renewal { of: self.clone(), shown, content }))
    }

    /// The TLS settings for a new connection.
    pub(crate) fn current(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.0.current.load().config)
    }

    /// Whether clients that expect this address are content with the certificate.
    pub(crate) fn covers(&self, ip: IpAddr) -> bool {
        let shown = self.0.current.load();
        EndEntityCert::try_from(&shown.own)
            .is_ok_and(|own| own.verify_is_valid_for_subject_name(&ServerName::IpAddress(ip.into())).is_ok())
    }

    /// The first name of a single host that the certificate has.
    pub(crate) fn domain(&self) -> Option<String> {
        let shown = self.0.current.load();
        let own = EndEntityCert::try_from(&shown.own).ok()?;
        own.valid_dns_names().find(|name| !name.starts_with('*')).map(str::to_owned)
    }
}

/// An identity that was read and is not used yet.
pub struct Renewal {
    of: Certificates,
    shown: Shown,
    content: u64,
}

impl Renewal {
    /// From now on new connections get this identity; those that live keep theirs.
    pub fn apply(self) {
        self.of.0.current.store(Arc::new(self.shown));
        self.of.0.content.store(self.content, Ordering::Relaxed);
    }
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.source {
            Source::Files { certificates, key } => {
                f.debug_struct("Certificates").field("certificates", certificates).field("key", key).finish()
            }
            Source::Memory => f.write_str("Certificates"),
        }
    }
}

pub(super) fn read(files: &Files, path: &Path) -> Result<File, CertificateError> {
    files.read(path).map_err(|source| CertificateError::Read { path: path.to_owned(), source })
}

pub(super) fn name(path: &Path) -> String {
    path.display().to_string()
}

/// Keyed for this process, so that nobody learns about a key from it.
pub(super) fn hash(contents: &[&[u8]]) -> u64 {
    static HASHER: LazyLock<RandomState> = LazyLock::new(RandomState::new);
    HASHER.hash_one(contents)
}

fn shown(
    certificates: &[u8],
    certificates_name: &str,
    key: &[u8],
    key_name: &str,
) -> Result<Shown, CertificateError> {
    let (chain, key) = pair(certificates, certificates_name, key, key_name)?;
    let no_certificate = || CertificateError::NoCertificate(certificates_name.to_owned());
    let own = chain.first().ok_or_else(no_certificate)?.clone();
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
        .map_err(|source| CertificateError::Refused {
            certificates: certificates_name.to_owned(),
            key: key_name.to_owned(),
            source,
        })?;
    config.alpn_protocols = ALPN.map(<[u8]>::to_vec).into();
    // Clients stay for a call and come back with a new one: sessions to resume would only take memory.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Shown { config: Arc::new(config), own })
}

/// A chain and its key, as PEM has them.
pub(super) fn pair(
    certificates: &[u8],
    certificates_name: &str,
    key: &[u8],
    key_name: &str,
) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), CertificateError> {
    let chain = CertificateDer::pem_slice_iter(certificates)
        .collect::<Result<Vec<_>, pem::Error>>()
        .ok()
        .filter(|chain| !chain.is_empty())
        .ok_or_else(|| CertificateError::NoCertificate(certificates_name.to_owned()))?;
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| CertificateError::NoKey(key_name.to_owned()))?;
    Ok((chain, key))
}

/// Named, whatever else the process uses: its first choice of key exchange is post-quantum.
pub(super) fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: LazyLock<Arc<CryptoProvider>> =
        LazyLock::new(|| Arc::new(aws_lc_rs::default_provider()));
    Arc::clone(&PROVIDER)
}
