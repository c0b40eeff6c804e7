//! Real Redis: a server, Sentinels around a primary and its replica, a Redis Cluster. Each on ports and in a folder of
//! its own, gone with its value.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;

use crate::waiting::{eventually, eventually_true};
use crate::{Namespace, Process, process};

const STARTING: Duration = Duration::from_secs(20);

/// A Redis server.
#[derive(Debug)]
pub struct Redis {
    process: Option<Process>,
    place: Place,
    address: SocketAddr,
    options: Vec<(String, String)>,
    /// What `redis-cli` needs to get in.
    login: Vec<String>,
    folder: TempDir,
}

/// Where a server runs.
#[derive(Debug)]
enum Place {
    Here,
    /// The path of a network namespace.
    Inside(String),
}

impl Redis {
    /// A server without a password, on a port of the loopback.
    pub fn start() -> Self {
        Self::with(&[])
    }

    /// A server on a port of the loopback with lines of `redis.conf`, such as `("requirepass", "secret")`. With
    /// `("tls-cert-file", ...)` it speaks TLS only.
    pub fn with(options: &[(&str, &str)]) -> Self {
        Self::at(Place::Here, SocketAddr::new(Ipv4Addr::LOCALHOST.into(), free_port()), options)
    }

    /// A server in a network namespace, on one of its addresses.
    pub fn inside(namespace: &Namespace, address: IpAddr, options: &[(&str, &str)]) -> Self {
        Self::at(Place::Inside(namespace.path()), SocketAddr::new(address, 6379), options)
    }

    fn at(place: Place, address: SocketAddr, options: &[(&str, &str)]) -> Self {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let options: Vec<_> = options.iter().map(owned).collect();
        let folder = TempDir::with_prefix("redis-").expect("a temporary folder can be made");
        let login = login(&options);
        let mut redis = Self { process: None, place, address, options, login, folder };
        redis.start_again();
        redis
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What a client writes to reach it, without a password.
    pub fn url(&self) -> String {
        format!("{}://{}", if self.is_tls() { "rediss" } else { "redis" }, self.address)
    }

    /// Runs `redis-cli` against it and gives back what it says.
    ///
    /// # Panics
    /// When that fails.
    pub fn cli(&self, args: &[&str]) -> String {
        let mut cli = self.program("redis-cli");
        cli.args([
            "-h",
            &self.address.ip().to_string(),
            "-p",
            &self.address.port().to_string(),
            "--no-auth-warning",
        ]);
        let output = cli.args(&self.login).args(args).output().expect("redis-cli is there");
        let said = String::from_utf8_lossy(&output.stdout).trim_end().to_owned();
        assert!(
            output.status.success(),
            "redis-cli {args:?}: {said}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        said
    }

    /// Connections of clients that it has, without that of `redis-cli`.
    pub fn clients(&self) -> usize {
        let listed = self.cli(&["CLIENT", "LIST"]);
        listed.lines().filter(|line| !line.contains("cmd=client")).count()
    }

    /// Kills it as a crash would. What it held is gone.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Starts it at the same address, empty.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start_again(&mut self) {
        let mut command = self.program("redis-server");
        let (port, off) = (self.address.port().to_string(), "0".to_owned());
        let (plain, tls) = if self.is_tls() { (&off, &port) } else { (&port, &off) };
        command.args(["--bind", &self.address.ip().to_string(), "--port", plain, "--tls-port", tls]);
        // Nothing is written to the disk, and nothing is slow because of it.
        command.args(["--save", "", "--appendonly", "no", "--protected-mode", "no", "--daemonize", "no"]);
        command.arg("--dir").arg(self.folder.path());
        for (name, value) in &self.options {
            command.arg(format!("--{name}")).args(value.split(' '));
        }
        self.process = Some(started("redis-server", command, "Ready to accept connections"));
    }

    /// Stops it where it is: its sockets stay open, and nobody answers.
    ///
    /// # Panics
    /// When it was killed.
    pub fn hang(&self) {
        self.running().signal(Signal::STOP);
    }

    /// Lets it go on.
    ///
    /// # Panics
    /// When it was killed.
    pub fn go_on(&self) {
        self.running().signal(Signal::CONT);
    }

    /// Bytes that it says its data occupy.
    ///
    /// # Panics
    /// When it does not say.
    pub fn used_memory(&self) -> u64 {
        self.info("used_memory")
    }

    /// A number of its `INFO`.
    ///
    /// # Panics
    /// When it is not there.
    pub fn info(&self, name: &str) -> u64 {
        let info = self.cli(&["INFO"]);
        let mut lines = info.lines().filter_map(|line| line.trim_end().split_once(':'));
        let (_, value) =
            lines.find(|(key, _)| *key == name).unwrap_or_else(|| panic!("INFO tells no {name}"));
        value.parse().expect("a number")
    }

    /// The process, for `/proc`.
    ///
    /// # Panics
    /// When it was killed.
    pub fn running(&self) -> &Process {
        self.process.as_ref().expect("the server was killed")
    }

    fn is_tls(&self) -> bool {
        self.options.iter().any(|(name, _)| name == "tls-cert-file")
    }

    fn program(&self, name: &str) -> Command {
        match &self.place {
            Place::Here => process::command(name),
            Place::Inside(path) => {
                let mut command = process::command("nsenter");
                command.arg(format!("--net={path}")).args(["--", name]);
                command
            }
        }
    }
}

/// A primary, its replica, and three Sentinels that watch them, on the loopback.
#[derive(Debug)]
pub struct Sentinels {
    /// The primary at first, and its replica.
    pub servers: [Redis; 2],
    sentinels: Vec<(Process, SocketAddr)>,
    _folder: TempDir,
}

impl Sentinels {
    /// What they call the primary.
    pub const PRIMARY: &str = "fleet";

    /// Starts all five, and waits until each knows of the others. A primary that does not answer for a second is down.
    pub fn start() -> Self {
        Self::with(&[])
    }

    /// The same with lines of `redis.conf` for the servers.
    pub fn with(options: &[(&str, &str)]) -> Self {
        let primary = Redis::with(options);
        let (ip, port) = (primary.address().ip().to_string(), primary.address().port().to_string());
        let of = format!("{ip} {port}");
        let replica = Redis::with(&[options, &[("replicaof", of.as_str())]].concat());
        eventually_true(STARTING, "the replica to follow", || {
            primary.cli(&["INFO", "replication"]).contains("state=online")
        });
        let folder = TempDir::with_prefix("sentinels-").expect("a temporary folder can be made");
        let sentinels = (0..3).map(|_| sentinel(folder.path(), &of)).collect();
        let all = Self { servers: [primary, replica], sentinels, _folder: folder };
        eventually_true(STARTING, "the Sentinels to know all", || {
            all.sentinels.iter().all(|(_, address)| {
                let said = ask(*address, &["SENTINEL", "MASTER", Self::PRIMARY]);
                let mut words = said.lines();
                let mut number =
                    |name: &str| words.by_ref().skip_while(|word| *word != name).nth(1).map(str::to_owned);
                number("num-slaves").as_deref() == Some("1")
                    && number("num-other-sentinels").as_deref() == Some("2")
            })
        });
        all
    }

    /// The URLs of the Sentinels.
    pub fn urls(&self) -> Vec<String> {
        self.sentinels.iter().map(|(_, address)| format!("redis://{address}")).collect()
    }

    /// Where they say that the primary is.
    ///
    /// # Panics
    /// When they do not.
    pub fn primary(&self) -> SocketAddr {
        let (_, sentinel) = self.sentinels.first().expect("there are three");
        let said = ask(*sentinel, &["SENTINEL", "GET-MASTER-ADDR-BY-NAME", Self::PRIMARY]);
        let (ip, port) = said.split_once('\n').expect("an address and a port");
        SocketAddr::new(ip.parse().expect("an address"), port.trim().parse().expect("a port"))
    }

    /// Has the replica made the primary, while both live.
    pub fn fail_over(&self) {
        let (_, sentinel) = self.sentinels.first().expect("there are three");
        ask(*sentinel, &["SENTINEL", "FAILOVER", Self::PRIMARY]);
    }
}

/// A Redis Cluster of three primaries, on the loopback.
#[derive(Debug)]
pub struct RedisCluster {
    /// Its nodes.
    pub nodes: Vec<Redis>,
}

impl RedisCluster {
    /// Starts the nodes and waits until they serve all slots.
    ///
    /// # Panics
    /// When `redis-cli` cannot join them.
    pub fn start() -> Self {
        Self::with(&[])
    }

    /// The same with lines of `redis.conf`.
    ///
    /// # Panics
    /// When `redis-cli` cannot join them.
    pub fn with(options: &[(&str, &str)]) -> Self {
        let own = [("cluster-enabled", "yes"), ("cluster-node-timeout", "2000")];
        let node = |_| {
            let bus = free_port().to_string();
            Redis::with(&[options, &own, &[("cluster-port", bus.as_str())]].concat())
        };
        let nodes: Vec<Redis> = (0..3).map(node).collect();
        let first = nodes.first().expect("there are three");
        let mut create = process::command("redis-cli");
        create.args(&first.login).args(["--no-auth-warning", "--cluster", "create"]);
        create.args(nodes.iter().map(|node| node.address().to_string())).arg("--cluster-yes");
        let output = create.output().expect("redis-cli is there");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        eventually_true(STARTING, "the cluster to serve", || {
            nodes.iter().all(|node| node.cli(&["CLUSTER", "INFO"]).contains("cluster_state:ok"))
        });
        Self { nodes }
    }

    /// The URLs of its nodes.
    pub fn urls(&self) -> Vec<String> {
        self.nodes.iter().map(Redis::url).collect()
    }
}

fn sentinel(folder: &Path, primary: &str) -> (Process, SocketAddr) {
    let port = free_port();
    let file = folder.join(format!("{port}.conf"));
    let name = Sentinels::PRIMARY;
    let lines = format!(
        "port {port}\nbind 127.0.0.1\nprotected-mode no\ndir {}\nsentinel monitor {name} {primary} 2\n\
         sentinel down-after-milliseconds {name} 1000\nsentinel failover-timeout {name} 5000\n",
        folder.display()
    );
    fs::write(&file, lines).expect("the folder is ours");
    let mut command = process::command("redis-sentinel");
    command.arg(&file);
    (started("redis-sentinel", command, "+monitor master"), SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port))
}

fn started(name: &str, command: Command, ready: &str) -> Process {
    let mut process = Process::start(name, command);
    eventually(STARTING, &format!("{name} to serve"), || {
        assert!(process.runs(), "{name} ended: {}", process.output());
        process.printed().contains(ready).then_some(())
    });
    process
}

fn ask(address: SocketAddr, args: &[&str]) -> String {
    let (ip, port) = (address.ip().to_string(), address.port().to_string());
    let output = process::command("redis-cli").args(["-h", &ip, "-p", &port]).args(args).output();
    String::from_utf8_lossy(&output.expect("redis-cli is there").stdout).into_owned()
}

/// What `redis-cli` says to a server with these options.
fn login(options: &[(String, String)]) -> Vec<String> {
    let value =
        |wanted: &str| options.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.clone());
    let mut login = Vec::new();
    if let Some(password) = value("requirepass") {
        login.extend(["-a".to_owned(), password]);
    }
    if let (Some(certificate), Some(key)) = (value("tls-cert-file"), value("tls-key-file")) {
        // It shows the server's own certificate, and asks for none.
        login.extend(["--tls", "--insecure", "--cert"].map(str::to_owned));
        login.extend([certificate, "--key".to_owned(), key]);
    }
    login
}

fn free_port() -> u16 {
    let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("the loopback has a free port");
    socket.local_addr().expect("a bound socket has an address").port()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_starts_empty_and_again() {
        let mut redis = Redis::with(&[("requirepass", "secret")]);
        redis.cli(&["SET", "a", "1"]);
        assert_eq!(redis.cli(&["GET", "a"]), "1");
        redis.kill();
        redis.start_again();
        assert_eq!(redis.cli(&["GET", "a"]), "");
    }

    #[test]
    fn sentinels_change_the_primary() {
        let sentinels = Sentinels::start();
        let before = sentinels.primary();
        sentinels.fail_over();
        eventually_true(STARTING, "another primary", || sentinels.primary() != before);
    }

    #[test]
    fn a_cluster_serves_all_slots() {
        let cluster = RedisCluster::start();
        let mut set = process::command("redis-cli");
        let port = cluster.nodes[0].address().port().to_string();
        let output = set.args(["-c", "-p", &port, "SET", "somewhere", "1"]).output().unwrap();
        assert!(output.stdout.starts_with(b"OK"));
    }
}
