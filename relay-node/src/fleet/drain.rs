//! `edgerelay drain` and `edgerelay undrain`.

use std::time::Duration;

use super::{Answer, FleetError, Reach};
use crate::cluster::contract::fleet_client::FleetClient;
use crate::cluster::contract::{DrainRequest, UndrainRequest};

/// Which node is to drain, and until when.
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    /// The node, as `edgerelay nodes` tells; without one, the node that is asked.
    #[arg(value_name = "NODE", default_value = "", hide_default_value = true)]
    node: String,
    /// When what still lives is ended; without one, when its configuration says.
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    deadline: Option<Duration>,
    #[command(flatten)]
    reach: Reach,
}

/// Which node is to take calls again.
#[derive(clap::Args, Clone, Debug)]
pub struct BackArgs {
    /// The node, as `edgerelay nodes` tells; without one, the node that is asked.
    #[arg(value_name = "NODE", default_value = "", hide_default_value = true)]
    node: String,
    #[command(flatten)]
    reach: Reach,
}

pub(super) async fn run(Args { node, deadline, reach }: Args) -> Result<Answer, FleetError> {
    let mut fleet = FleetClient::new(reach.connect().await?);
    // 0 would be what the configuration says.
    let seconds = deadline.map_or(0, |deadline| deadline.as_secs().max(1));
    let deadline_seconds = u32::try_from(seconds).unwrap_or(u32::MAX);
    let told = fleet.drain(DrainRequest { node: node.clone(), deadline_seconds }).await?.into_inner();
    let sentence = format!("{} takes no new calls and still serves {}", named(&node), told.allocations);
    Ok(Answer::new(reach.output, sentence, &told))
}

pub(super) async fn back(BackArgs { node, reach }: BackArgs) -> Result<Answer, FleetError> {
    let mut fleet = FleetClient::new(reach.connect().await?);
    let told = fleet.undrain(UndrainRequest { node: node.clone() }).await?.into_inner();
    Ok(Answer::new(reach.output, format!("{} takes new calls again", named(&node)), &told))
}

fn named(node: &str) -> &str {
    if node.is_empty() { "the node" } else { node }
}
