//! The built program as a process.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Output, Stdio};

use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, prlimit};
use serde_json::Value;
use tempfile::TempDir;
use testbed::{Process, eventually, eventually_true, http, process};

use super::PATIENCE;

/// `edgerelay` with these arguments, that gets nothing from the environment of the tests.
pub fn edgerelay(arguments: &[&str]) -> Command {
    let mut command = process::command(env!("CARGO_BIN_EXE_edgerelay"));
    command.args(arguments).stdin(Stdio::null());
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("EDGERELAY_"))
    {
        command.env_remove(name);
    }
    command
}

/// What a command printed, as text.
pub fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// Runs a command to its end.
pub fn run(arguments: &[&str]) -> Output {
    edgerelay(arguments).output().unwrap()
}

/// A running relay. Dropping it kills it.
pub struct Daemon {
    process: Process,
    directory: TempDir,
}

impl Daemon {
    /// `edgerelay serve` for alice on 127.0.0.1, with `settings` (TOML) beside, when it is ready.
    pub fn serve(settings: &str) -> Self {
        Self::serve_with(tempfile::tempdir().unwrap(), settings)
    }

    /// The same, with a directory that `settings` name files of.
    pub fn serve_with(directory: TempDir, settings: &str) -> Self {
        Self::serve_in(directory, &[], settings)
    }

    /// The same, with more arguments.
    pub fn serve_by(arguments: &[&str], settings: &str) -> Self {
        Self::serve_in(tempfile::tempdir().unwrap(), arguments, settings)
    }

    /// The same, and does not wait for it to be ready.
    pub fn begin(arguments: &[&str], settings: &str) -> Self {
        Self::begin_in(tempfile::tempdir().unwrap(), arguments, settings)
    }

    fn serve_in(directory: TempDir, arguments: &[&str], settings: &str) -> Self {
        let daemon = Self::begin_in(directory, arguments, settings);
        daemon.line("ready");
        daemon
    }

    fn begin_in(directory: TempDir, arguments: &[&str], settings: &str) -> Self {
        let path = directory.path().join("edgerelay.toml");
        std::fs::write(&path, Self::settings(settings)).unwrap();
        let mut command = edgerelay(&["serve", "--log-format", "json", "--config", path.to_str().unwrap()]);
        Self::start(command.args(arguments), directory)
    }

    /// What [`Self::serve`] is told with these `settings`.
    pub fn settings(settings: &str) -> String {
        format!("{BASE}\n{settings}")
    }

    /// Starts `command`, which logs JSON or text, and does not wait for it to be ready.
    pub fn start(command: &mut Command, directory: TempDir) -> Self {
        Self { process: Process::start("edgerelay", command), directory }
    }

    /// Everything that was logged so far.
    pub fn log(&self) -> Vec<String> {
        self.process.logged().lines().map(str::to_owned).collect()
    }

    /// The first log line with this message, when it is there.
    pub fn line(&self, message: &str) -> Value {
        eventually(PATIENCE, &format!("{message:?} to be logged"), || {
            let log = self.process.logged();
            let mut lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            lines.find(|line| line["message"] == message)
        })
    }

    /// The address of the listener for `transport`.
    pub fn address(&self, transport: &str) -> SocketAddr {
        let lines = self.log();
        let mut lines = lines.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let line = lines.find(|line| line["message"] == "listening" && line["transport"] == transport);
        line.unwrap()["address"].as_str().unwrap().parse().unwrap()
    }

    /// The admin server's address.
    pub fn admin(&self) -> SocketAddr {
        self.line("admin listening")["address"].as_str().unwrap().parse().unwrap()
    }

    /// Asks the admin server.
    pub fn get(&self, path: &str) -> (u16, String) {
        get(self.admin(), path)
    }

    /// The sum of a metric over all its series whose labels hold each of `labels`.
    pub fn metric(&self, name: &str, labels: &[&str]) -> u64 {
        let (code, text) = self.get("/metrics");
        assert_eq!(code, 200);
        let series = text.lines().filter(|line| {
            line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']))
                && labels.iter().all(|label| line.contains(label))
        });
        series.map(|line| line.rsplit_once(' ').unwrap().1.parse::<u64>().unwrap()).sum()
    }

    /// Sends a signal to the process that was started.
    pub fn signal(&self, signal: Signal) {
        self.process.signal(signal);
    }

    /// Halts it until [`Self::go_on`]: what comes in the meantime waits in the kernel.
    pub fn halt(&self) {
        let process = self.process.youngest();
        kill_process(Pid::from_raw(process.pid).unwrap(), Signal::STOP).unwrap();
        eventually_true(PATIENCE, "the relay to halt", || {
            process.tasks().unwrap().all(|task| task.unwrap().stat().unwrap().state == 'T')
        });
    }

    /// Lets it go on.
    pub fn go_on(&self) {
        kill_process(self.relay(), Signal::CONT).unwrap();
    }

    /// Lets it open no file and no socket more, until what this gives is handed to [`Self::allow_files`].
    pub fn deny_files(&self) -> Rlimit {
        let mut open: Vec<i32> = self.process.youngest().fd().unwrap().map(|file| file.unwrap().fd).collect();
        open.sort_unstable();
        // The next one would get the first free number.
        let free = (0..).zip(&open).take_while(|(number, open)| number == *open).count() as u64;
        let allowed = getrlimit(Resource::Nofile);
        prlimit(Some(self.relay()), Resource::Nofile, Rlimit { current: Some(free), ..allowed }).unwrap()
    }

    /// Takes that back.
    pub fn allow_files(&self, allowed: Rlimit) {
        prlimit(Some(self.relay()), Resource::Nofile, allowed).unwrap();
    }

    /// Ends the process that serves by a signal, and waits until another one does.
    pub fn crash(&self, signal: Signal) {
        let (before, starts) = (self.relay(), self.starts());
        kill_process(before, signal).unwrap();
        eventually_true(PATIENCE, "another relay to serve", || {
            self.starts() > starts && self.relay() != before
        });
    }

    /// Kills all its processes at once.
    pub fn kill_all(&mut self) {
        self.process.kill_all();
        self.wait();
    }

    /// How many relays have become ready.
    pub fn starts(&self) -> usize {
        self.log().iter().filter(|line| line.contains("\"message\":\"ready\"")).count()
    }

    /// The process that was started.
    pub fn first(&self) -> Pid {
        Pid::from_raw(self.process.id().cast_signed()).unwrap()
    }

    /// The process that serves.
    pub fn relay(&self) -> Pid {
        Pid::from_raw(self.process.youngest().pid).unwrap()
    }

    /// The memory of the process that serves, where it is not swapped out.
    pub fn resident_bytes(&self) -> u64 {
        self.process.youngest().status().unwrap().vmrss.unwrap() * 1024
    }

    /// Whether it still runs.
    pub fn runs(&mut self) -> bool {
        self.process.runs()
    }

    /// Waits for its end.
    pub fn wait(&mut self) -> ExitStatus {
        self.process.wait(PATIENCE)
    }

    /// What it has printed so far: all of it, once it has ended.
    pub fn printed(&self) -> String {
        self.process.printed()
    }

    /// A file beside its configuration.
    pub fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Its directory.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }
}

/// One answer of an HTTP server: the status and the body.
pub fn get(server: SocketAddr, path: &str) -> (u16, String) {
    http::get(server, path).unwrap()
}

/// One worker, so that what is counted is counted in one place; alice may relay to loopback, and ask
/// as often as a test that waits for something does.
pub(super) const BASE: &str = r#"
realm = "example.org"
admin.address = "127.0.0.1:0"
workers = { count = 1, pin = false }
relay.addresses = [{ bind = "127.0.0.1" }]
peers.allow = ["127.0.0.1/32", "127.0.0.2/32"]
limits.answers = { per_source_bytes_per_second = 10_000_000, total_bytes_per_second = 100_000_000 }
"#;

/// What lets alice in.
pub const ALICE: &str = "credentials.users = { alice = 'wonderland' }";
/// A UDP listener on a free port.
pub const UDP: &str = "listeners = [{ transport = 'udp', address = '127.0.0.1:0' }]";
