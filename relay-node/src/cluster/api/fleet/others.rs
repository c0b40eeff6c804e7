//! The other nodes of the fleet: found by the registry, asked by gRPC. None of them asks another one.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::timeout;
use tonic::Status;
use tonic::transport::Channel;

use crate::cluster::Context;
use crate::cluster::api::dial;
use crate::cluster::contract::member_client::MemberClient;
use crate::cluster::contract::{EndSessionsRequest, EndSessionsResponse, SessionFilter};
use crate::cluster::link::Away;
use crate::cluster::registry::entry::{Entry, NodeName};

/// Nodes that are asked at a time.
const AT_ONCE: usize = 32;
/// For one node's answer, with its connection.
const PATIENCE: Duration = Duration::from_secs(8);

/// The other nodes.
#[derive(Clone)]
pub(super) struct Others {
    context: Context,
}

impl Others {
    pub(super) fn new(context: Context) -> Self {
        Self { context }
    }

    /// All nodes, this one among them, and why that may not be all; without Redis those that this one knows.
    pub(super) async fn all(&self) -> (Vec<Entry>, String) {
        match self.context.directory.all().await {
            Ok(all) => (all, String::new()),
            Err(away) => {
                let mut known: Vec<Entry> =
                    self.context.directory.known().iter().map(|entry| Entry::clone(entry)).collect();
                known.sort_by(|one, other| one.name.cmp(&other.name));
                (known, format!("only nodes that this one knew are told of: {}", self.why(&away)))
            }
        }
    }

    /// The way to the node of that name.
    pub(super) async fn member(&self, node: &str) -> Result<MemberClient<Channel>, Status> {
        let name = NodeName::new(node).ok_or_else(|| {
            Status::invalid_argument("this is no name of a node; `edgerelay nodes` tells them")
        })?;
        let known = || self.context.directory.known().into_iter().find(|entry| entry.name == name);
        let entry = match self.context.directory.find(&name).await {
            Ok(entry) => entry,
            Err(away) => Some(known().ok_or_else(|| Status::unavailable(self.why(&away)))?.as_ref().clone()),
        };
        let nobody =
            || Status::not_found(format!("there is no node {name}; `edgerelay nodes` tells who is there"));
        self.call(&entry.ok_or_else(nobody)?).await
    }

    /// Has the one node that `filter` names end what it means.
    pub(super) async fn end_at(&self, filter: &SessionFilter) -> Result<EndSessionsResponse, Status> {
        let request = EndSessionsRequest { filter: Some(filter.clone()) };
        Ok(self.member(&filter.node).await?.end_own_sessions(request).await?.into_inner())
    }

    /// Has all other nodes end what `filter` means, some at a time.
    pub(super) async fn end(&self, filter: &SessionFilter) -> EndSessionsResponse {
        let (entries, incomplete) = self.all().await;
        let mut told = EndSessionsResponse::default();
        if !incomplete.is_empty() {
            told.unreached.push(incomplete);
        }
        let own = &self.context.config.node;
        let mut left = entries.into_iter().filter(|entry| entry.name.as_str() != own);
        let mut asked = JoinSet::new();
        loop {
            while asked.len() < AT_ONCE
                && let Some(entry) = left.next()
            {
                let (others, filter) = (self.clone(), filter.clone());
                asked.spawn(async move { others.end_one(&entry, filter).await });
            }
            match asked.join_next().await {
                Some(Ok(Ok(ended))) => told.ended += ended,
                Some(Ok(Err(unreached))) => told.unreached.push(unreached),
                Some(Err(_)) => told.unreached.push("a node could not be asked".to_owned()),
                None => return told,
            }
        }
    }

    async fn end_one(&self, entry: &Entry, filter: SessionFilter) -> Result<u64, String> {
        let name = &entry.name;
        let filter = SessionFilter { node: name.to_string(), ..filter };
        let asked = async {
            let mut member = self.call(entry).await?;
            member.end_own_sessions(EndSessionsRequest { filter: Some(filter) }).await
        };
        match timeout(PATIENCE, asked).await {
            Ok(Ok(told)) => Ok(told.into_inner().ended),
            Ok(Err(status)) => Err(format!("{name} ({})", status.message())),
            Err(_) => Err(format!("{name} (it does not answer)")),
        }
    }

    async fn call(&self, entry: &Entry) -> Result<MemberClient<Channel>, Status> {
        let grpc = self.context.config.grpc.as_ref().zip(entry.internal);
        let (grpc, address) = grpc.ok_or_else(|| {
            Status::failed_precondition(format!("{} has no [cluster.grpc] to be called by", entry.name))
        })?;
        let channel =
            dial(&address.to_string(), &self.context.config.fleet, &grpc.identity, &grpc.ca_file).await;
        channel.map(MemberClient::new).map_err(|error| Status::unavailable(error.to_string()))
    }

    fn why(&self, away: &Away) -> String {
        let state = self.context.link.state().borrow().clone();
        if state.why.is_empty() { away.to_string() } else { state.why }
    }
}
