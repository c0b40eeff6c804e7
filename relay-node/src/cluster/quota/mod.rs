//! Quotas over the fleet: a user's allocations on all nodes together.
//!
//! Redis has a hash for each user, with a share for each node: how many allocations the user has there. A question of a
//! worker is answered by a step in Redis that adds up the shares ([`script`]), and the [`Desk`] sees to it that each has an
//! answer in time: Redis's, or, where that is late or away, that the node's own limit, which the Allocate has passed, is
//! all there is. What changes without a question, such as an allocation's end, is written behind, and every share is
//! renewed as long as it lasts. Numbers are absolute, so that one which was lost is put right by the next.

mod desk;
mod script;
mod shares;

use std::sync::Arc;
use std::time::Duration;

use super::Context;
use super::registry::entry::{Life, NodeName};

pub use desk::{Desk, Relay};

/// A client waits for Redis no longer than this, and its worker for the desk.
const PATIENCE: Duration = Duration::from_millis(100);

/// Answers the questions of this node's workers until the fleet's part ends.
pub(super) async fn serve(context: Context) {
    let (Some(questions), Some(name)) = (context.node.take_questions(), NodeName::new(&context.config.node))
    else {
        return;
    };
    let desk = Desk::new(
        &context.link,
        PATIENCE,
        context.seal.clone(),
        &name,
        Life::begin(context.incarnation),
        Arc::clone(&context.node),
    );
    desk.run(questions, context.ended()).await;
}
