//! A certificate authority of the test's own, and a certificate for the relay's addresses.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use tempfile::TempDir;

/// What the relay signs with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// P-256: a signature takes some tens of microseconds.
    Ecdsa,
    /// 3072 bits: a signature takes milliseconds.
    Rsa,
}

/// An authority with one server certificate, in files that go with the value.
#[derive(Debug)]
pub struct Certificate {
    folder: TempDir,
}

impl Certificate {
    /// Issues a certificate that names `addresses`.
    pub fn for_addresses(addresses: &[IpAddr], key: Key) -> Self {
        let certificate = Self { folder: TempDir::with_prefix("edgerelay-ca-").expect("a temporary folder") };
        let folder = certificate.folder.path();
        let subject = ["-x509", "-days", "2", "-subj", "/CN=EdgeRelay test authority"];
        openssl(folder, Key::Ecdsa, &[&subject, &["-keyout", "ca.key", "-out", "ca.pem"]]);
        let names: Vec<String> = addresses.iter().map(|address| format!("IP:{address}")).collect();
        let names = format!("subjectAltName={}", names.join(","));
        let signer = ["-x509", "-days", "2", "-subj", "/CN=relay", "-CA", "ca.pem", "-CAkey", "ca.key"];
        let extensions = ["-addext", &names, "-addext", "basicConstraints=critical,CA:FALSE"];
        let usage = ["-addext", "extendedKeyUsage=serverAuth"];
        let files = ["-keyout", "relay.key", "-out", "relay.pem"];
        openssl(folder, key, &[&signer, &extensions, &usage, &files]);
        certificate
    }

    /// The authority's certificate.
    pub fn authority(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// For a TLS client that trusts the authority.
    pub fn trust(&self) -> Arc<ClientConfig> {
        let authority = CertificateDer::from_pem_file(self.authority()).expect("openssl writes PEM");
        let mut roots = RootCertStore::empty();
        roots.add(authority).expect("openssl makes certificates");
        Arc::new(ClientConfig::builder().with_root_certificates(roots).with_no_client_auth())
    }

    /// The server's certificate chain.
    pub fn chain(&self) -> PathBuf {
        self.folder.path().join("relay.pem")
    }

    /// The server's private key.
    pub fn key(&self) -> PathBuf {
        self.folder.path().join("relay.key")
    }
}

impl Key {
    const fn options(self) -> &'static [&'static str] {
        match self {
            Self::Ecdsa => &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
            Self::Rsa => &["-newkey", "rsa:3072"],
        }
    }
}

fn openssl(folder: &Path, key: Key, arguments: &[&[&str]]) {
    let output = Command::new("openssl")
        .args(["req", "-noenc"])
        .args(key.options())
        .args(arguments.concat())
        .current_dir(folder)
        .output()
        .expect("openssl is installed by e2e/test");
    assert!(output.status.success(), "openssl: {}", String::from_utf8_lossy(&output.stderr));
}
