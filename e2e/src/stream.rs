//! A connection to the relay, with or without TLS.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};

use crate::network::Party;

const PATIENCE: Duration = Duration::from_secs(10);

/// A TCP connection, or a TLS one, whose handshake takes place when it is first used.
#[derive(Debug)]
pub enum Stream {
    /// TCP alone.
    Plain(TcpStream),
    /// TLS over it.
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Stream {
    /// Connects over TCP.
    pub fn tcp(party: &Party, relay: SocketAddr) -> Self {
        let socket = party.namespace.enter(|| TcpStream::connect_timeout(&relay, PATIENCE));
        let socket = socket.unwrap_or_else(|error| panic!("cannot connect to {relay}: {error}"));
        socket.set_nodelay(true).expect("it is a TCP socket");
        Self::Plain(socket)
    }

    /// Connects over TCP, to speak TLS.
    pub fn tls(party: &Party, relay: SocketAddr, trust: Arc<ClientConfig>) -> Self {
        let Self::Plain(socket) = Self::tcp(party, relay) else { unreachable!("it is TCP alone") };
        let tls = ClientConnection::new(trust, ServerName::from(relay.ip())).expect("a name of a server");
        Self::Tls(Box::new(StreamOwned::new(tls, socket)))
    }

    /// The socket below.
    pub fn socket(&self) -> &TcpStream {
        match self {
            Self::Plain(socket) => socket,
            Self::Tls(tls) => &tls.sock,
        }
    }
}

impl Read for Stream {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.read(bytes),
            Self::Tls(tls) => tls.read(bytes),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.write(bytes),
            Self::Tls(tls) => tls.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(socket) => socket.flush(),
            Self::Tls(tls) => tls.flush(),
        }
    }
}
