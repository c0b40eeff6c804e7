//! The admin server: liveness, readiness and metrics over HTTP, away from the packet path.

mod health;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use prometheus::{Registry, TextEncoder};
use serde::Serialize;
use thiserror::Error;
use tokio::net::TcpListener;

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

/// What the handlers need.
#[derive(Clone)]
struct Rooms {
    health: Arc<Health>,
    registry: Registry,
}

/// The body of `/ready`.
#[derive(Serialize)]
struct Ready {
    state: Readiness,
}

/// Takes the address of the admin server.
///
/// # Errors
/// When it cannot be had.
pub async fn bind(address: SocketAddr) -> Result<TcpListener, AdminError> {
    TcpListener::bind(address).await.map_err(|source| AdminError { address, source })
}

/// Serves `/live`, `/ready` and `/metrics` for as long as the runtime lives.
pub async fn serve(listener: TcpListener, health: Arc<Health>, registry: Registry) {
    let router = Router::new()
        .route("/live", get(live))
        .route("/ready", get(ready))
        .route("/metrics", get(metrics))
        .with_state(Rooms { health, registry });
    if let Err(error) = axum::serve(listener, router).await {
        tracing::error!(%error, "the admin server ended");
    }
}

async fn live(State(rooms): State<Rooms>) -> (StatusCode, &'static str) {
    match rooms.health.readiness() {
        Readiness::Down => (StatusCode::SERVICE_UNAVAILABLE, "a worker has ended\n"),
        Readiness::Ready | Readiness::Draining => (StatusCode::OK, "alive\n"),
    }
}

/// Ready means that packets can be served, so a draining relay is: its clients are still there.
async fn ready(State(rooms): State<Rooms>) -> (StatusCode, Json<Ready>) {
    let state = rooms.health.readiness();
    let code = match state {
        Readiness::Down => StatusCode::SERVICE_UNAVAILABLE,
        Readiness::Ready | Readiness::Draining => StatusCode::OK,
    };
    (code, Json(Ready { state }))
}

async fn metrics(State(rooms): State<Rooms>) -> Response {
    match TextEncoder::new().encode_to_string(&rooms.registry.gather()) {
        Ok(text) => ([(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "metrics cannot be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
