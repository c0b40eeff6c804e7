//! What the figures were taken on and with.

use std::{
    env, fs, io,
    path::PathBuf,
    process::{Command, Stdio},
    thread,
};

/// Why the relay could not be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// cargo did not run.
    #[error("cannot run cargo to build the relay ({0}): give a binary with --edgerelay")]
    Cargo(#[from] io::Error),
    /// It failed.
    #[error("`cargo build --release -p edgerelay` failed: fix it, or give a binary with --edgerelay")]
    Failed,
}

/// Builds the relay as it is released, and finds its binary.
pub fn build_relay() -> Result<PathBuf, BuildError> {
    let output = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["build", "--release", "-p", "edgerelay", "--bin", "edgerelay"])
        .arg("--message-format=json-render-diagnostics")
        .stderr(Stdio::inherit())
        .output()?;
    if !output.status.success() {
        return Err(BuildError::Failed);
    }
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter_map(|message| message.get("executable")?.as_str().map(PathBuf::from))
        .next_back()
        .ok_or(BuildError::Failed)
}

/// The machine and what runs on it, in one line.
pub fn describe() -> String {
    let file = |path| fs::read_to_string(path).unwrap_or_default();
    let cpuinfo = file("/proc/cpuinfo");
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or("unknown processor", |(_, model)| model);
    let cores = thread::available_parallelism().map_or(0, usize::from);
    let coturn = Command::new("turnserver").arg("--version").output();
    let coturn = coturn.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    format!(
        "{model}, {cores} cores, Linux {}, coturn {}",
        file("/proc/sys/kernel/osrelease").trim(),
        coturn.ok().filter(|version| !version.is_empty()).unwrap_or_else(|| "unknown".to_owned()),
    )
}

/// The command that runs this program as it was run.
pub fn command_line() -> String {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let separator = if arguments.is_empty() { "" } else { " -- " };
    format!("cargo run --release -p edgerelay-bench{separator}{}", arguments.join(" "))
}
