//! What every call goes through before anything of it is read: who calls, whether it may, and how much goes on.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::response::Response;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tonic::Status;

use super::callers::{Caller, Callers, Unwelcome};
use crate::cluster::issuing::Strangers;

/// Calls at a time; of those that answer with a stream, until that begins.
const CALLS: usize = 256;
/// For a call, or for the beginning of its stream.
const DEADLINE: Duration = Duration::from_secs(30);

struct Gate {
    callers: Callers,
    calls: Semaphore,
    strangers: Strangers,
}

/// Lets those in to `services` that `callers` names. Each call then has its [`Admitted`](super::Admitted) caller as
/// an extension.
pub(super) fn guard(services: Router, callers: Callers) -> Router {
    let gate = Gate { callers, calls: Semaphore::new(CALLS), strangers: Strangers::default() };
    services.layer(middleware::from_fn_with_state(Arc::new(gate), admit))
}

async fn admit(State(gate): State<Arc<Gate>>, mut request: Request, next: Next) -> Response {
    let Some(caller) = request.extensions().get::<Caller>().cloned() else {
        return refused(Status::unauthenticated("it is not known who calls"));
    };
    let admitted = match gate.callers.admit(&caller, request.uri().path()) {
        Ok(admitted) => admitted,
        Err(unwelcome) => return turned_away(&gate, &caller, &unwelcome),
    };
    let Ok(_place) = gate.calls.try_acquire() else {
        let why = format!("{CALLS} calls are being answered already; call again, or another node");
        return refused(Status::resource_exhausted(why));
    };
    request.extensions_mut().insert(admitted);
    match timeout(DEADLINE, next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            refused(Status::deadline_exceeded(format!("it took more than {} seconds", DEADLINE.as_secs())))
        }
    }
}

fn turned_away(gate: &Gate, caller: &Caller, unwelcome: &Unwelcome) -> Response {
    match unwelcome {
        Unwelcome::NotAllowed { name, rpc, .. } => {
            tracing::warn!(caller = %name, from = %caller.address(), rpc, "a call was refused: it may not");
            refused(Status::permission_denied(unwelcome.to_string()))
        }
        Unwelcome::Unknown { .. } => {
            gate.strangers.note(caller.address(), "grpc");
            refused(Status::permission_denied(unwelcome.to_string()))
        }
        Unwelcome::NoSuchCall => refused(Status::unimplemented(unwelcome.to_string())),
    }
}

fn refused(status: Status) -> Response {
    status.into_http::<Body>()
}
