//! A certificate authority of the test's own, and a certificate for the relay's addresses.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use tempfile::TempDir;

/// What the files of the relay's certificate are called.
const OWN: &str = "relay";

/// What the relay signs with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// P-256: a signature takes some tens of microseconds.
    Ecdsa,
    /// 3072 bits: a signature takes milliseconds.
    Rsa,
}

/// An authority with one certificate, and others if a test wants them, in files that go with the value.
#[derive(Debug)]
pub struct Certificate {
    folder: TempDir,
}

impl Certificate {
    /// Issues a certificate that names `addresses`, for a server.
    pub fn for_addresses(addresses: &[IpAddr], key: Key) -> Self {
        let names: Vec<String> = addresses.iter().map(|address| format!("IP:{address}")).collect();
        let certificate = Self::with_authority();
        certificate.issue(OWN, &names.join(","), "serverAuth", key);
        certificate
    }

    /// Issues a certificate with a name of DNS, for who is client and server.
    pub fn for_name(name: &str) -> Self {
        let certificate = Self::with_authority();
        certificate.issue(OWN, &format!("DNS:{name}"), "serverAuth,clientAuth", Key::Ecdsa);
        certificate
    }

    /// Has the same authority issue another one, for a client; the files of its chain and of its key.
    pub fn for_client(&self, name: &str) -> [PathBuf; 2] {
        self.issue(name, &format!("DNS:{name}"), "clientAuth", Key::Ecdsa);
        self.files(name)
    }

    fn with_authority() -> Self {
        let folder = TempDir::with_prefix("edgerelay-ca-").expect("a temporary folder");
        let subject = ["-x509", "-days", "2", "-subj", "/CN=EdgeRelay test authority"];
        openssl(folder.path(), Key::Ecdsa, &[&subject, &["-keyout", "ca.key", "-out", "ca.pem"]]);
        Self { folder }
    }

    fn issue(&self, stem: &str, names: &str, usage: &str, key: Key) {
        let subject = format!("/CN={stem}");
        let signer = ["-x509", "-days", "2", "-subj", &subject, "-CA", "ca.pem", "-CAkey", "ca.key"];
        let names = format!("subjectAltName={names}");
        let usage = format!("extendedKeyUsage={usage}");
        let extensions =
            ["-addext", &names, "-addext", "basicConstraints=critical,CA:FALSE", "-addext", &usage];
        let [chain, secret] = [format!("{stem}.pem"), format!("{stem}.key")];
        openssl(self.folder.path(), key, &[&signer, &extensions, &["-keyout", &secret, "-out", &chain]]);
    }

    fn files(&self, stem: &str) -> [PathBuf; 2] {
        ["pem", "key"].map(|ending| self.folder.path().join(format!("{stem}.{ending}")))
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
        self.files(OWN)[0].clone()
    }

    /// The server's private key.
    pub fn key(&self) -> PathBuf {
        self.files(OWN)[1].clone()
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
