//! The admin server: liveness, readiness and metrics over HTTP, away from the packet path.

mod health;

use std::collections::VecDeque;
use std::io;
use std::net::{self, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use prometheus::{Registry, TextEncoder};
use serde::Serialize;
use thiserror::Error;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::telemetry::Older;

pub use health::{Health, Readiness};

/// Why there can be no admin server.
#[derive(Debug, Error)]
#[error("cannot listen for admin requests on {address}: {source}; choose another address by --admin")]
pub struct AdminError {
    /// The address.
    pub address: SocketAddr,
    /// What the system says.
    pub source: io::Error,
}

/// Connections at a time; one more ends the oldest, so that who holds connections keeps nobody out.
const CONNECTIONS: usize = 64;
/// From accept to the last byte of the answer.
const DEADLINE: Duration = Duration::from_secs(5);
/// Bytes that the head of a request may have.
const REQUEST: usize = 8 * 1024;
/// How long to wait when a connection cannot be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What the handlers need.
#[derive(Clone)]
struct Rooms {
    health: Arc<Health>,
    registry: Registry,
    older: Arc<Older>,
}

/// The body of `/ready`.
#[derive(Serialize)]
struct Ready {
    state: Readiness,
    /// What does not work as it should, of what packets do not need.
    #[serde(skip_serializing_if = "Option::is_none")]
    degraded: Option<String>,
}

/// Listens where the admin server is to be, by `inherited` if that is open already.
///
/// # Errors
/// When the address cannot be had.
pub fn bind(address: SocketAddr, inherited: Option<net::TcpListener>) -> Result<TcpListener, AdminError> {
    let listener = inherited.map_or_else(|| net::TcpListener::bind(address), Ok);
    let listener = listener.and_then(|listener| {
        listener.set_nonblocking(true)?;
        TcpListener::from_std(listener)
    });
    listener.map_err(|source| AdminError { address, source })
}

/// Serves `/live`, `/ready` and `/metrics`, with those of `older` relays, for as long as the runtime lives.
pub async fn serve(listener: TcpListener, health: Arc<Health>, registry: Registry, older: Arc<Older>) {
    let router = Router::new()
        .route("/live", get(live))
        .route("/ready", get(ready))
        .route("/metrics", get(metrics))
        .with_state(Rooms { health, registry, older });
    let mut connections = VecDeque::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Too few files or too little memory, which does not pass at once.
            sleep(ACCEPT_PAUSE).await;
            continue;
        };
        connections.retain(|connection: &JoinHandle<()>| !connection.is_finished());
        if connections.len() == CONNECTIONS
            && let Some(oldest) = connections.pop_front()
        {
            oldest.abort();
        }
        connections.push_back(tokio::spawn(answer(stream, router.clone())));
    }
}

/// Answers one request.
async fn answer(stream: TcpStream, router: Router) {
    let connection = http1::Builder::new()
        .keep_alive(false)
        .max_buf_size(REQUEST)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    // A client that is too slow or sends no HTTP is its own affair.
    let _ = timeout(DEADLINE, connection).await;
}

async fn live(State(rooms): State<Rooms>) -> (StatusCode, &'static str) {
    match rooms.health.readiness() {
        Readiness::Down => (StatusCode::SERVICE_UNAVAILABLE, "a worker has ended\n"),
        Readiness::Ready | Readiness::Draining | Readiness::Superseded => (StatusCode::OK, "alive\n"),
    }
}

/// Ready means that packets can be served, so a draining relay is: its clients are still there.
async fn ready(State(rooms): State<Rooms>) -> (StatusCode, Json<Ready>) {
    let state = rooms.health.readiness();
    let code = match state {
        Readiness::Down | Readiness::Superseded => StatusCode::SERVICE_UNAVAILABLE,
        Readiness::Ready | Readiness::Draining => StatusCode::OK,
    };
    (code, Json(Ready { state, degraded: rooms.health.degraded() }))
}

async fn metrics(State(rooms): State<Rooms>) -> Response {
    match TextEncoder::new().encode_to_string(&rooms.registry.gather()) {
        Ok(own) => {
            ([(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)], rooms.older.beside(own)).into_response()
        }
        Err(error) => {
            tracing::error!(%error, "metrics cannot be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
