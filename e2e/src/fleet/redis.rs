//! The fleet's Redis, and what may happen to it.

use std::net::{IpAddr, SocketAddr};
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;
use testbed::{Namespace, Process, eventually_true};

const PORT: u16 = 6379;
const START: Duration = Duration::from_secs(20);

/// A server without files, in a namespace.
#[derive(Debug)]
pub struct Redis<'n> {
    namespace: &'n Namespace,
    address: IpAddr,
    process: Process,
    folder: TempDir,
}

impl<'n> Redis<'n> {
    /// Starts one at an address of a namespace and waits until it answers.
    pub fn start(namespace: &'n Namespace, address: IpAddr) -> Self {
        let folder = TempDir::with_prefix("edgerelay-redis-").expect("a temporary folder");
        let process = launch(namespace, address, &folder);
        let redis = Self { namespace, address, process, folder };
        redis.await_ready();
        redis
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::new(self.address, PORT)
    }

    /// Ends it at once.
    pub fn kill(&mut self) {
        self.process.kill_all();
        self.process.wait(START);
    }

    /// Starts it again, empty, once it was killed.
    pub fn start_again(&mut self) {
        self.process = launch(self.namespace, self.address, &self.folder);
        self.await_ready();
    }

    /// Has it take what it is sent and answer nothing.
    pub fn hang(&self) {
        self.process.signal(Signal::STOP);
    }

    /// Ends that.
    pub fn go_on(&self) {
        self.process.signal(Signal::CONT);
    }

    /// What it answers to a command.
    ///
    /// # Panics
    /// When it does not answer.
    pub fn ask(&self, command: &[&str]) -> String {
        let output = self.cli(command).output().expect("redis-tools is installed by e2e/test");
        assert!(
            output.status.success(),
            "redis-cli {command:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
    }

    fn cli(&self, command: &[&str]) -> Command {
        let mut cli = self.namespace.command("redis-cli");
        cli.args(["-h", &self.address.to_string(), "-p", &PORT.to_string()]).args(command);
        cli
    }

    fn await_ready(&self) {
        eventually_true(START, "Redis to answer", || {
            self.cli(&["ping"]).output().is_ok_and(|output| output.stdout == b"PONG\n")
        });
    }
}

fn launch(namespace: &Namespace, address: IpAddr, folder: &TempDir) -> Process {
    let mut command = namespace.command("redis-server");
    command.args(["--bind", &address.to_string(), "--port", &PORT.to_string(), "--protected-mode", "no"]);
    command.args(["--save", "", "--appendonly", "no", "--dir"]).arg(folder.path());
    Process::start("redis-server", command)
}
