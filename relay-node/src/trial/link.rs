//! The way to the relay: whole messages in both directions, over each transport.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use turn::Transport;
use turn_client::Path;

use super::error::TrialError;
use super::framed::Framed;

/// For a connection and for TLS, and for a packet to leave.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
/// More than any datagram.
const LONGEST: usize = 65_536;
/// TURN over TLS (RFC 7443).
const ALPN: &[u8] = b"stun.turn";

/// Who may vouch for a relay's certificate.
#[derive(Clone)]
pub(super) struct Trust(RootCertStore);

impl Trust {
    /// Those whom the system trusts.
    pub(super) fn of_system() -> Self {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        Self(roots)
    }

    /// Trusts the certificates in `pem` too; says whether there are any.
    pub(super) fn add(&mut self, pem: &str) -> bool {
        let certificates = CertificateDer::pem_slice_iter(pem.as_bytes()).filter_map(Result::ok);
        self.0.add_parsable_certificates(certificates).0 > 0
    }
}

/// The way to one relay over one transport.
pub(super) enum Link {
    Udp(UdpSocket),
    Tcp(Framed<TcpStream>),
    Tls(Box<Framed<StreamOwned<ClientConnection, TcpStream>>>),
}

impl Link {
    /// Connects to `address`, where a certificate has to name `host`.
    pub(super) fn connect(
        transport: Transport,
        address: SocketAddr,
        host: &str,
        trust: &Trust,
    ) -> Result<Self, TrialError> {
        match transport {
            Transport::Udp => udp(address).map(Self::Udp).map_err(TrialError::Connect),
            Transport::Tcp => {
                let stream = tcp(address).map_err(TrialError::Connect)?;
                stream.set_nonblocking(true).map_err(TrialError::Connect)?;
                Ok(Self::Tcp(Framed::new(stream)))
            }
            Transport::Tls => tls(address, host, trust),
        }
    }

    /// This machine's address on the way to the relay.
    pub(super) fn local_address(&self) -> io::Result<IpAddr> {
        let address = match self {
            Self::Udp(socket) => socket.local_addr(),
            Self::Tcp(framed) => framed.stream().local_addr(),
            Self::Tls(framed) => framed.stream().sock.local_addr(),
        };
        Ok(address?.ip())
    }

    /// How packets travel on it.
    pub(super) fn path(&self) -> Path {
        match self {
            Self::Udp(_) => Path::Datagrams,
            Self::Tcp(_) | Self::Tls(_) => Path::Stream,
        }
    }

    /// Sends a whole message.
    pub(super) fn send(&mut self, message: &[u8]) -> Result<(), TrialError> {
        match self {
            Self::Udp(socket) => match socket.send(message) {
                // As good as lost on the way.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
                sent => sent.map(drop).map_err(TrialError::Broken),
            },
            Self::Tcp(framed) => framed.send(message).map_err(TrialError::Broken),
            Self::Tls(framed) => framed.send(message).map_err(TrialError::Broken),
        }
    }

    /// Waits for a message until `deadline` and puts it into `message`; says whether one came.
    pub(super) fn receive(&mut self, message: &mut Vec<u8>, deadline: Instant) -> Result<bool, TrialError> {
        match self {
            Self::Udp(socket) => receive_datagram(socket, message, deadline).map_err(TrialError::Broken),
            Self::Tcp(framed) => framed.receive(message, deadline).map_err(TrialError::Broken),
            Self::Tls(framed) => framed.receive(message, deadline).map_err(TrialError::Broken),
        }
    }
}

/// Waits until `socket` is ready for `what`, or until `deadline`.
pub(super) fn wait(socket: &impl AsFd, what: PollFlags, deadline: Instant) -> io::Result<()> {
    let left = deadline.saturating_duration_since(Instant::now());
    let timeout = Timespec::try_from(left).map_err(io::Error::other)?;
    match poll(&mut [PollFd::new(socket, what)], Some(&timeout)) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Whether an error only says to try again later.
pub(super) fn is_not_yet(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

fn receive_datagram(socket: &UdpSocket, message: &mut Vec<u8>, deadline: Instant) -> io::Result<bool> {
    loop {
        message.resize(LONGEST, 0);
        match socket.recv(message) {
            Ok(length) => {
                message.truncate(length);
                return Ok(true);
            }
            Err(error) if is_not_yet(&error) => {}
            Err(error) => return Err(error),
        }
        if Instant::now() >= deadline {
            return Ok(false);
        }
        wait(socket, PollFlags::IN, deadline)?;
    }
}

fn udp(address: SocketAddr) -> io::Result<UdpSocket> {
    let any: IpAddr =
        if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0))?;
    socket.connect(address)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

fn tcp(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn tls(address: SocketAddr, host: &str, trust: &Trust) -> Result<Link, TrialError> {
    let setup = |error: &dyn std::fmt::Display| TrialError::TlsSetup(error.to_string());
    let name = ServerName::try_from(host.to_owned()).map_err(|error| setup(&error))?;
    let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| setup(&error))?
        .with_root_certificates(trust.0.clone())
        .with_no_client_auth();
    config.alpn_protocols = vec![ALPN.to_vec()];
    let mut connection = ClientConnection::new(Arc::new(config), name).map_err(|error| setup(&error))?;
    let mut socket = tcp(address).map_err(TrialError::Connect)?;
    socket.set_read_timeout(Some(PATIENCE)).map_err(TrialError::Connect)?;
    while connection.is_handshaking() {
        connection.complete_io(&mut socket).map_err(TrialError::Tls)?;
    }
    socket.set_nonblocking(true).map_err(TrialError::Connect)?;
    Ok(Link::Tls(Box::new(Framed::new(StreamOwned::new(connection, socket)))))
}
