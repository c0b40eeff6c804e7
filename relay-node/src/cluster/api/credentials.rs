//! The `Credentials` service.

use std::time::Duration;

use tonic::{Request, Response, Status};
use turn::UnixSeconds;

use super::callers::Admitted;
use crate::cluster::Context;
use crate::cluster::contract::credentials_server::Credentials;
use crate::cluster::contract::{
    IceServer, IssueRequest, IssueResponse, RestoreRequest, RestoreResponse, RevokeRequest, RevokeResponse,
    User, restore_request, revoke_request,
};
use crate::cluster::issuing::{Desk, Issued, Refusal, Wish, name_of};
use crate::cluster::revocation::list::{Full, Whom};
use crate::cluster::revocation::{self, Heard};

/// Bytes that a username has at most (RFC 8489 section 14.3).
const LONGEST_NAME: usize = 508;

/// Gives credentials and takes them back.
pub(super) struct Service {
    pub(super) context: Context,
    pub(super) desk: Desk,
}

#[tonic::async_trait]
impl Credentials for Service {
    async fn issue(&self, request: Request<IssueRequest>) -> Result<Response<IssueResponse>, Status> {
        let caller = caller(&request)?;
        let IssueRequest { user, tenant, ttl_seconds, follows_redirects: follows, zone } =
            request.into_inner();
        let ttl = Some(Duration::from_secs(ttl_seconds.into()));
        let Issued { urls, credential, ttl } =
            self.desk.issue(&caller, &Wish { user, tenant, ttl, follows, zone }).map_err(status)?;
        let (username, password) = (credential.username, credential.password);
        let server = IceServer { urls, username: username.clone(), credential: password.clone() };
        let ttl_seconds = u32::try_from(ttl.as_secs()).unwrap_or(u32::MAX);
        Ok(Response::new(IssueResponse { ice_servers: vec![server], ttl_seconds, username, password }))
    }

    async fn revoke(&self, request: Request<RevokeRequest>) -> Result<Response<RevokeResponse>, Status> {
        let caller = caller(&request)?;
        let whom = match request.into_inner().whom.ok_or_else(nobody)? {
            revoke_request::Whom::User(user) => of_user(&user)?,
            revoke_request::Whom::Username(name) => of_name(name)?,
        };
        let (complete, incomplete_because) = self.say(&caller, whom, true).await?;
        Ok(Response::new(RevokeResponse { complete, incomplete_because }))
    }

    async fn restore(&self, request: Request<RestoreRequest>) -> Result<Response<RestoreResponse>, Status> {
        let caller = caller(&request)?;
        let whom = match request.into_inner().whom.ok_or_else(nobody)? {
            restore_request::Whom::User(user) => of_user(&user)?,
            restore_request::Whom::Username(name) => of_name(name)?,
        };
        let (complete, incomplete_because) = self.say(&caller, whom, false).await?;
        Ok(Response::new(RestoreResponse { complete, incomplete_because }))
    }
}

impl Service {
    async fn say(&self, caller: &Admitted, whom: Whom, revoked: bool) -> Result<(bool, String), Status> {
        let Admitted { name, address } = caller;
        let what = if revoked { "revoked" } else { "restored" };
        let said = if revoked {
            revocation::revoke(&self.context, whom.clone(), now()).await
        } else {
            revocation::restore(&self.context, whom.clone(), now()).await
        };
        let heard = said.map_err(|full: Full| {
            tracing::warn!(caller = %name, from = %address, %whom, "nothing more can be {what}: {full}");
            Status::resource_exhausted(full.to_string())
        })?;
        let (complete, because) = match heard {
            Heard::ByAll => (true, String::new()),
            Heard::HereOnly { because } => (false, because),
        };
        tracing::info!(caller = %name, from = %address, %whom, complete, "{what}");
        Ok((complete, because))
    }
}

/// Who calls: nobody comes here without having been admitted.
pub(super) fn caller<T>(request: &Request<T>) -> Result<Admitted, Status> {
    let admitted = request.extensions().get::<Admitted>().cloned();
    admitted.ok_or_else(|| Status::unauthenticated("it is not known who calls"))
}

fn status(refusal: Refusal) -> Status {
    let why = refusal.to_string();
    match refusal {
        Refusal::NoUser | Refusal::TooLong { .. } | Refusal::Character { .. } => {
            Status::invalid_argument(why)
        }
        Refusal::TooOften { .. } => Status::resource_exhausted(why),
        Refusal::Revoked => Status::failed_precondition(why),
        Refusal::NoSecret | Refusal::NoUrl => Status::unavailable(why),
    }
}

fn of_user(User { tenant, user }: &User) -> Result<Whom, Status> {
    name_of(tenant, user).map(Whom::User).map_err(status)
}

fn of_name(name: String) -> Result<Whom, Status> {
    let is_timed =
        name.split_once(':').is_some_and(|(time, _)| time.starts_with(|c: char| c.is_ascii_digit()));
    if is_timed && name.len() <= LONGEST_NAME {
        Ok(Whom::Username(name))
    } else {
        let why = "this is no name of a time-limited credential; write it as it was issued, such as 1800000000:alice";
        Err(Status::invalid_argument(why))
    }
}

fn nobody() -> Status {
    Status::invalid_argument("nobody is named; name a user, or one username")
}

fn now() -> UnixSeconds {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    UnixSeconds::new(since.as_secs())
}
