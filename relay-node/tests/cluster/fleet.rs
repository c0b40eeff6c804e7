//! A fleet of relays on loopback addresses, each a process, around one Redis; and an authority that certifies them and
//! those who call them.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use edgerelay::cluster::api::{DialError, dial};
use edgerelay::config;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use tempfile::TempDir;
use testbed::Redis;
use tonic::transport::Channel;

use crate::daemon::{Daemon, PATIENCE, edgerelay, wait_until};

/// The fleet's name.
pub const FLEET: &str = "blue";
/// A name of `cluster.grpc.operators`.
pub const OPERATOR: &str = "ops.example.org";
/// A name of both lists of issuers.
pub const APPLICATION: &str = "app.example.org";
/// A token of `cluster.https`.
pub const TOKEN: &str = "a bearer token of the tests";

/// Makes certificates.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: TempDir,
}

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("ca.crt"), issuer.pem()).unwrap();
        Self { issuer, folder }
    }

    /// Its own certificate.
    pub fn file(&self) -> PathBuf {
        self.folder.path().join("ca.crt")
    }

    /// A new certificate for `names`, in the files of that call; those from before are replaced.
    pub fn certify(&self, file: &str, names: &[&str]) -> config::Identity {
        let names: Vec<_> = names.iter().map(|&name| name.to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let path = |kind: &str| self.folder.path().join(format!("{file}.{kind}"));
        fs::write(path("crt"), certificate.pem()).unwrap();
        fs::write(path("key"), key.serialize_pem()).unwrap();
        config::Identity { certificate: path("crt"), key: path("key") }
    }
}

/// Relays around a Redis.
pub struct Fleet {
    pub redis: Redis,
    pub authority: Authority,
    pub relays: Vec<Relay>,
    settings: String,
}

/// One of them.
pub struct Relay {
    pub daemon: Daemon,
    pub grpc: SocketAddr,
    pub https: SocketAddr,
}

impl Fleet {
    /// `count` relays called a, b, c ..., which know each other.
    pub fn of(count: usize) -> Self {
        Self::with(count, "")
    }

    /// The same, with more settings.
    pub fn with(count: usize, settings: &str) -> Self {
        let mut fleet = Self {
            redis: Redis::start(),
            authority: Authority::new(),
            relays: Vec::new(),
            settings: settings.to_owned(),
        };
        (0..count).for_each(|_| fleet.join());
        fleet.wait_for_secrets();
        fleet
    }

    /// Waits until all relays give credentials: the first ones of a new fleet wait for others that may know its secrets.
    fn wait_for_secrets(&self) {
        for at in 0..self.relays.len() {
            let gives = || self.command(at, &["issue", "--user", "the-first"]).status.success();
            wait_until("credentials are given", gives);
        }
    }

    /// One more relay.
    pub fn join(&mut self) {
        let name = char::from(b'a' + self.relays.len() as u8).to_string();
        let node = self.authority.certify(&name, &["relay.blue.edgerelay", "localhost"]);
        let ip = free_address();
        let file = |path: &Path| path.display().to_string();
        let (certificate, key, ca) = (file(&node.certificate), file(&node.key), file(&self.authority.file()));
        let identity = format!("certificate = '{certificate}', key = '{key}', ca_file = '{ca}'");
        let place = self.relays.len() + 1;
        let settings = format!(
            "listeners = [{{ transport = 'udp', address = '{ip}:0', advertised = '192.0.2.{place}:3478' }}]\n\
             cluster.fleet = '{FLEET}'\n\
             cluster.fleet_key = '0123456789abcdef0123456789abcdef'\n\
             cluster.node = '{name}'\n\
             cluster.redis = {{ urls = ['{}'] }}\n\
             cluster.grpc = {{ address = '{ip}:7443', {identity}, operators = ['{OPERATOR}'], issuers = ['{APPLICATION}'] }}\n\
             cluster.https = {{ address = '{ip}:8443', {identity}, issuers = ['{APPLICATION}'], tokens = ['{TOKEN}'] }}\n\
             cluster.issuing.urls = ['turn:turn.example.org:3478?transport=udp']\n{}",
            self.redis.url(),
            self.settings
        );
        let daemon = Daemon::serve(&settings);
        let listening = |message: &str| daemon.line(message)["address"].as_str().unwrap().parse().unwrap();
        let (grpc, https) = (listening("gRPC listening"), listening("HTTPS listening"));
        self.relays.push(Relay { daemon, grpc, https });
    }

    /// Runs `edgerelay` with these arguments as who is certified for `name`, against the relay at `at`.
    pub fn command_as(&self, name: &str, at: usize, arguments: &[&str]) -> Output {
        let own = self.authority.certify(name, &[name]);
        let address = self.relays[at].grpc.to_string();
        let mut command = edgerelay(arguments);
        command.args(["--address", &address, "--fleet", FLEET, "--certificate"]).arg(own.certificate);
        command.arg("--key").arg(own.key).arg("--ca-file").arg(self.authority.file());
        command.output().unwrap()
    }

    /// The same as an operator.
    pub fn command(&self, at: usize, arguments: &[&str]) -> Output {
        self.command_as(OPERATOR, at, arguments)
    }

    /// What it prints as JSON, of a command that succeeds.
    pub fn ask(&self, at: usize, arguments: &[&str]) -> serde_json::Value {
        let output = self.command(at, &[arguments, &["--output", "json"]].concat());
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// A connection by gRPC as who is certified for `names`.
    pub async fn call(&self, at: usize, names: &[&str]) -> Result<Channel, DialError> {
        let own = self.authority.certify("caller", names);
        dial(&self.relays[at].grpc.to_string(), FLEET, &own, &self.authority.file()).await
    }

    /// A connection by TLS to the HTTPS server.
    pub fn https(&self, at: usize, own: Option<&config::Identity>) -> Tls {
        let stream = TcpStream::connect(self.relays[at].https).unwrap();
        tls(stream, "localhost", &self.authority.file(), own)
    }

    /// What the HTTPS server answers to a request with a bearer token: the status and the body.
    pub fn web(&self, at: usize, token: &str, request: &str) -> (u16, String) {
        let head = format!("Host: localhost\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n");
        answer(&mut self.https(at, None), &request.replacen("\r\n", &format!("\r\n{head}"), 1))
    }
}

/// A TLS connection of a client.
pub type Tls = StreamOwned<ClientConnection, TcpStream>;

/// A TLS session over `stream` with who is `name`.
pub fn tls(stream: TcpStream, name: &'static str, ca: &Path, own: Option<&config::Identity>) -> Tls {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(ca).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let config = match own {
        Some(own) => {
            let chain = vec![CertificateDer::from_pem_file(&own.certificate).unwrap()];
            config.with_client_auth_cert(chain, PrivateKeyDer::from_pem_file(&own.key).unwrap()).unwrap()
        }
        None => config.with_no_client_auth(),
    };
    let session = ClientConnection::new(Arc::new(config), ServerName::try_from(name).unwrap()).unwrap();
    StreamOwned::new(session, stream)
}

/// Sends a request that closes the connection, and reads the answer: the status and the body.
pub fn answer(stream: &mut Tls, request: &str) -> (u16, String) {
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    // A server that closes without saying so in TLS has said all that it had to say.
    let _ = stream.read_to_string(&mut answer);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {answer:?}"));
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

/// A loopback address that no other relay of the tests has.
pub fn free_address() -> Ipv4Addr {
    static NEXT: AtomicU16 = AtomicU16::new(1);
    let [high, low] = (std::process::id() as u16).to_be_bytes();
    // Some tests relay to 127.0.0.1 and 127.0.0.2.
    Ipv4Addr::new(127, high | 0x80, low, NEXT.fetch_add(1, Ordering::Relaxed) as u8)
}
