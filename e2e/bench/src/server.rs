//! The servers that are measured, how each is started, and what it is started with.

use std::{
    env, fmt,
    io::{self, Write as _},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use serde::Serialize;

use crate::{
    lab::{Lab, RELAY, RELAY_PORTS, SERVER},
    load::{PASSWORD, REALM, USERNAME},
    namespace::NamespaceError,
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
    /// Its namespace.
    #[error(transparent)]
    Namespace(#[from] NamespaceError),
    /// It could not be started.
    #[error("cannot start {contender}: {source}{}", hint(*.contender))]
    Start {
        /// Which one.
        contender: Contender,
        /// Why.
        source: io::Error,
    },
    /// It ended by itself.
    #[error("{contender} ended by itself; the last that it wrote:\n{output}")]
    Ended {
        /// Which one.
        contender: Contender,
        /// The end of its output.
        output: String,
    },
    /// It does not answer.
    #[error("{contender} does not answer; the last that it wrote:\n{output}")]
    Silent {
        /// Which one.
        contender: Contender,
        /// The end of its output.
        output: String,
    },
}

fn hint(contender: Contender) -> &'static str {
    match contender {
        Contender::Edgerelay => " (is `cargo build --release -p edgerelay` done?)",
        Contender::Coturn => " (install Debian's coturn)",
        Contender::Floor => "",
    }
}

/// A running server; it is killed when the value goes, or when this program ends.
pub struct Server {
    contender: Contender,
    child: Child,
    output: std::fs::File,
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
        let start = |source| ServerError::Start { contender, source };
        let output = tempfile::tempfile().map_err(start)?;
        let mut command = command(contender, stage, sessions, &output).map_err(start)?;
        let child = lab.server.enter(|| on_core(stage.core, || command.spawn()))?.map_err(start)?;
        let mut server = Self { contender, child, output };
        let deadline = Instant::now() + PATIENCE;
        while !answers() {
            if server.child.try_wait().map_err(start)?.is_some() {
                return Err(ServerError::Ended { contender, output: server.last_output() });
            }
            if Instant::now() > deadline {
                return Err(ServerError::Silent { contender, output: server.last_output() });
            }
        }
        Ok(server)
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Which one it is.
    pub fn contender(&self) -> Contender {
        self.contender
    }

    /// The last lines that it wrote.
    pub fn last_output(&self) -> String {
        use std::os::unix::fs::FileExt as _;
        const TAIL: u64 = 2_000;
        let len = self.output.metadata().map_or(0, |metadata| metadata.len());
        let mut bytes = [0; TAIL as usize];
        let read = self.output.read_at(&mut bytes, len.saturating_sub(TAIL)).unwrap_or(0);
        String::from_utf8_lossy(bytes.get(..read).unwrap_or_default()).into_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A file without a name as a program's input, where it finds its configuration.
const CONFIGURATION: &str = "/proc/self/fd/0";

/// The command of a server. `setpriv` has the kernel kill it when this program ends in any way.
fn command(
    contender: Contender,
    stage: &Stage,
    sessions: u32,
    output: &std::fs::File,
) -> io::Result<Command> {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).stdin(Stdio::null());
    command.stdout(output.try_clone()?).stderr(output.try_clone()?);
    match contender {
        Contender::Edgerelay => {
            command.arg(&stage.edgerelay).args(["serve", "--config", CONFIGURATION]);
            command.stdin(unnamed_file(&edgerelay_configuration())?);
        }
        Contender::Coturn => {
            command.args(["turnserver", "-c", CONFIGURATION]);
            command.stdin(unnamed_file(&coturn_configuration())?);
        }
        Contender::Floor => {
            command.arg(env::current_exe()?).args(["forward", &sessions.to_string()]);
        }
    }
    Ok(command)
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
per_source_per_second = 10_000
total_per_second = 1_000_000

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

fn unnamed_file(text: &str) -> io::Result<std::fs::File> {
    let mut file = tempfile::tempfile()?;
    file.write_all(text.as_bytes())?;
    Ok(file)
}

/// Runs `spawn` while this thread may run on one core only, which the spawned program inherits.
fn on_core<T>(core: usize, spawn: impl FnOnce() -> T) -> T {
    let home = sched_getaffinity(None);
    let moved = pin_to(core);
    let result = spawn();
    if let (Ok(home), Ok(())) = (home, moved) {
        // The cores that it just had are there.
        let _ = sched_setaffinity(None, &home);
    }
    result
}

/// Keeps this thread, and what it starts from now on, on one core.
pub fn pin_to(core: usize) -> io::Result<()> {
    let mut only = CpuSet::new();
    only.set(core);
    Ok(sched_setaffinity(None, &only)?)
}
