//! `edgerelay end`.

use clap::ArgGroup;

use super::sessions::Which;
use super::{Answer, FleetError, Reach};
use crate::cluster::contract::EndSessionsRequest;
use crate::cluster::contract::fleet_client::FleetClient;

/// Which sessions: at least one thing has to be said of them.
#[derive(clap::Args, Clone, Debug)]
#[command(group = ArgGroup::new("which").required(true).multiple(true).args(["node", "tenant", "user", "id"]))]
pub struct Args {
    #[command(flatten)]
    reach: Reach,
    #[command(flatten)]
    which: Which,
}

pub(super) async fn run(Args { reach, which }: Args) -> Result<Answer, FleetError> {
    let mut fleet = FleetClient::new(reach.connect().await?);
    let request = EndSessionsRequest { filter: Some(which.filter()) };
    let told = fleet.end_sessions(request).await?.into_inner();
    let sentence = match told.ended {
        1 => "1 session has ended".to_owned(),
        ended => format!("{ended} sessions have ended"),
    };
    let unreached = told.unreached.join("; ");
    let why =
        if unreached.is_empty() { unreached } else { format!("not every node was reached: {unreached}") };
    Ok(Answer::new(reach.output, sentence, &told).unless(why))
}
