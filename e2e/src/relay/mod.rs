//! The relay under test: the built binary, running in its namespace.

mod launcher;

use std::net::{SocketAddr, SocketAddrV4};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use testbed::{Process, eventually, eventually_true, http};

use crate::binary;
use crate::certificate::{Certificate, Key};
use crate::credential::Credential;
use crate::network::{Family, Network, Party};
use crate::transport::Transport;

use launcher::Launcher;

/// The shared secret of TURN REST.
pub const SECRET: &str = "the shared secret of the tests";
/// The realm.
pub const REALM: &str = "example.org";

const START: Duration = Duration::from_secs(20);
const ADMIN: &str = "127.0.0.1:9090";
const PLAIN_PORT: u16 = 3478;
const TLS_PORT: u16 = 5349;
const LONG_TERM: (&str, &str) = ("carol", "wonderland");

/// A running relay with listeners for UDP, TCP and TLS, on IPv4 and IPv6.
#[derive(Debug)]
pub struct Relay<'n> {
    host: &'n Party,
    process: Process,
    launcher: Launcher,
    certificate: Arc<Certificate>,
    folder: TempDir,
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
        Self::by(Launcher::Apart, network, Key::Ecdsa, settings)
    }

    /// The same with a key of a certain kind for TLS.
    pub fn as_shipped_with(network: &'n Network, key: Key) -> Self {
        Self::by(Launcher::Apart, network, key, &[])
    }

    /// The same before others who want its core, so that times are its own on a busy machine too.
    pub fn undisturbed(network: &'n Network, settings: &[(&str, &str)]) -> Self {
        Self::by(Launcher::First, network, Key::Ecdsa, settings)
    }

    fn by(launcher: Launcher, network: &'n Network, key: Key, settings: &[(&str, &str)]) -> Self {
        let host = &network.relay;
        let certificate = Certificate::for_addresses(&[host.v4.into(), host.v6.into()], key);
        let mut relay = Self::begin(launcher, host, Arc::new(certificate), "", settings);
        relay.await_ready();
        relay
    }

    /// Starts one on any host with a certificate that others may have too and with `more` in its configuration, and
    /// does not wait for it.
    pub(crate) fn on(
        host: &'n Party,
        certificate: Arc<Certificate>,
        more: &str,
        settings: &[(&str, &str)],
    ) -> Self {
        Self::begin(Launcher::Anywhere, host, certificate, more, settings)
    }

    fn begin(
        launcher: Launcher,
        host: &'n Party,
        certificate: Arc<Certificate>,
        more: &str,
        settings: &[(&str, &str)],
    ) -> Self {
        let folder = TempDir::with_prefix("edgerelay-e2e-").expect("a temporary folder");
        launcher::write_configuration(host, &certificate, more, folder.path());
        let process = launcher.launch(host, binary::relay(), folder.path(), settings);
        Self { host, process, launcher, certificate, folder }
    }

    /// Starts another process of `program` with the same configuration and these settings beside, and does not wait
    /// for anything.
    pub fn another(&self, program: &Path, settings: &[(&str, &str)]) -> Process {
        self.launcher.launch(self.host, program, self.folder.path(), settings)
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

    /// The status and the text that it answers with to whoever asks whether it serves.
    pub fn readiness(&self) -> (u16, String) {
        self.admin("/ready").expect("the admin server answers")
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
        SocketAddr::new(self.host.address(family), port)
    }

    /// Where an IPv4 client finds it, over UDP or TCP.
    pub fn plain(&self) -> SocketAddr {
        self.address(Transport::Udp, Family::V4)
    }

    /// The same for who forges IPv4 packets.
    pub fn plain_v4(&self) -> SocketAddrV4 {
        SocketAddrV4::new(self.host.v4, PLAIN_PORT)
    }

    /// Its TURN URL (RFC 7065).
    pub fn url(&self, transport: Transport, family: Family) -> String {
        transport.url(self.address(transport, family))
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
        self.host.namespace.enter(|| http::get(address, path)).ok()
    }
}
