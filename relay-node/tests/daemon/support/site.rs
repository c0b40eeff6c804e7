use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::PathBuf;

use tempfile::TempDir;

use super::daemon::{ALICE, BASE};
use super::{Client, Daemon, Packet, StreamWire, Wire, edgerelay, peer, receive, text};

/// A UDP and a TCP listener on free ports, which whoever takes over has too.
pub const BOTH: &str = "listeners = [{ transport = 'udp', address = '127.0.0.1:0' }, \
                        { transport = 'tcp', address = '127.0.0.1:0' }]";

/// A directory where relays take over from each other.
pub struct Site {
    directory: TempDir,
}

impl Site {
    pub fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    /// The `recovery.directory`.
    pub fn directory(&self) -> PathBuf {
        self.directory.path().join("recovery")
    }

    /// A relay that serves here from now on.
    pub fn serve(&self, settings: &str) -> Daemon {
        self.serve_by(&[], settings)
    }

    /// The same, with more arguments.
    pub fn serve_by(&self, arguments: &[&str], settings: &str) -> Daemon {
        Daemon::serve_by(arguments, &self.settings(settings))
    }

    /// A relay that does not come to serve: its exit code, and what it says.
    pub fn refuse(&self, settings: &str) -> (i32, String) {
        let path = self.directory.path().join("refused.toml");
        fs::write(&path, format!("{BASE}\n{}", self.settings(settings))).unwrap();
        let output =
            edgerelay(&["serve", "--log-format", "json", "--config", path.to_str().unwrap()]).output();
        let output = output.unwrap();
        (output.status.code().unwrap(), text(&output.stderr).to_owned())
    }

    /// `settings` for Alice in this directory.
    pub fn settings(&self, settings: &str) -> String {
        format!("recovery.directory = '{}'\n{ALICE}\n{settings}", self.directory().display())
    }
}

/// A client with a channel to a peer.
pub struct Call<W> {
    pub client: Client<W>,
    pub peer: UdpSocket,
    pub relayed: SocketAddr,
}

impl Call<UdpSocket> {
    pub fn udp(relay: &Daemon) -> Self {
        Self::of(Client::udp(relay.address("udp")))
    }
}

impl Call<StreamWire<TcpStream>> {
    pub fn tcp(relay: &Daemon) -> Self {
        Self::of(Client::tcp(relay.address("tcp")))
    }
}

impl<W: Wire> Call<W> {
    fn of(mut client: Client<W>) -> Self {
        let (peer, relayed) = (peer(), client.allocate());
        client.bind(0x4000, peer.local_addr().unwrap());
        let mut call = Self { client, peer, relayed };
        call.assert_on();
        call
    }

    /// Data passes both ways, at the addresses that there always were, and nothing else comes.
    pub fn assert_on(&mut self) {
        self.client.send_channel(0x4000, b"there");
        assert_eq!(receive(&self.peer), (b"there".to_vec(), self.relayed));
        self.peer.send_to(b"back", self.relayed).unwrap();
        assert_eq!(self.client.receive(), Packet::Channel { number: 0x4000, payload: b"back".to_vec() });
    }
}

/// Binds a channel of each of two clients to the other one.
pub fn join<A: Wire, B: Wire>(channel: u16, one: &mut Call<A>, other: &mut Call<B>) {
    one.client.bind(channel, other.relayed);
    other.client.bind(channel, one.relayed);
}

/// Data passes between the two.
pub fn assert_joined<A: Wire, B: Wire>(channel: u16, one: &mut Call<A>, other: &mut Call<B>) {
    one.client.send_channel(channel, b"there");
    assert_eq!(other.client.receive(), Packet::Channel { number: channel, payload: b"there".to_vec() });
    other.client.send_channel(channel, b"back");
    assert_eq!(one.client.receive(), Packet::Channel { number: channel, payload: b"back".to_vec() });
}

/// [`BOTH`] on a port that was free just now: the same one also when nobody has it open any more.
pub fn both_on_a_fixed_port() -> String {
    // Below those that the system chooses, and those of relayed addresses.
    let is_free = |port: &u16| {
        UdpSocket::bind(("127.0.0.1", *port)).is_ok() && TcpListener::bind(("127.0.0.1", *port)).is_ok()
    };
    let first = 20_000 + (std::process::id() % 10_000) as u16;
    let port = (first..32_000).find(is_free).expect("a free port");
    BOTH.replace("127.0.0.1:0", &format!("127.0.0.1:{port}"))
}
