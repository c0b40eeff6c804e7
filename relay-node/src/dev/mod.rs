//! `edgerelay dev`: a relay on this machine alone, with nothing to configure.

mod state;

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;
use thiserror::Error;
use toml::Value;
use turn::credentials::{Secret, SecretError};

use crate::cli::DevArgs;
use crate::config::{Config, Host, Layers};
use crate::ice_servers::{self, IceServers, TimedCredential};
use crate::recovery::keys::Keys;
use crate::serve::{self, ServeError, Started};
use crate::worker::StartError;

pub use state::{State, StateError};

/// Where everything is.
const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// How long the printed credential can allocate.
const CREDENTIAL_LIFETIME: Duration = Duration::from_secs(24 * 3600);

/// Why the trial relay did not start, or did not go on.
#[derive(Debug, Error)]
pub enum DevError {
    /// Another program has a port.
    #[error(
        "another program has {transport} port {port} on 127.0.0.1; stop it, or choose another port by {flag} (0 for a free one)"
    )]
    PortTaken {
        /// The protocol.
        transport: &'static str,
        /// The port.
        port: u16,
        /// What changes it.
        flag: &'static str,
    },
    /// The state file.
    #[error(transparent)]
    State(#[from] StateError),
    /// The certificate.
    #[error("no certificate can be made: {0}; this is a fault of the program, report it")]
    Certificate(#[from] rcgen::Error),
    /// The certificate's files, or randomness.
    #[error(
        "the trial relay cannot be prepared: {0}; check the space and permissions of its state directory"
    )]
    Prepare(#[from] io::Error),
    /// The secret.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// As for any relay.
    #[error(transparent)]
    Serve(#[from] ServeError),
}

/// Runs a relay on 127.0.0.1 until it is told to end.
///
/// # Errors
/// When it cannot be started, or cannot go on.
pub fn run(arguments: &DevArgs) -> Result<(), DevError> {
    let directory = state::directory()?;
    let identity = TempDir::new_in(&directory)?;
    let certificate = write_identity(identity.path())?;
    let secret = random_secret()?;
    let layers = layers(arguments, identity.path(), &secret);
    let key = Secret::new(secret.as_bytes())?;

    let load = || Config::load(layers.clone(), Host::detect()?);
    let announce = |started: &Started<'_>| {
        let urls: Vec<_> = started
            .listeners
            .iter()
            .map(|listener| ice_servers::url(listener.transport, listener.address))
            .collect();
        let state = State::new(urls.clone(), secret.clone(), certificate.clone(), started.admin);
        state.write().map_err(io::Error::other)?;
        tell(&IceServers::new(urls, TimedCredential::new(&key, "dev", CREDENTIAL_LIFETIME)));
        Ok(())
    };
    let end = serve::run_alone(&load, &announce);
    State::remove_own()?;
    end.map_err(|error| match error {
        ServeError::Workers(StartError::Listener { transport, address, source })
            if source.kind() == io::ErrorKind::AddrInUse =>
        {
            let flag = if transport == turn::Transport::Tls { "--tls-port" } else { "--port" };
            DevError::PortTaken { transport: transport.name(), port: address.port(), flag }
        }
        other => other.into(),
    })
}

/// What to paste into a page goes to standard output, so that it can be piped; the rest beside the log.
#[expect(clippy::print_stdout, clippy::print_stderr, reason = "the answer of a command")]
fn tell(servers: &IceServers) {
    println!("{servers}");
    eprintln!();
    eprintln!("A relay for trying things out, on 127.0.0.1 only. Peers on loopback are allowed here,");
    eprintln!("which `edgerelay serve` refuses. Give the JSON above to new RTCPeerConnection(...),");
    eprintln!("with iceTransportPolicy: \"relay\" to see that media goes through it.");
    eprintln!("Next: run `edgerelay try` in another terminal. Ctrl-C ends the relay.");
}

/// The settings of the trial relay, in the words of the configuration.
fn layers(arguments: &DevArgs, identity: &Path, secret: &str) -> Layers {
    let text = |text: String| Value::String(text);
    let list =
        |texts: &[&str]| Value::Array(texts.iter().map(|item| Value::String((*item).to_owned())).collect());
    let listener = |transport: &str, port: u16| {
        let mut table = toml::Table::new();
        table.insert("transport".into(), text(transport.into()));
        table.insert("address".into(), text(format!("{LOOPBACK}:{port}")));
        Value::Table(table)
    };
    let relay = toml::Table::from_iter([("bind".to_owned(), text(LOOPBACK.to_string()))]);
    let listeners = Value::Array(vec![
        listener("udp", arguments.port),
        listener("tcp", arguments.port),
        listener("tls", arguments.tls_port),
    ]);
    let mut layers = Layers::default();
    for (path, value) in [
        ("listeners", listeners),
        ("relay.addresses", Value::Array(vec![Value::Table(relay)])),
        ("credentials.rest_secrets", list(&[secret])),
        ("peers.allow", list(&["127.0.0.1/32", "::1/128"])),
        ("recovery.keeper", Value::Boolean(false)),
        ("admin.address", text(arguments.admin.to_string())),
        ("telemetry.log_level", text(arguments.log_level.clone())),
        ("drain_deadline", text("0s".into())),
    ] {
        layers.set(path, value, "edgerelay dev");
    }
    layers.complete_tls_listeners(Some(&identity.join(CERTIFICATE)), Some(&identity.join(KEY)));
    layers
}

const CERTIFICATE: &str = "certificate.pem";
const KEY: &str = "key.pem";

/// Makes a certificate that names this machine, signed by itself, and returns it as PEM. The
/// directory is this user's alone.
fn write_identity(directory: &Path) -> Result<String, DevError> {
    let names = ["localhost".to_owned(), LOOPBACK.to_string()];
    let pair = rcgen::generate_simple_self_signed(names)?;
    let certificate = pair.cert.pem();
    std::fs::write(directory.join(CERTIFICATE), &certificate)?;
    let mut key = OpenOptions::new().write(true).create_new(true).mode(0o600).open(directory.join(KEY))?;
    key.write_all(pair.signing_key.serialize_pem().as_bytes())?;
    Ok(certificate)
}

fn random_secret() -> io::Result<String> {
    Ok(Keys::random()?.nonce.iter().map(|byte| format!("{byte:02x}")).collect())
}
