//! A bare TCP connection to the relay, for clients that do not behave.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Duration;

use socket2::{Domain, Socket, Type};

use crate::network::Party;

const PATIENCE: Duration = Duration::from_secs(10);

/// A connection from one of the addresses of this thread's namespace, which is gone at once when it is dropped.
pub fn connect_from(source: IpAddr, relay: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::for_address(relay), Type::STREAM, None).expect("there are files left");
    socket.set_linger(Some(Duration::ZERO)).expect("it is a TCP socket");
    socket.bind(&SocketAddr::new(source, 0).into()).expect("the namespace has this address");
    socket.connect_timeout(&relay.into(), PATIENCE).expect("the relay listens");
    socket.into()
}

/// A connection that notices when the relay has closed it.
#[derive(Debug)]
pub struct Connection {
    socket: TcpStream,
    received: Vec<u8>,
    open: bool,
}

impl Connection {
    /// Connects; nothing if the relay does not let it.
    pub fn open(party: &Party, relay: SocketAddr) -> Option<Self> {
        let socket = party.namespace.enter(|| TcpStream::connect_timeout(&relay, PATIENCE)).ok()?;
        socket.set_nonblocking(true).expect("a socket can be");
        Some(Self { socket, received: Vec::new(), open: true })
    }

    /// Sends as much as the connection takes at once; returns how many bytes that was.
    pub fn send(&mut self, bytes: &[u8]) -> usize {
        let mut sent = 0;
        while self.open && sent < bytes.len() {
            match self.socket.write(&bytes[sent..]) {
                Ok(length) => sent += length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(_) => self.open = false,
            }
        }
        sent
    }

    /// Takes in what has come; returns whether the relay still keeps the connection.
    pub fn is_open(&mut self) -> bool {
        let mut bytes = [0; 16_384];
        while self.open {
            match self.socket.read(&mut bytes) {
                Ok(0) => self.open = false,
                Ok(length) => self.received.extend_from_slice(&bytes[..length]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(_) => self.open = false,
            }
        }
        self.open
    }

    /// All that has come so far.
    pub fn received(&mut self) -> &[u8] {
        self.is_open();
        &self.received
    }
}
