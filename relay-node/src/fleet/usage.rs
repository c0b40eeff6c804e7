//! `edgerelay usage`.

use std::time::Duration;

use super::{Answer, FleetError, Reach};
use crate::cluster::contract::fleet_client::FleetClient;
use crate::cluster::contract::{ListUsageRequest, Usage};

/// Whose usage.
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    /// Of this tenant's users.
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
    /// Of this user.
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    #[command(flatten)]
    reach: Reach,
}

const COLUMNS: &[&str] =
    &["TENANT", "USER", "ALLOCATIONS", "LIVE", "BYTES TO PEERS", "BYTES TO CLIENT", "RELAYED FOR"];

pub(super) async fn run(Args { tenant, user, reach }: Args) -> Result<Answer, FleetError> {
    let mut fleet = FleetClient::new(reach.connect().await?);
    let request = ListUsageRequest { tenant: tenant.unwrap_or_default(), user: user.unwrap_or_default() };
    let mut told = fleet.list_usage(request).await?.into_inner();
    let mut users = Vec::new();
    while let Some(usage) = told.message().await? {
        users.push(usage);
    }
    Ok(Answer::table(reach.output, COLUMNS, &users, cells))
}

fn cells(usage: &Usage) -> Vec<String> {
    vec![
        usage.tenant.clone(),
        usage.user.clone(),
        usage.allocations.to_string(),
        usage.live_allocations.to_string(),
        usage.bytes_to_peers.to_string(),
        usage.bytes_to_client.to_string(),
        humantime::format_duration(Duration::from_secs(usage.seconds)).to_string(),
    ]
}
