//! Agents of aioice, an ICE library in Python, in a virtual environment of their own.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use testbed::Process;

use crate::credential::Credential;
use crate::network::Party;
use crate::transport::Transport;

const SCRIPT: &str = include_str!("../clients/aioice_agent.py");
const DEADLINE: Duration = Duration::from_secs(40);
/// How many messages an agent sends and gets back before it says so.
pub const MESSAGES: u32 = 50;

/// One agent, limited to its relayed candidate.
#[derive(Debug)]
pub struct Agent {
    process: Process,
    local: String,
}

impl Agent {
    /// Starts an agent and waits until it has gathered its candidate.
    pub fn start(
        controlling: bool,
        from: &Party,
        relay: SocketAddr,
        transport: Transport,
        credential: &Credential,
        authority: &Path,
    ) -> Self {
        let role = if controlling { "controlling" } else { "controlled" };
        let python = std::env::var("AIOICE_PYTHON");
        let python = python.expect("`e2e/test clients` installs aioice and sets AIOICE_PYTHON");
        let mut command = from.namespace.command(&python);
        command.args([
            "-c",
            SCRIPT,
            role,
            &relay.ip().to_string(),
            &relay.port().to_string(),
            transport.name(),
        ]);
        command.arg(&credential.username).env("SSL_CERT_FILE", authority);
        let mut process = Process::start(&format!("aioice, {role}"), command);
        process.write_line(&credential.password);
        let local = process.line("LOCAL ", DEADLINE);
        Self { process, local }
    }

    /// What the other agent must know, as JSON.
    pub fn description(&self) -> &str {
        &self.local
    }

    /// Tells the agent about the other one.
    pub fn meet(&mut self, other: &str) {
        self.process.write_line(other);
    }

    /// Waits until it has passed its messages; returns how many.
    pub fn passed(&mut self) -> u32 {
        self.process.line("DONE ", DEADLINE).parse().expect("the agent prints a number")
    }

    /// Lets the agent go and waits for its end.
    pub fn leave(mut self) {
        self.process.write_line("");
        let (status, output) = self.process.finish(DEADLINE);
        assert!(status.success(), "aioice: {output}");
    }
}
