//! What a node does to itself when it is told to, by an operator or through another node.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;
use tonic::Status;
use turn::Session;

use crate::cluster::allocations::Name;
use crate::cluster::contract::{DrainResponse, SessionFilter};
use crate::cluster::{Context, Order};

/// How long the control loop may take to hear of an order.
const PATIENCE: Duration = Duration::from_secs(10);

/// This node, as those see it who command it.
#[derive(Clone)]
pub(super) struct Own {
    context: Context,
}

impl Own {
    pub(super) fn new(context: Context) -> Self {
        Self { context }
    }

    /// Whether a call for `node` is for this one.
    pub(super) fn is(&self, node: &str) -> bool {
        node.is_empty() || node == self.context.config.node
    }

    /// Takes no new calls from now on, and ends old ones after `deadline_seconds`, or when the configuration says.
    pub(super) async fn drain(&self, deadline_seconds: u32) -> Result<DrainResponse, Status> {
        let deadline = (deadline_seconds != 0).then(|| Duration::from_secs(deadline_seconds.into()));
        let (done, told) = oneshot::channel();
        let allocations = self.order(Order::Drain { deadline, done }, told).await?;
        Ok(DrainResponse { allocations })
    }

    /// Takes new calls again.
    pub(super) async fn undrain(&self) -> Result<(), Status> {
        let (done, told) = oneshot::channel();
        self.order(Order::Undrain { done }, told).await
    }

    /// Ends what `filter` means of this node's own, and tells how many that were.
    pub(super) async fn end(&self, filter: SessionFilter) -> Result<u64, Status> {
        let SessionFilter { tenant, user, id, .. } = filter;
        let seal = self.context.seal.clone();
        let id = if id.is_empty() { None } else { Some(Name::parse(&id).ok_or_else(no_id)?) };
        let is_meant = move |session: &Session<'_>| {
            let whose = session.user;
            (tenant.is_empty() || whose.tenant() == Some(&tenant))
                && (user.is_empty() || whose.user() == user)
                && id.is_none_or(|id| Name::of(&seal, session.five_tuple, session.created) == id)
        };
        Ok(self.context.node.end(Arc::new(is_meant)).await)
    }

    async fn order<T>(&self, order: Order, told: oneshot::Receiver<T>) -> Result<T, Status> {
        let ordered = async {
            self.context.orders.send(order).await.ok()?;
            told.await.ok()
        };
        match timeout(PATIENCE, ordered).await {
            Ok(Some(told)) => Ok(told),
            Ok(None) => Err(Status::unavailable("the node is ending")),
            Err(_) => Err(Status::deadline_exceeded(
                "the node has not done it yet; `edgerelay nodes` tells whether it has",
            )),
        }
    }
}

pub(super) fn no_id() -> Status {
    Status::invalid_argument("this is no id of a session; `edgerelay sessions` tells them")
}
