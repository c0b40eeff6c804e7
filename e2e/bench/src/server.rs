//! The servers that are measured, how each is started, and what it is started with.

use std::{
    env, fmt,
    fs::File,
    io::{self, Write as _},
    os::fd::AsRawFd as _,
    path::PathBuf,
    process::Command,
    time::Duration,
};

use rustix::thread::{CpuSet, sched_setaffinity};
use serde::Serialize;
use testbed::{Process, within};

use crate::{
    lab::{Lab, RELAY, RELAY_PORTS, SERVER},
    load::{PASSWORD, REALM, USERNAME},
};

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Contender {
    /// The release binary of this workspace, with one worker.
    Edgerelay,
    /// Debian's turnserver, with one relay thread.
    Coturn,
    /// The bare forwarder of this program.
    Floor,
}

impl Contender {
    /// All of them, in the order of a table's columns.
    pub const ALL: [Self; 3] = [Self::Edgerelay, Self::Coturn, Self::Floor];

    /// Whether it speaks TURN.
    pub fn speaks_turn(self) -> bool {
        self != Self::Floor
    }
}

impl fmt::Display for Contender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Edgerelay => "EdgeRelay",
            Self::Coturn => "coturn",
            Self::Floor => "floor",
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
        Contender::Edgerelay => " (is `cargo build --release -p edgerelay` done?)",
        Contender::Coturn => " (is Debian's coturn installed?)",
        Contender::Floor => "",
    }
}

/// A running server; it is killed when the value goes, or when this program ends.
pub struct Server {
    contender: Contender,
    process: Process,
    _configuration: File,
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
            let configuration = unnamed_file(&configuration(contender))?;
            io::Result::Ok((command(contender, stage, lab, sessions, &configuration)?, configuration))
        };
        let (command, configuration) =
            prepare().map_err(|source| ServerError::Configuration { contender, source })?;
        let mut process = Process::start(&contender.to_string(), command);
        let state =
            within(PATIENCE, || if answers() { Some(true) } else { (!process.runs()).then_some(false) });
        match state {
            Some(true) => Ok(Self { contender, process, _configuration: configuration }),
            Some(false) => Err(ServerError::Ended { contender, output: process.output() }),
            None => Err(ServerError::Silent { contender, output: process.output() }),
        }
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Which one it is.
    pub fn contender(&self) -> Contender {
        self.contender
    }
}

/// The command of a server, on a core of its own in the server's namespace.
fn command(
    contender: Contender,
    stage: &Stage,
    lab: &Lab,
    sessions: u32,
    configuration: &File,
) -> io::Result<Command> {
    let mut command = lab.server.command("taskset");
    command.args(["--cpu-list", &stage.core.to_string()]);
    let path = format!("/proc/{}/fd/{}", std::process::id(), configuration.as_raw_fd());
    match contender {
        Contender::Edgerelay => command.arg(&stage.edgerelay).args(["serve", "--config", &path]),
        Contender::Coturn => command.args(["turnserver", "-c", &path]),
        Contender::Floor => command.arg(env::current_exe()?).args(["forward", &sessions.to_string()]),
    };
    Ok(command)
}

/// What a server reads before it starts.
fn configuration(contender: Contender) -> String {
    match contender {
        Contender::Edgerelay => edgerelay_configuration(),
        Contender::Coturn => coturn_configuration(),
        Contender::Floor => String::new(),
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

/// Its defaults, with limits and answer budgets that the load stays below.
fn edgerelay_configuration() -> String {
    let (first, last) = (RELAY_PORTS.start(), RELAY_PORTS.end());
    format!(
        r#"realm = "{REALM}"

[[listeners]]
transport = "udp"
address = "{SERVER}"

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

[workers]
count = 1
pin = false

[admin]
address = "127.0.0.1:9090"

[telemetry]
log_level = "warn"
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
