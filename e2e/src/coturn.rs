//! coturn's command-line client and echo peer.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

use testbed::{Process, eventually_true};

use crate::credential::Credential;
use crate::network::Party;
use crate::transport::Transport;

const DEADLINE: Duration = Duration::from_secs(60);
const PEER_PORT: u16 = 3480;

/// How the client asks for its data to be relayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Channels (`ChannelBind`, `ChannelData`).
    Channels,
    /// Send and Data indications (`-s`).
    Indications,
}

/// How the client logs in.
#[derive(Clone, Debug)]
pub enum Login {
    /// With a username and password (`-u`, `-w`).
    LongTerm(Credential),
    /// With a TURN REST username that it makes itself from the shared secret (`-u`, `-W`).
    SharedSecret {
        /// The user part of the name.
        user: String,
        /// The secret.
        secret: String,
    },
}

/// One run of `turnutils_uclient`.
#[derive(Clone, Debug)]
pub struct Uclient {
    /// How it reaches the relay.
    pub transport: Transport,
    /// How it relays.
    pub method: Method,
    /// How it logs in.
    pub login: Login,
    /// Sessions at a time.
    pub sessions: u32,
    /// Messages that each session sends.
    pub messages: u32,
    /// Other options, e.g. `-g` for DONT-FRAGMENT.
    pub extra: &'static [&'static str],
}

/// What the client counted. It exits with 0 in spite of loss, so this is what a test looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tally {
    /// Messages sent.
    pub sent: u64,
    /// Messages that came back.
    pub received: u64,
    /// "Total lost packets".
    pub lost: u64,
}

/// Starts `turnutils_peer`, which sends back whatever it gets, and waits until it does.
pub fn echo_peer(party: &Party, address: IpAddr) -> (Process, SocketAddr) {
    let mut command = party.namespace.command("turnutils_peer");
    command.args(["-L", &address.to_string(), "-p", &PEER_PORT.to_string()]);
    let process = Process::start("turnutils_peer", command);
    let peer = SocketAddr::new(address, PEER_PORT);
    let probe = party.namespace.enter(|| UdpSocket::bind((address, 0))).expect("the party has this address");
    probe.set_read_timeout(Some(Duration::from_millis(50))).expect("not zero");
    eventually_true(DEADLINE, "turnutils_peer to send back", || {
        // What it does not yet listen for comes back as an ICMP error.
        probe.send_to(b"are you there?", peer).is_ok() && probe.recv(&mut [0; 64]).is_ok()
    });
    (process, peer)
}

impl Uclient {
    /// Runs the client to its end, with channel numbers that RFC 8656 allows (`clients/coturn/channels.c`).
    pub fn run(&self, from: &Party, server: SocketAddr, peer: SocketAddr) -> Tally {
        let channels = std::env::var("COTURN_CHANNELS");
        let channels = channels.expect("`e2e/test clients` builds it and sets COTURN_CHANNELS");
        let mut command = from.namespace.command("turnutils_uclient");
        command.args(["-c", "-l", "160", "-z", "2"]);
        command.args(["-n", &self.messages.to_string(), "-m", &self.sessions.to_string()]);
        command.args(["-e", &peer.ip().to_string(), "-r", &peer.port().to_string()]);
        command.args(["-p", &server.port().to_string()]);
        match self.transport {
            Transport::Udp => {}
            Transport::Tcp => drop(command.arg("-t")),
            Transport::Tls => drop(command.args(["-t", "-S"])),
        }
        if self.method == Method::Indications {
            command.arg("-s");
        }
        match &self.login {
            Login::LongTerm(credential) => {
                command.args(["-u", &credential.username, "-w", &credential.password]);
            }
            Login::SharedSecret { user, secret } => {
                command.args(["-u", user, "-W", secret]);
            }
        }
        command.args(self.extra).arg(server.ip().to_string()).env("LD_PRELOAD", channels);
        let (_, output) = Process::start("turnutils_uclient", command).finish(DEADLINE);
        Tally::read(&output).unwrap_or_else(|| panic!("the client counted nothing:\n{output}"))
    }
}

impl Tally {
    fn read(output: &str) -> Option<Self> {
        Some(Self {
            sent: number_after(output, "tot_send_msgs=")?,
            received: number_after(output, "tot_recv_msgs=")?,
            lost: number_after(output, "Total lost packets ")?,
        })
    }
}

/// The number behind the last occurrence of `label`.
fn number_after(output: &str, label: &str) -> Option<u64> {
    let (_, rest) = output.rsplit_once(label)?;
    let digits = rest.find(|character: char| !character.is_ascii_digit()).unwrap_or(rest.len());
    rest[..digits].parse().ok()
}
