//! Credentials by HTTPS: `POST /v1/credentials` with JSON, and the request that applications of other relays know,
//! `GET /?service=turn&username=USER&ttl=SECONDS`.

mod question;
mod tokens;

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, Uri, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use serde::Serialize;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::desk::Desk;
use super::wish::{Issued, Refusal};
use crate::cluster::api::{Admitted, Caller};
use crate::config::Https;
use crate::ice_servers::IceServers;
use question::Malformed;
use tokens::Tokens;

/// Bytes that the body of a request may have.
const BODY: usize = 4 * 1024;
/// For the whole of a request, once its head is there.
const DEADLINE: Duration = Duration::from_secs(5);
/// Requests at a time.
const REQUESTS: usize = 256;
/// Passwords are for who asked, and for once.
const NO_STORE: [(HeaderName, HeaderValue); 1] =
    [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];

/// What is looked at before a request is answered.
struct Gate {
    tokens: Tokens,
    issuers: Vec<String>,
    requests: Semaphore,
    strangers: super::Strangers,
}

/// Why there is no credential.
enum Fault {
    Stranger,
    Malformed(Malformed),
    Refused(Refusal),
    Body(BytesRejection),
    Busy,
    Slow,
    NoSuchPage,
    NoSuchMethod,
}

/// What goes with `POST /v1/credentials`: the value of an RTCConfiguration, and for how long it is good.
#[derive(Serialize)]
struct Answer {
    #[serde(flatten)]
    servers: IceServers,
    ttl: u64,
}

/// What the classic request is answered.
#[derive(Serialize)]
struct ClassicAnswer {
    username: String,
    password: String,
    ttl: u64,
    uris: Vec<String>,
}

#[derive(Serialize)]
struct Sentence {
    error: String,
}

/// The pages, for callers that `https` names.
pub fn pages(https: &Https, desk: Desk) -> Router {
    let gate = Arc::new(Gate {
        tokens: Tokens::new(&https.tokens),
        issuers: https.issuers.clone(),
        requests: Semaphore::new(REQUESTS),
        strangers: super::Strangers::default(),
    });
    let no_such_method = || async { Fault::NoSuchMethod };
    Router::new()
        .route("/v1/credentials", post(credentials).fallback(no_such_method))
        .route("/", get(classic).fallback(no_such_method))
        .fallback(|| async { Fault::NoSuchPage })
        .with_state(desk)
        .layer(DefaultBodyLimit::max(BODY))
        .layer(middleware::from_fn_with_state(gate, admit))
}

/// Nobody gets anything, not even told that a page is missing, before it is known who asks.
async fn admit(State(gate): State<Arc<Gate>>, mut request: Request, next: Next) -> Result<Response, Fault> {
    let Some(caller) = request.extensions().get::<Caller>().cloned() else { return Err(Fault::Stranger) };
    let token =
        request.headers().get(header::AUTHORIZATION).and_then(|value| gate.tokens.known(value.as_bytes()));
    let name = match (token, caller.known_as(&gate.issuers)) {
        (Some(number), _) => format!("token {number}"),
        (None, Some(name)) => name.to_owned(),
        (None, None) => {
            gate.strangers.note(caller.address(), "https");
            return Err(Fault::Stranger);
        }
    };
    caller.prove();
    let _place = gate.requests.try_acquire().map_err(|_| Fault::Busy)?;
    request.extensions_mut().insert(Admitted { name: name.into(), address: caller.address() });
    timeout(DEADLINE, next.run(request)).await.map_err(|_| Fault::Slow)
}

async fn credentials(
    State(desk): State<Desk>,
    Extension(caller): Extension<Admitted>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Fault> {
    let wish = question::of_json(&body?)?;
    let Issued { urls, credential, ttl } = desk.issue(&caller, &wish)?;
    let answer = Answer { servers: IceServers::new(urls, credential), ttl: ttl.as_secs() };
    Ok((NO_STORE, Json(answer)).into_response())
}

async fn classic(
    State(desk): State<Desk>,
    Extension(caller): Extension<Admitted>,
    uri: Uri,
) -> Result<Response, Fault> {
    let wish = question::of_query(uri.query().unwrap_or_default())?;
    let Issued { urls, credential, ttl } = desk.issue(&caller, &wish)?;
    let answer = ClassicAnswer {
        username: credential.username,
        password: credential.password,
        ttl: ttl.as_secs(),
        uris: urls,
    };
    Ok((NO_STORE, Json(answer)).into_response())
}

impl From<Malformed> for Fault {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(malformed)
    }
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<BytesRejection> for Fault {
    fn from(rejection: BytesRejection) -> Self {
        Self::Body(rejection)
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let (code, error) = match &self {
            Self::Stranger => (
                StatusCode::UNAUTHORIZED,
                "it is not known who asks: send `Authorization: Bearer TOKEN` with a token of cluster.https, or show a \
                 client certificate with a name in cluster.https.issuers"
                    .to_owned(),
            ),
            Self::Malformed(malformed) => (StatusCode::BAD_REQUEST, malformed.to_string()),
            Self::Refused(refusal) => (code(refusal), refusal.to_string()),
            Self::Body(rejection) => {
                (rejection.status(), format!("the body could not be read: at most {BODY} bytes are taken"))
            }
            Self::Busy => (
                StatusCode::SERVICE_UNAVAILABLE,
                format!("{REQUESTS} requests are being answered already; ask again, or another node"),
            ),
            Self::Slow => (
                StatusCode::REQUEST_TIMEOUT,
                format!("the request was not there within {} seconds", DEADLINE.as_secs()),
            ),
            Self::NoSuchPage => (
                StatusCode::NOT_FOUND,
                "there is no such page: POST to /v1/credentials, or GET /?service=turn&username=USER".to_owned(),
            ),
            Self::NoSuchMethod => (
                StatusCode::METHOD_NOT_ALLOWED,
                "this page is asked otherwise: POST to /v1/credentials, or GET /?service=turn&username=USER".to_owned(),
            ),
        };
        let mut response = (code, NO_STORE, Json(Sentence { error })).into_response();
        let headers = response.headers_mut();
        match self {
            // Each guess costs a handshake.
            Self::Stranger => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
                headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            Self::Slow => _ = headers.insert(header::CONNECTION, HeaderValue::from_static("close")),
            Self::Refused(Refusal::TooOften { .. }) => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            }
            _ => {}
        }
        response
    }
}

fn code(refusal: &Refusal) -> StatusCode {
    match refusal {
        Refusal::NoUser | Refusal::TooLong { .. } | Refusal::Character { .. } => StatusCode::BAD_REQUEST,
        Refusal::TooOften { .. } => StatusCode::TOO_MANY_REQUESTS,
        Refusal::Revoked => StatusCode::FORBIDDEN,
        Refusal::NoSecret | Refusal::NoUrl => StatusCode::SERVICE_UNAVAILABLE,
    }
}
