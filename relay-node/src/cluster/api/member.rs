//! The `Member` service: what other nodes ask of this one.

use tonic::{Request, Response, Status};

use super::own::Own;
use crate::cluster::contract::member_server::Member;
use crate::cluster::contract::{
    DrainRequest, DrainResponse, EndSessionsRequest, EndSessionsResponse, UndrainRequest, UndrainResponse,
};

/// Does it to this node alone.
pub(super) struct Service {
    pub(super) own: Own,
}

#[tonic::async_trait]
impl Member for Service {
    async fn drain_self(&self, request: Request<DrainRequest>) -> Result<Response<DrainResponse>, Status> {
        let DrainRequest { node, deadline_seconds } = request.into_inner();
        self.is_meant(&node)?;
        Ok(Response::new(self.own.drain(deadline_seconds).await?))
    }

    async fn undrain_self(
        &self,
        request: Request<UndrainRequest>,
    ) -> Result<Response<UndrainResponse>, Status> {
        self.is_meant(&request.into_inner().node)?;
        self.own.undrain().await?;
        Ok(Response::new(UndrainResponse {}))
    }

    async fn end_own_sessions(
        &self,
        request: Request<EndSessionsRequest>,
    ) -> Result<Response<EndSessionsResponse>, Status> {
        let filter = request.into_inner().filter.unwrap_or_default();
        self.is_meant(&filter.node)?;
        let ended = self.own.end(filter).await?;
        Ok(Response::new(EndSessionsResponse { ended, unreached: Vec::new() }))
    }
}

impl Service {
    /// Who has an address may have got it from a node that had it before.
    fn is_meant(&self, node: &str) -> Result<(), Status> {
        if !node.is_empty() && self.own.is(node) {
            return Ok(());
        }
        Err(Status::failed_precondition("another node has this address now; ask again in some seconds"))
    }
}
