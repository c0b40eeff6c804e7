//! The client of pion's TURN library, in Go.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use tempfile::TempDir;
use testbed::Process;

use crate::credential::Credential;
use crate::network::Party;
use crate::transport::Transport;

/// How many messages the client sends and gets back before it says so.
pub const MESSAGES: u32 = 200;

const DEADLINE: Duration = Duration::from_secs(60);

/// Runs the client to its end; returns how many messages came back from the peer.
pub fn run(
    from: &Party,
    relay: SocketAddr,
    transport: Transport,
    peer: SocketAddr,
    credential: &Credential,
    authority: &Path,
) -> u32 {
    let mut command = from.namespace.command(&binary().to_string_lossy());
    command.args([transport.name(), &relay.to_string(), &peer.to_string(), &credential.username]);
    command.arg(authority);
    let mut process = Process::start("pion", command);
    process.write_line(&credential.password);
    let passed = process.line("DONE ", DEADLINE).parse().expect("the client prints a number");
    let (status, output) = process.finish(DEADLINE);
    assert!(status.success(), "pion: {output}");
    passed
}

/// The client, built at the first call of a test process.
fn binary() -> &'static Path {
    static BINARY: OnceLock<(TempDir, PathBuf)> = OnceLock::new();
    let (_, path) = BINARY.get_or_init(|| {
        let folder = TempDir::with_prefix("edgerelay-pion-").expect("a temporary folder");
        let path = folder.path().join("pion");
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/clients/pion");
        let mut go = Command::new("go");
        go.args(["build", "-o"]).arg(&path).arg(".").current_dir(source);
        let status = go.status().expect("Go is installed");
        assert!(status.success(), "pion's client does not build: {status}");
        (folder, path)
    });
    path
}
