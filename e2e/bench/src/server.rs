//! The servers that are measured, how each is started, and what it is started with.

use std::{
    env, fmt,
    fs::File,
    io::{self, Write as _},
    os::{fd::AsRawFd as _, unix::fs::FileExt as _},
    path::PathBuf,
    process::Command,
    time::Duration,
};

use procfs::ProcResult;
use rustix::thread::{CpuSet, sched_setaffinity};
use serde::{Deserialize, Serialize};
use testbed::{Process, family, memory, within};

use crate::{
    lab::{Lab, RELAY, RELAY_PORTS, SERVER},
    shape::Direction,
};

/// The user that every server knows.
pub const USERNAME: &str = "bench";
/// Its password.
pub const PASSWORD: &str = "a password for the benchmark";
/// The realm of every server.
const REALM: &str = "bench.example";

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Contender {
    /// The release binary of this workspace, as it is shipped: with a keeper.
    Edgerelay,
    /// The same without one.
    EdgerelayWithoutKeeper,
    /// Debian's turnserver, with one relay thread.
    Coturn,
    /// turn-rs, with one thread. It relays between its own clients only.
    TurnRs,
    /// A bare forwarder with the relay's own I/O code.
    Floor,
    /// A bare forwarder that shares no code with the relay.
    Plain,
}

impl Contender {
    /// All of them, in the order of a table's columns.
    pub const ALL: [Self; 6] =
        [Self::Edgerelay, Self::EdgerelayWithoutKeeper, Self::Coturn, Self::TurnRs, Self::Floor, Self::Plain];

    /// Whether it speaks TURN.
    pub fn speaks_turn(self) -> bool {
        !matches!(self, Self::Floor | Self::Plain)
    }

    /// Whether it relays such traffic.
    pub fn carries(self, direction: Direction) -> bool {
        match self {
            Self::Edgerelay | Self::EdgerelayWithoutKeeper | Self::Coturn => true,
            Self::TurnRs => direction == Direction::Pair,
            Self::Floor | Self::Plain => direction != Direction::Pair,
        }
    }
}

impl fmt::Display for Contender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Edgerelay => "EdgeRelay",
            Self::EdgerelayWithoutKeeper => "EdgeRelay without keeper",
            Self::Coturn => "coturn",
            Self::TurnRs => "turn-rs",
            Self::Floor => "own-I/O forwarder",
            Self::Plain => "plain forwarder",
        })
    }
}

/// The programs and the core that servers run with.
#[derive(Clone, Debug)]
pub struct Stage {
    /// The core that the server, and nothing else of ours, runs on.
    pub core: usize,
    /// The relay's release binary.
    pub edgerelay: PathBuf,
    /// The binary of turn-rs, where that is measured.
    pub turn_rs: PathBuf,
}

/// Why a server does not run.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// What it is started with.
    #[error("cannot write the configuration of {contender}: {source}")]
    Configuration {
        /// Which one.
        contender: Contender,
        /// Why.
        source: io::Error,
    },
    /// It ended by itself.
    #[error("{contender} ended by itself{}; it wrote:\n{output}", hint(*.contender))]
    Ended {
        /// Which one.
        contender: Contender,
        /// Its output.
        output: String,
    },
    /// It does not answer.
    #[error("{contender} does not answer; it wrote:\n{output}")]
    Silent {
        /// Which one.
        contender: Contender,
        /// Its output.
        output: String,
    },
}

fn hint(contender: Contender) -> &'static str {
    match contender {
        Contender::Edgerelay | Contender::EdgerelayWithoutKeeper => {
            " (is `cargo build --release -p edgerelay` done?)"
        }
        Contender::Coturn => " (is Debian's coturn installed?)",
        Contender::TurnRs => " (is the turn-server in the cache a whole one?)",
        Contender::Floor | Contender::Plain => "",
    }
}

/// A running server; it is killed when the value goes, or when this program ends.
pub struct Server {
    contender: Contender,
    process: Process,
    _configuration: File,
    _log: File,
}

/// How long a server may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

impl Server {
    /// Starts a server for `sessions` clients and waits until `answers` says that it works.
    pub fn start(
        contender: Contender,
        stage: &Stage,
        lab: &Lab,
        sessions: u32,
        mut answers: impl FnMut() -> bool,
    ) -> Result<Self, ServerError> {
        let prepare = || {
            let (configuration, log) = (unnamed_file(&configuration(contender))?, tempfile::tempfile()?);
            let command = command(contender, stage, lab, sessions, [&configuration, &log])?;
            io::Result::Ok((command, configuration, log))
        };
        let (command, configuration, log) =
            prepare().map_err(|source| ServerError::Configuration { contender, source })?;
        let mut process = Process::start(&contender.to_string(), command);
        let state =
            within(PATIENCE, || if answers() { Some(true) } else { (!process.runs()).then_some(false) });
        match state {
            Some(true) => Ok(Self { contender, process, _configuration: configuration, _log: log }),
            Some(false) => Err(ServerError::Ended { contender, output: last_of(&log) }),
            None => Err(ServerError::Silent { contender, output: last_of(&log) }),
        }
    }

    /// The id of the process that was started.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// The id of the process that serves: the relay's, where a keeper was started.
    pub fn serving(&self) -> i32 {
        self.process.youngest().pid
    }

    /// Which one it is.
    pub fn contender(&self) -> Contender {
        self.contender
    }

    /// Bytes of physical memory that all its processes occupy.
    pub fn resident_bytes(&self) -> u64 {
        self.process.resident_bytes()
    }

    /// Bytes of physical memory that the keeper has for itself, where there is one.
    pub fn keepers_bytes(&self) -> ProcResult<Option<u64>> {
        match family::members(self.id()).as_slice() {
            [keeper, _, ..] => memory::own(keeper).map(Some),
            _ => Ok(None),
        }
    }

    /// The least and the largest receive buffer of its UDP sockets in bytes, as the kernel counts them
    /// (`ss`).
    pub fn receive_buffers(&self, lab: &Lab) -> io::Result<Option<(u64, u64)>> {
        let output = lab.server.command("ss").args(["--udp", "--all", "--numeric", "--memory"]).output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        let sizes = text.split(',').filter_map(|field| field.strip_prefix("rb")?.parse().ok());
        Ok(sizes.fold(None, |range, size: u64| {
            let (least, largest) = range.unwrap_or((size, size));
            Some((size.min(least), size.max(largest)))
        }))
    }
}

/// The command of a server, on a core of its own in the server's namespace. Its log goes to a file: who
/// read it would take time from the load.
fn command(
    contender: Contender,
    stage: &Stage,
    lab: &Lab,
    sessions: u32,
    files: [&File; 2],
) -> io::Result<Command> {
    let [configuration, log] =
        files.map(|file| format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd()));
    let mut command = lab.server.command("sh");
    command.args(["-c", r#"exec "$@" >>"$0" 2>&1"#, &log, "taskset", "--cpu-list", &stage.core.to_string()]);
    match contender {
        Contender::Edgerelay | Contender::EdgerelayWithoutKeeper => {
            command.arg(&stage.edgerelay).args(["serve", "--config", &configuration])
        }
        Contender::Coturn => command.args(["turnserver", "-c", &configuration]),
        Contender::TurnRs => command.arg(&stage.turn_rs).args(["--config", &configuration]),
        Contender::Floor => command.arg(env::current_exe()?).args(["forward", &sessions.to_string()]),
        Contender::Plain => {
            command.arg(env::current_exe()?).args(["forward", "--plain", &sessions.to_string()])
        }
    };
    Ok(command)
}

/// What a server wrote at last.
fn last_of(log: &File) -> String {
    const TAIL: u64 = 4_000;
    let length = log.metadata().map_or(0, |metadata| metadata.len());
    let mut bytes = [0; TAIL as usize];
    let read = log.read_at(&mut bytes, length.saturating_sub(TAIL)).unwrap_or(0);
    String::from_utf8_lossy(bytes.get(..read).unwrap_or_default()).into_owned()
}

/// What a server reads before it starts.
fn configuration(contender: Contender) -> String {
    match contender {
        Contender::Edgerelay => edgerelay_configuration(),
        Contender::EdgerelayWithoutKeeper => edgerelay_configuration() + "\n[recovery]\nkeeper = false\n",
        Contender::Coturn => coturn_configuration(),
        Contender::TurnRs => turn_rs_configuration(),
        Contender::Floor | Contender::Plain => String::new(),
    }
}

/// Everything that the other server is not asked to do is off here too.
fn coturn_configuration() -> String {
    let (first, last) = (RELAY_PORTS.start(), RELAY_PORTS.end());
    format!(
        "listening-ip={}\n\
         listening-port={}\n\
         relay-ip={RELAY}\n\
         min-port={first}\n\
         max-port={last}\n\
         relay-threads=1\n\
         lt-cred-mech\n\
         user={USERNAME}:{PASSWORD}\n\
         realm={REALM}\n\
         userdb=/dev/null\n\
         pidfile=/dev/null\n\
         log-file=/dev/null\n\
         simple-log\n\
         no-cli\n\
         no-tcp\n\
         no-tls\n\
         no-dtls\n\
         no-tcp-relay\n",
        SERVER.ip(),
        SERVER.port(),
    )
}

/// What README's `serve` runs with, on the lab's address, with limits and budgets that the load stays
/// below.
fn edgerelay_configuration() -> String {
    let (first, last) = (RELAY_PORTS.start(), RELAY_PORTS.end());
    format!(
        r#"realm = "{REALM}"

[relay]
ports = "{first}-{last}"
[[relay.addresses]]
bind = "{RELAY}"

[credentials.users]
{USERNAME} = "{PASSWORD}"

[limits.user]
allocations = 10_000
permissions = 100_000
channels = 100_000

[limits.answers]
per_source_bytes_per_second = 10_000_000
total_bytes_per_second = 100_000_000
"#
    )
}

/// Its defaults, with one thread.
fn turn_rs_configuration() -> String {
    format!(
        r#"[server]
realm = "{REALM}"
max-threads = 1

[[server.interfaces]]
transport = "udp"
listen = "{SERVER}"
external = "{SERVER}"

[auth.static-credentials]
{USERNAME} = "{PASSWORD}"
"#
    )
}

fn unnamed_file(text: &str) -> io::Result<File> {
    let mut file = tempfile::tempfile()?;
    file.write_all(text.as_bytes())?;
    Ok(file)
}

/// Keeps this thread, and what it starts from now on, on one core.
pub fn pin_to(core: usize) -> io::Result<()> {
    let mut only = CpuSet::new();
    only.set(core);
    Ok(sched_setaffinity(None, &only)?)
}
