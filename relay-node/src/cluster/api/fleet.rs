//! The `Fleet` service: any node answers for all of them.

mod others;
mod told;

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt as _};
use tonic::{Request, Response, Status};

use super::credentials::caller;
use super::own::{Own, no_id};
use crate::cluster::Context;
use crate::cluster::allocations::{self, Filter, Name};
use crate::cluster::contract::fleet_server::Fleet;
use crate::cluster::contract::{
    DrainRequest, DrainResponse, EndSessionsRequest, EndSessionsResponse, ListNodesRequest,
    ListNodesResponse, ListSessionsRequest, ListUsageRequest, Load, Session, SessionFilter, UndrainRequest,
    UndrainResponse, Usage, WatchLoadRequest,
};
use crate::cluster::link::Away;
use crate::cluster::usage::Accounts;
use others::Others;

/// How often the load is told.
const WATCH: Duration = Duration::from_secs(1);

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// Answers for the fleet.
pub(super) struct Service {
    context: Context,
    own: Own,
    others: Others,
}

impl Service {
    pub(super) fn new(context: Context, own: Own) -> Self {
        let others = Others::new(context.clone());
        Self { context, own, others }
    }
}

#[tonic::async_trait]
impl Fleet for Service {
    type WatchLoadStream = Answers<Load>;
    type ListSessionsStream = Answers<Session>;
    type ListUsageStream = Answers<Usage>;

    async fn list_nodes(&self, _: Request<ListNodesRequest>) -> Result<Response<ListNodesResponse>, Status> {
        let (entries, incomplete_because) = self.others.all().await;
        let nodes = entries.iter().map(told::node).collect();
        Ok(Response::new(ListNodesResponse { nodes, incomplete_because }))
    }

    async fn watch_load(
        &self,
        _: Request<WatchLoadRequest>,
    ) -> Result<Response<Self::WatchLoadStream>, Status> {
        let (sender, loads) = tokio::sync::mpsc::channel(1);
        let node = Arc::clone(&self.context.node);
        tokio::spawn(async move {
            let mut ticks = interval(WATCH);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                if sender.send(Ok(told::load(&node.load()))).await.is_err() {
                    return;
                }
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(loads))))
    }

    async fn list_sessions(
        &self,
        request: Request<ListSessionsRequest>,
    ) -> Result<Response<Self::ListSessionsStream>, Status> {
        let ListSessionsRequest { filter, limit } = request.into_inner();
        let SessionFilter { node, tenant, user, id } = filter.unwrap_or_default();
        let id = some(id).map(|id| Name::parse(&id).ok_or_else(no_id)).transpose()?;
        let filter = Filter { id, tenant: some(tenant), user: some(user) };
        let (nodes, incomplete) = match some(node) {
            Some(node) => (vec![node], String::new()),
            None => {
                let (entries, incomplete) = self.others.all().await;
                (entries.iter().map(|entry| entry.name.to_string()).collect(), incomplete)
            }
        };
        let most = if limit == 0 { usize::MAX } else { limit as usize };
        let sessions = ReceiverStream::new(allocations::list(&self.context, nodes, filter)).take(most);
        let sessions = sessions.map(|session| session.map(told::session).map_err(|away| away_status(&away)));
        let missing = (!incomplete.is_empty()).then(|| Err(Status::unavailable(incomplete)));
        Ok(Response::new(Box::pin(sessions.chain(tokio_stream::iter(missing)))))
    }

    async fn end_sessions(
        &self,
        request: Request<EndSessionsRequest>,
    ) -> Result<Response<EndSessionsResponse>, Status> {
        let caller = caller(&request)?;
        let filter = request.into_inner().filter.unwrap_or_default();
        if filter == SessionFilter::default() {
            let why =
                "nothing is said of the sessions that are to end; name a node, a tenant, a user or an id";
            return Err(Status::invalid_argument(why));
        }
        let mut told = EndSessionsResponse::default();
        if self.own.is(&filter.node) {
            told.ended += self.own.end(filter.clone()).await?;
        }
        if filter.node.is_empty() {
            let others = self.others.end(&filter).await;
            told.ended += others.ended;
            told.unreached = others.unreached;
        } else if !self.own.is(&filter.node) {
            told = self.others.end_at(&filter).await?;
        }
        let (ended, unreached) = (told.ended, told.unreached.len());
        tracing::info!(caller = %caller.name, from = %caller.address, ended, unreached, "sessions ended by command");
        Ok(Response::new(told))
    }

    async fn drain(&self, request: Request<DrainRequest>) -> Result<Response<DrainResponse>, Status> {
        let caller = caller(&request)?;
        let request = request.into_inner();
        let node = request.node.escape_debug().to_string();
        tracing::info!(caller = %caller.name, from = %caller.address, node, "drain by command");
        let told = if self.own.is(&request.node) {
            self.own.drain(request.deadline_seconds).await?
        } else {
            let mut member = self.others.member(&request.node).await?;
            member.drain_self(request).await?.into_inner()
        };
        Ok(Response::new(told))
    }

    async fn undrain(&self, request: Request<UndrainRequest>) -> Result<Response<UndrainResponse>, Status> {
        let caller = caller(&request)?;
        let request = request.into_inner();
        let node = request.node.escape_debug().to_string();
        tracing::info!(caller = %caller.name, from = %caller.address, node, "undrain by command");
        if self.own.is(&request.node) {
            self.own.undrain().await?;
        } else {
            self.others.member(&request.node).await?.undrain_self(request).await?;
        }
        Ok(Response::new(UndrainResponse {}))
    }

    async fn list_usage(
        &self,
        request: Request<ListUsageRequest>,
    ) -> Result<Response<Self::ListUsageStream>, Status> {
        let ListUsageRequest { tenant, user } = request.into_inner();
        let filter = Filter { id: None, tenant: some(tenant), user: some(user) };
        let usage = ReceiverStream::new(Accounts::of(&self.context).list(filter));
        let usage =
            usage.map(|usage| usage.map(|usage| told::usage(&usage)).map_err(|away| away_status(&away)));
        Ok(Response::new(Box::pin(usage)))
    }
}

/// What is empty fits all.
fn some(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

fn away_status(away: &Away) -> Status {
    Status::unavailable(format!(
        "{away}, and what was told before is not all; `edgerelay nodes` tells what is in the way"
    ))
}
