use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use turn_client::{Frames, Path};

use super::{Client, Identity, PATIENCE, Wire};

/// A stream cut into frames.
pub struct StreamWire<S> {
    pub stream: S,
    received: Frames,
}

/// A client over TLS.
pub type TlsClient = Client<StreamWire<StreamOwned<ClientConnection, TcpStream>>>;

impl<S: Read + Write> StreamWire<S> {
    pub fn new(stream: S) -> Self {
        Self { stream, received: Frames::default() }
    }
}

impl<S: Read + Write> Wire for StreamWire<S> {
    fn send(&mut self, packet: &[u8]) {
        self.stream.write_all(packet).unwrap();
        self.stream.flush().unwrap();
    }

    fn receive(&mut self) -> Vec<u8> {
        loop {
            if let Some(packet) = self.received.next_packet().expect("the relay sends packets") {
                return packet.to_vec();
            }
            let mut buffer = [0; 16_384];
            let count = self.stream.read(&mut buffer).unwrap();
            assert!(count > 0, "the relay closed the connection");
            self.received.push(&buffer[..count]);
        }
    }

    fn path(&self) -> Path {
        Path::Stream
    }
}

/// A connection to the relay whose reads fail after [`PATIENCE`].
pub fn connect(relay: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(relay).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

impl Client<StreamWire<TcpStream>> {
    /// A TCP client of the relay at `relay`.
    pub fn tcp(relay: SocketAddr) -> Self {
        Self::over(StreamWire::new(connect(relay)))
    }
}

impl TlsClient {
    /// A TLS client that trusts `server` alone and offers the protocols `alpn`. The handshake is done.
    pub fn tls(relay: SocketAddr, server: &Identity, alpn: &[&str]) -> Result<Self, std::io::Error> {
        let mut tls = tls_session(server, alpn);
        let mut stream = connect(relay);
        while tls.is_handshaking() {
            tls.complete_io(&mut stream)?;
        }
        Ok(Self::over(StreamWire::new(StreamOwned::new(tls, stream))))
    }

    /// What TLS has agreed upon.
    pub fn session(&self) -> &ClientConnection {
        &self.wire.stream.conn
    }
}

/// A client's TLS that trusts `server` alone and offers the protocols `alpn`, before the handshake.
pub fn tls_session(server: &Identity, alpn: &[&str]) -> ClientConnection {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(server.certificate.as_bytes()).unwrap()).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    let name = ServerName::try_from("localhost").unwrap();
    ClientConnection::new(Arc::new(config), name).unwrap()
}

/// Whether the relay closes a connection; what else it sends is thrown away.
pub fn is_closed(stream: &mut impl Read) -> bool {
    let mut buffer = [0; 16_384];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) => {
                let kinds =
                    [ErrorKind::ConnectionReset, ErrorKind::UnexpectedEof, ErrorKind::ConnectionAborted];
                return kinds.contains(&error.kind());
            }
        }
    }
}
