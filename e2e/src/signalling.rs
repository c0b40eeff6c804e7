//! The web server that two browsers get their page from, meet through and report to.

use std::collections::HashMap;
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::Value;
use tokio::runtime::Runtime;
use tokio::sync::Notify;

use crate::network::Party;

const PAGE: &str = include_str!("../clients/peer.html");
const POLL: Duration = Duration::from_secs(20);

/// A server with a door on the loopback of each party's namespace, so that each browser finds it at a
/// secure origin and nothing of it crosses the network under test.
#[derive(Debug)]
pub struct Signalling {
    runtime: Runtime,
    board: Arc<Board>,
}

#[derive(Debug)]
struct Board {
    configuration: String,
    inboxes: Mutex<HashMap<String, Vec<Bytes>>>,
    news: Notify,
    reports: Mutex<HashMap<String, Value>>,
}

impl Signalling {
    /// A server that hands out this RTCConfiguration.
    pub fn new(configuration: &Value) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let board = Board {
            configuration: configuration.to_string(),
            inboxes: Mutex::default(),
            news: Notify::new(),
            reports: Mutex::default(),
        };
        Self { runtime: runtime.expect("a runtime needs nothing but a thread"), board: Arc::new(board) }
    }

    /// Opens a door in a party's namespace; returns its origin.
    pub fn open_door(&self, party: &Party) -> String {
        let listener = party.namespace.enter(|| TcpListener::bind("127.0.0.1:0")).expect("loopback is up");
        let port = listener.local_addr().expect("it is bound").port();
        listener.set_nonblocking(true).expect("a socket can be non-blocking");
        let _runtime = self.runtime.enter();
        let listener = tokio::net::TcpListener::from_std(listener).expect("it is a listening socket");
        let routes = Router::new()
            .route("/", get(|| async { Html(PAGE) }))
            .route("/configuration", get(configuration))
            .route("/inbox/{role}", get(take).post(put))
            .route("/report/{role}", post(report))
            .with_state(Arc::clone(&self.board));
        self.runtime.spawn(async move { axum::serve(listener, routes).await });
        format!("http://localhost:{port}")
    }

    /// The newest report of a peer.
    pub fn report(&self, role: &str) -> Option<Value> {
        self.board.reports.lock().expect("no handler panics").get(role).cloned()
    }
}

async fn configuration(State(board): State<Arc<Board>>) -> String {
    board.configuration.clone()
}

async fn put(State(board): State<Arc<Board>>, Path(role): Path<String>, message: Bytes) {
    board.inboxes.lock().expect("no handler panics").entry(role).or_default().push(message);
    board.news.notify_waiters();
}

/// Long poll: the oldest message for a role, or 204 when none came in time.
async fn take(State(board): State<Arc<Board>>, Path(role): Path<String>) -> Response {
    let message = tokio::time::timeout(POLL, async {
        loop {
            let news = board.news.notified();
            if let Some(message) = board.oldest(&role) {
                return message;
            }
            news.await;
        }
    });
    match message.await {
        Ok(message) => message.into_response(),
        Err(_) => StatusCode::NO_CONTENT.into_response(),
    }
}

async fn report(State(board): State<Arc<Board>>, Path(role): Path<String>, body: Bytes) -> StatusCode {
    let Ok(report) = serde_json::from_slice(&body) else { return StatusCode::BAD_REQUEST };
    board.reports.lock().expect("no handler panics").insert(role, report);
    StatusCode::NO_CONTENT
}

impl Board {
    fn oldest(&self, role: &str) -> Option<Bytes> {
        let mut inboxes = self.inboxes.lock().expect("no handler panics");
        let inbox = inboxes.get_mut(role).filter(|inbox| !inbox.is_empty())?;
        Some(inbox.remove(0))
    }
}
