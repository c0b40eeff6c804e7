//! The relay under test: the built binary, running in its namespace.

use std::fs;
use std::net::{SocketAddr, SocketAddrV4};
use std::path::Path;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use testbed::{Process, eventually, eventually_true, http};

use crate::binary;
use crate::certificate::{Certificate, Key};
use crate::cores;
use crate::credential::Credential;
use crate::network::{Family, Network};
use crate::transport::Transport;

/// The shared secret of TURN REST.
pub const SECRET: &str = "the shared secret of the tests";
/// The realm.
pub const REALM: &str = "example.org";

/// The configuration in the relay's folder.
const FILE: &str = "edgerelay.toml";
const START: Duration = Duration::from_secs(20);
const ADMIN: &str = "127.0.0.1:9090";
const PLAIN_PORT: u16 = 3478;
const TLS_PORT: u16 = 5349;
/// What the tests' configuration has changed.
const SHIPPED: [(&str, &str); 3] = [
    ("limits.user.allocations", "100"),
    ("limits.total.allocations", "10000"),
    ("telemetry.log_level", "\"info\""),
];
const LONG_TERM: (&str, &str) = ("carol", "wonderland");

/// A running relay with listeners for UDP, TCP and TLS, on IPv4 and IPv6.
#[derive(Debug)]
pub struct Relay<'n> {
    network: &'n Network,
    process: Process,
    launcher: Launcher,
    certificate: Certificate,
    folder: TempDir,
}

/// How its program is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Launcher {
    /// On any core.
    Anywhere,
    /// On a core of its own.
    Apart,
    /// On that core, before others who want it too.
    First,
}

impl<'n> Relay<'n> {
    /// Starts a relay and waits until it is ready.
    pub fn start(network: &'n Network) -> Self {
        Self::with(network, &[])
    }

    /// Starts a relay with settings of its own, such as `("limits.streams.connections", "50")`.
    pub fn with(network: &'n Network, settings: &[(&str, &str)]) -> Self {
        Self::by(Launcher::Anywhere, network, Key::Ecdsa, settings)
    }

    /// Starts a relay with the limits that it has by default, on a processor core that whoever
    /// [leaves it alone](cores::leave_the_relays) does not use. So it has one worker.
    pub fn as_shipped(network: &'n Network, settings: &[(&str, &str)]) -> Self {
        Self::by(Launcher::Apart, network, Key::Ecdsa, &[&SHIPPED, settings].concat())
    }

    /// The same with a key of a certain kind for TLS.
    pub fn as_shipped_with(network: &'n Network, key: Key) -> Self {
        Self::by(Launcher::Apart, network, key, &SHIPPED)
    }

    /// The same before others who want its core, so that times are its own on a busy machine too.
    pub fn undisturbed(network: &'n Network, settings: &[(&str, &str)]) -> Self {
        Self::by(Launcher::First, network, Key::Ecdsa, &[&SHIPPED, settings].concat())
    }

    fn by(launcher: Launcher, network: &'n Network, key: Key, settings: &[(&str, &str)]) -> Self {
        let relay = &network.relay;
        let certificate = Certificate::for_addresses(&[relay.v4.into(), relay.v6.into()], key);
        let folder = TempDir::with_prefix("edgerelay-e2e-").expect("a temporary folder");
        fs::write(folder.path().join(FILE), configuration(network, &certificate))
            .expect("the folder is ours");
        let process = launcher.launch(network, binary::relay(), folder.path(), settings);
        let mut relay = Self { network, process, launcher, certificate, folder };
        relay.await_ready();
        relay
    }

    /// Starts another process of `program` with the same configuration and these settings beside, and does not wait
    /// for anything.
    pub fn another(&self, program: &Path, settings: &[(&str, &str)]) -> Process {
        let settings = match self.launcher {
            Launcher::Anywhere => settings,
            Launcher::Apart | Launcher::First => &[&SHIPPED, settings].concat(),
        };
        self.launcher.launch(self.network, program, self.folder.path(), settings)
    }

    /// From now on this is the relay's process; returns the one before.
    pub fn becomes(&mut self, process: Process) -> Process {
        std::mem::replace(&mut self.process, process)
    }

    /// Waits until it serves.
    ///
    /// # Panics
    /// When it has ended instead.
    pub fn await_ready(&mut self) {
        eventually_true(START, "the relay to be ready", || {
            assert!(self.process.runs(), "the relay has ended:\n{}", self.process.output());
            self.is_ready()
        });
    }

    /// Whether it says that it serves.
    pub fn is_ready(&self) -> bool {
        self.admin("/ready").is_some_and(|(status, _)| status == 200)
    }

    /// The id of the process that was started.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Has it hand over to itself, and waits until another process of it serves.
    ///
    /// # Panics
    /// When none does.
    pub fn reload(&self) {
        let starts = || self.log().matches(" ready workers=").count();
        let before = starts();
        self.signal(Signal::USR2);
        eventually_true(START, "another process to serve", || starts() > before);
    }

    /// Sends a signal to that process.
    pub fn signal(&self, signal: Signal) {
        self.process.signal(signal);
    }

    /// The process that was started: the keeper, where there is one.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// The process that serves, which a keeper has made.
    pub fn child(&self) -> Pid {
        eventually(START, "the keeper to have a child", || {
            let child = self.process.youngest().pid;
            Pid::from_raw(child).filter(|_| child != self.process.id().cast_signed())
        })
    }

    /// Kills the process that serves, and no other.
    pub fn kill_child(&self) {
        kill_process(self.child(), Signal::KILL)
            .expect("a child is there until its keeper takes note of its end");
    }

    /// Kills the keeper and the process that serves.
    pub fn kill_all(&self) {
        self.process.kill_all();
    }

    /// The folder with its configuration, where a test may put what belongs to it.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Its certificate and the authority behind that.
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// Where a client finds it.
    pub fn address(&self, transport: Transport, family: Family) -> SocketAddr {
        let port = if transport == Transport::Tls { TLS_PORT } else { PLAIN_PORT };
        SocketAddr::new(self.network.relay.address(family), port)
    }

    /// Where an IPv4 client finds it, over UDP or TCP.
    pub fn plain(&self) -> SocketAddr {
        self.address(Transport::Udp, Family::V4)
    }

    /// The same for who forges IPv4 packets.
    pub fn plain_v4(&self) -> SocketAddrV4 {
        SocketAddrV4::new(self.network.relay.v4, PLAIN_PORT)
    }

    /// Its TURN URL (RFC 7065).
    pub fn url(&self, transport: Transport, family: Family) -> String {
        let address = self.address(transport, family);
        match transport {
            Transport::Udp => format!("turn:{address}?transport=udp"),
            Transport::Tcp => format!("turn:{address}?transport=tcp"),
            Transport::Tls => format!("turns:{address}?transport=tcp"),
        }
    }

    /// A time-limited credential of a user.
    pub fn credential(&self, user: &str) -> Credential {
        Credential::rest_for_an_hour(SECRET, user)
    }

    /// The long-term credential.
    pub fn long_term(&self) -> Credential {
        Credential::long_term(LONG_TERM.0, LONG_TERM.1)
    }

    /// All that it has logged.
    pub fn log(&self) -> String {
        self.process.logged()
    }

    /// The text of `/metrics`.
    pub fn metrics(&self) -> String {
        self.admin("/metrics").expect("the admin server answers").1
    }

    /// The sum of a metric over all its series that have these labels, each written `name="value"`.
    ///
    /// # Panics
    /// When there is no such metric.
    pub fn metric(&self, name: &str, labels: &[&str]) -> f64 {
        let metrics = self.metrics();
        assert!(metrics.contains(&format!("\n# TYPE {name} ")), "there is no metric {name}:\n{metrics}");
        let series = metrics.lines().filter(|line| {
            let rest = line.strip_prefix(name);
            rest.is_some_and(|rest| rest.starts_with(['{', ' ']))
                && labels.iter().all(|label| line.contains(label))
        });
        series.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }

    /// Its live allocations.
    pub fn allocations(&self) -> u64 {
        self.metric("turn_allocations", &[]) as u64
    }

    /// Its open TCP and TLS connections.
    pub fn connections(&self) -> u64 {
        self.metric("edgerelay_connections", &[]) as u64
    }

    /// Its resident memory in bytes.
    pub fn resident_bytes(&self) -> u64 {
        self.process.resident_bytes()
    }

    /// Bytes that its network interface has received and sent.
    pub fn interface_bytes(&self) -> (u64, u64) {
        let devices = self.process.procfs().dev_status().expect("the relay runs");
        let device = &devices["eth0"];
        (device.recv_bytes, device.sent_bytes)
    }

    /// The status and the body of the admin server's answer.
    fn admin(&self, path: &str) -> Option<(u16, String)> {
        let address = ADMIN.parse().expect("an address");
        self.network.relay.namespace.enter(|| http::get(address, path)).ok()
    }
}

impl Launcher {
    fn launch(self, network: &Network, program: &Path, folder: &Path, settings: &[(&str, &str)]) -> Process {
        let namespace = &network.relay.namespace;
        let mut command = match self {
            Self::Anywhere => namespace.command(&program.to_string_lossy()),
            Self::Apart => {
                let mut command = namespace.command("taskset");
                command.args(["--cpu-list", &cores::RELAYS.to_string()]).arg(program);
                command
            }
            Self::First => {
                let mut command = namespace.command("nice");
                command.args(["--adjustment", &cores::BEFORE_ALL.to_string(), "taskset"]);
                command.args(["--cpu-list", &cores::RELAYS.to_string()]).arg(program);
                command
            }
        };
        // Where a core dump would be.
        command.current_dir(folder);
        command.arg("serve").arg("--config").arg(folder.join(FILE));
        for (key, value) in settings {
            command.arg("--set").arg(format!("{key}={value}"));
        }
        Process::start("edgerelay", command)
    }
}

fn configuration(network: &Network, certificate: &Certificate) -> String {
    let (v4, v6) = (network.relay.v4, network.relay.v6);
    let mut text = format!("realm = {REALM:?}\n");
    for ip in [v4.to_string(), format!("[{v6}]")] {
        for transport in ["udp", "tcp"] {
            text += &format!("[[listeners]]\ntransport = {transport:?}\naddress = \"{ip}:{PLAIN_PORT}\"\n");
        }
        text += &format!(
            "[[listeners]]\ntransport = \"tls\"\naddress = \"{ip}:{TLS_PORT}\"\ncertificate = {:?}\nkey = {:?}\n",
            certificate.chain(),
            certificate.key(),
        );
    }
    text += &format!("[[relay.addresses]]\nbind = \"{v4}\"\n[[relay.addresses]]\nbind = \"{v6}\"\n");
    text += &format!("[credentials]\nrest_secrets = [{SECRET:?}]\n");
    text += &format!("[credentials.users]\n{} = {:?}\n", LONG_TERM.0, LONG_TERM.1);
    // No test client is to run into a limit that the test does not set.
    text += "[limits.user]\nallocations = 5000\n[limits.total]\nallocations = 5000\n";
    text += &format!("[admin]\naddress = {ADMIN:?}\n[telemetry]\nlog_level = \"debug\"\n");
    text
}
