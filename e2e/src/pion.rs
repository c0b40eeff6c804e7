//! The client of pion's TURN library, in Go.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

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
    let program = std::env::var("PION_CLIENT").expect("`e2e/test clients` builds it and sets PION_CLIENT");
    let mut command = from.namespace.command(&program);
    command.args([transport.name(), &relay.to_string(), &peer.to_string(), &credential.username]);
    command.arg(authority);
    let mut process = Process::start("pion", command);
    process.write_line(&credential.password);
    let passed = process.line("DONE ", DEADLINE).parse().expect("the client prints a number");
    let (status, output) = process.finish(DEADLINE);
    assert!(status.success(), "pion: {output}");
    passed
}
