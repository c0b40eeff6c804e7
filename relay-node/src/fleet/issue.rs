//! `edgerelay issue`.

use std::time::Duration;

use super::{Answer, FleetError, Reach};
use crate::cluster::contract::IssueRequest;
use crate::cluster::contract::credentials_client::CredentialsClient;
use crate::ice_servers::{IceServers, TimedCredential};

/// Whose credential.
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    /// Who the credential is for.
    #[arg(long, value_name = "NAME")]
    user: String,
    /// Whose user that is.
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    tenant: String,
    /// How long allocations can be made with it; without one, as the fleet's configuration says.
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    ttl: Option<Duration>,
    /// The client goes where a 300 (Try Alternate) sends it, whatever it looks like.
    #[arg(long)]
    follows_redirects: bool,
    /// Where the client is: nodes of this zone come first.
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    zone: String,
    #[command(flatten)]
    reach: Reach,
}

/// The value of `iceServers` for people who paste it, and with what belongs to it for programs.
pub(super) async fn run(arguments: Args) -> Result<Answer, FleetError> {
    let Args { user, tenant, ttl, follows_redirects, zone, reach } = arguments;
    let mut credentials = CredentialsClient::new(reach.connect().await?);
    // 0 would be what the configuration says.
    let seconds = ttl.map_or(0, |ttl| ttl.as_secs().max(1));
    let ttl_seconds = u32::try_from(seconds).unwrap_or(u32::MAX);
    let request = IssueRequest { user, tenant, ttl_seconds, follows_redirects, zone };
    let told = credentials.issue(request).await?.into_inner();
    let urls = told.ice_servers.iter().flat_map(|server| server.urls.clone()).collect();
    let credential = TimedCredential { username: told.username.clone(), password: told.password.clone() };
    Ok(Answer::new(reach.output, IceServers::new(urls, credential), &told))
}
