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
use super::own::Own;
use crate::cluster::Context;
use crate::cluster::contract::fleet_server::Fleet;
use crate::cluster::contract::{
    DrainRequest, DrainResponse, EndSessionsRequest, EndSessionsResponse, ListNodesRequest, ListNodesResponse,
    ListSessionsRequest, ListUsageRequest, Load, Session, SessionFilter, UndrainRequest, UndrainResponse, Usage,
    WatchLoadRequest,
};
use crate::cluster::registry::Directory;
use others::Others;

/// How often the load is told.
const WATCH: Duration = Duration::from_secs(1);

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// Answers for the fleet.
pub(super) struct Service {
    context: Context,
    directory: Arc<Directory>,
    own: Own,
    others: Others,
}

impl Service {
    pub(super) fn new(context: Context, directory: Arc<Directory>, own: Own) -> Self {
        let others = Others::new(context.clone(), Arc::clone(&directory));
        Self { context, directory, own, others }
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
        todo!()
    }

    async fn end_sessions(
        &self,
        request: Request<EndSessionsRequest>,
    ) -> Result<Response<EndSessionsResponse>, Status> {
        let caller = caller(&request)?;
        let filter = request.into_inner().filter.unwrap_or_default();
        if filter == SessionFilter::default() {
            let why = "nothing is said of the sessions that are to end; name a node, a tenant, a user or an id";
            return Err(Status::invalid_argument(why));
        }
        let mut told = EndSessionsResponse::default();
        if self.own.is(&filter.node) {
            told.ended += self.own.end(filter.clone()).await;
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
        todo!()
    }
}
