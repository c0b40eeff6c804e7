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
    #[error("`cargo build -p edgerelay` failed: fix it, or give a binary with --edgerelay")]
    Failed,
}

/// Builds the relay, as it is released or for a test, and finds its binary.
pub fn build_relay(release: bool) -> Result<PathBuf, BuildError> {
    let output = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["build", "-p", "edgerelay", "--bin", "edgerelay"])
        .args(release.then_some("--release"))
        .arg("--message-format=json-render-diagnostics")
        .current_dir(env!("CARGO_MANIFEST_DIR"))
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

/// The version of turn-rs that is measured.
pub const TURN_RS: &str = "4.1.5";

/// Finds turn-rs, or has cargo build and install it into the cache, which is
/// `$RELAY_TEST_CACHE` or `~/.cache/edgerelay`, as the tests have it.
pub fn install_turn_rs() -> Result<PathBuf, TurnRsError> {
    let cache = env::var_os("RELAY_TEST_CACHE").map(PathBuf::from);
    let cache = cache.or_else(|| Some(env::home_dir()?.join(".cache/edgerelay")));
    let root = cache.ok_or(TurnRsError::NoCache)?.join(format!("turn-server-{TURN_RS}"));
    let binary = root.join("bin/turn-server");
    if binary.exists() {
        return Ok(binary);
    }
    // Only what is measured: its other features need protoc and OpenSSL's cousins.
    let status = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["install", "turn-server", "--version", TURN_RS, "--locked"])
        .args(["--no-default-features", "--features", "udp", "--root"])
        .arg(&root)
        .stdout(Stdio::null())
        .status()?;
    if status.success() { Ok(binary) } else { Err(TurnRsError::Failed) }
}

/// Why there is no turn-rs.
#[derive(Debug, thiserror::Error)]
pub enum TurnRsError {
    /// No place for it.
    #[error("there is no home directory to install turn-rs in: set RELAY_TEST_CACHE")]
    NoCache,
    /// cargo did not run.
    #[error("cannot run cargo to install turn-rs ({0}): leave it out with --servers")]
    Cargo(#[from] io::Error),
    /// It failed.
    #[error("`cargo install turn-server` failed: leave it out with --servers")]
    Failed,
}

/// The commit that the checkout has, `-dirty` where it has changes beside it.
fn revision() -> String {
    // Root may look into a checkout that is somebody else's.
    let output = Command::new("git")
        .args(["-c", "safe.directory=*", "-C", env!("CARGO_MANIFEST_DIR")])
        .args(["describe", "--always", "--dirty", "--abbrev=10", "--exclude=*"])
        .output();
    let revision = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    revision.ok().filter(|revision| !revision.is_empty()).unwrap_or_else(|| "of an unknown commit".to_owned())
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
        "{model}, {cores} cores, Linux {}, EdgeRelay {}, coturn {}, turn-rs {TURN_RS}",
        file("/proc/sys/kernel/osrelease").trim(),
        revision(),
        coturn.ok().filter(|version| !version.is_empty()).unwrap_or_else(|| "unknown".to_owned()),
    )
}

/// The command that runs this program as it was run.
pub fn command_line() -> String {
    let mut arguments = env::args();
    let program = arguments.next().unwrap_or_default();
    let program = match env::var_os("CARGO") {
        Some(_) if cfg!(debug_assertions) => "cargo run -p edgerelay-bench --".to_owned(),
        Some(_) => "cargo run --release -p edgerelay-bench --".to_owned(),
        None => program,
    };
    let arguments: Vec<String> = arguments.collect();
    format!("{program} {}", arguments.join(" ")).trim_end().to_owned()
}
