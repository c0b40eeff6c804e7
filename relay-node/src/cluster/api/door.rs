//! Where callers come in: a TLS listener for requests, on an internal address. Whoever proves nothing costs little.

mod seats;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::{Extension, Router};
use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use socket2::{Domain, Protocol, Socket, Type};
use thiserror::Error;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::callers::Caller;
use crate::config::{Files, Identity};
use crate::tls::{Internal, InternalError, Visitors};
pub(super) use seats::Proven;
use seats::Seats;

/// Connections at a time: more than nodes, operators and applications have together, and no more memory than that.
const CONNECTIONS: usize = 512;
/// From accept to the end of the TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// For the head of a request, and for a connection without one.
const IDLE: Duration = Duration::from_secs(15);
/// Bytes that the head of a request may have.
const HEAD: usize = 16 * 1024;
/// Requests of one connection at a time, by HTTP/2.
const REQUESTS: u32 = 64;
/// How often a silent HTTP/2 connection is asked whether it lives, and how long it may take to say so.
const PING: Duration = Duration::from_secs(20);
/// How often the files of certificates are looked at.
const RENEWAL: Duration = Duration::from_secs(1);
/// How long to wait when a connection cannot be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Connections that wait to be accepted.
const BACKLOG: i32 = 256;

/// A listener, bound.
pub struct Door {
    listener: TcpListener,
    tls: Arc<Internal>,
    speaks: Speaks,
    field: &'static str,
}

/// What is spoken behind the TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speaks {
    /// HTTP/2, as gRPC does.
    Grpc,
    /// HTTP/1.1.
    Http,
}

/// Why there can be no listener.
#[derive(Debug, Error)]
pub enum DoorError {
    /// The address cannot be bound.
    #[error("{field}.address: cannot listen on {address}: {source}; choose another address or port")]
    Listen {
        /// Of the configuration.
        field: &'static str,
        /// What was tried.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// A certificate, key or authority is wrong.
    #[error("{field}: {source}")]
    Tls {
        /// Of the configuration.
        field: &'static str,
        /// What is wrong.
        source: Box<InternalError>,
    },
}

impl Door {
    /// Binds `address`; `field` of the configuration says so. Must be called in a Tokio runtime.
    ///
    /// # Errors
    /// When it cannot be bound, or what is shown there cannot be read.
    pub fn open(
        field: &'static str,
        address: SocketAddr,
        identity: Identity,
        visitors: Visitors,
        speaks: Speaks,
        files: &Files,
    ) -> Result<Self, DoorError> {
        let tls = Internal::from_files(identity, visitors, speaks.alpn(), files);
        let tls = Arc::new(tls.map_err(|source| DoorError::Tls { field, source: source.into() })?);
        let listener = bind(address).map_err(|source| DoorError::Listen { field, address, source })?;
        Ok(Self { listener, tls, speaks, field })
    }

    /// What is bound.
    ///
    /// # Errors
    /// What the system says.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Lets callers in, each with its [`Caller`] as an extension of its requests, as long as this is polled.
    pub async fn serve(self, rooms: Router) {
        let Self { listener, tls, speaks, field } = self;
        let mut seats = Seats::new(CONNECTIONS);
        let mut renewal = interval(RENEWAL);
        renewal.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut troubled = false;
        loop {
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((stream, address)) => {
                        let (tls, rooms) = (tls.current(), rooms.clone());
                        let seated = seats.take(|proven| async move {
                            let stream = timeout(HANDSHAKE, TlsAcceptor::from(tls).accept(stream)).await;
                            // Who cannot do that is told by TLS itself.
                            let Ok(Ok(stream)) = stream else { return };
                            let caller = Caller::new(stream.get_ref().1.peer_certificates(), address, proven);
                            speaks.answer(stream, rooms.layer(Extension(caller))).await;
                        });
                        if !seated {
                            tracing::warn!(setting = field, "a connection was refused: there are {CONNECTIONS} of known callers");
                        }
                    }
                    // Too few files or too little memory, which does not pass at once.
                    Err(_) => sleep(ACCEPT_PAUSE).await,
                },
                _ = renewal.tick() => match tls.renew() {
                    Ok(renewed) => {
                        if renewed {
                            tracing::info!(setting = field, "the certificate was renewed");
                        }
                        troubled = false;
                    }
                    Err(error) => {
                        if !std::mem::replace(&mut troubled, true) {
                            tracing::error!(setting = field, %error, "the certificate in use stays");
                        }
                    }
                },
            }
        }
    }
}

impl Speaks {
    fn alpn(self) -> &'static [u8] {
        match self {
            Self::Grpc => b"h2",
            Self::Http => b"http/1.1",
        }
    }

    /// Answers requests until the connection ends. One that breaks is the caller's own affair.
    async fn answer(self, stream: TlsStream<TcpStream>, rooms: Router) {
        let (stream, rooms) = (TokioIo::new(stream), TowerToHyperService::new(rooms));
        match self {
            Self::Grpc => {
                let connection = http2::Builder::new(TokioExecutor::new())
                    .timer(TokioTimer::new())
                    .max_concurrent_streams(REQUESTS)
                    .max_header_list_size(HEAD as u32)
                    .keep_alive_interval(PING)
                    .keep_alive_timeout(PING)
                    .serve_connection(stream, rooms);
                let _ = connection.await;
            }
            Self::Http => {
                let connection = http1::Builder::new()
                    .timer(TokioTimer::new())
                    .header_read_timeout(IDLE)
                    .max_buf_size(HEAD)
                    .serve_connection(stream, rooms);
                let _ = connection.await;
            }
        }
    }
}

/// A relay that takes over binds the same address before the one that hands over has left it.
fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}
