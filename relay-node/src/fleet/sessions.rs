//! `edgerelay sessions`.

use std::time::Duration;

use super::{Answer, FleetError, Reach};
use crate::cluster::contract::fleet_client::FleetClient;
use crate::cluster::contract::{ListSessionsRequest, Session, SessionFilter};

/// Which sessions.
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    #[command(flatten)]
    reach: Reach,
    #[command(flatten)]
    which: Which,
    /// How many at most; 0 for all.
    #[arg(long, value_name = "COUNT", default_value_t = 1000)]
    limit: u32,
}

/// Which sessions: what is given has to fit.
#[derive(clap::Args, Clone, Debug, Default)]
pub(super) struct Which {
    /// Of this node.
    #[arg(long, value_name = "NAME")]
    pub node: Option<String>,
    /// Of this tenant's users.
    #[arg(long, value_name = "NAME")]
    pub tenant: Option<String>,
    /// Of this user.
    #[arg(long, value_name = "NAME")]
    pub user: Option<String>,
    /// The one that is called so, as `edgerelay sessions` tells.
    #[arg(long, value_name = "ID")]
    pub id: Option<String>,
}

const COLUMNS: &[&str] =
    &["ID", "NODE", "TENANT", "USER", "CLIENT", "OVER", "RELAYED", "AGE", "LEFT", "PERMISSIONS", "CHANNELS"];

pub(super) async fn run(Args { reach, which, limit }: Args) -> Result<Answer, FleetError> {
    let mut fleet = FleetClient::new(reach.connect().await?);
    let request = ListSessionsRequest { filter: Some(which.filter()), limit };
    let mut told = fleet.list_sessions(request).await?.into_inner();
    let mut sessions = Vec::new();
    let incomplete = loop {
        match told.message().await {
            Ok(Some(session)) => sessions.push(session),
            Ok(None) if limit != 0 && sessions.len() as u64 >= u64::from(limit) => {
                break format!("there may be more than {limit}; --limit 0 tells all");
            }
            Ok(None) => break String::new(),
            // What came is worth something.
            Err(status) if !sessions.is_empty() => break status.message().to_owned(),
            Err(status) => return Err(status.into()),
        }
    };
    Ok(Answer::table(reach.output, COLUMNS, &sessions, cells).unless(incomplete))
}

impl Which {
    pub(super) fn filter(self) -> SessionFilter {
        let Self { node, tenant, user, id } = self;
        SessionFilter {
            node: node.unwrap_or_default(),
            tenant: tenant.unwrap_or_default(),
            user: user.unwrap_or_default(),
            id: id.unwrap_or_default(),
        }
    }
}

fn cells(session: &Session) -> Vec<String> {
    let time = |seconds| humantime::format_duration(Duration::from_secs(seconds)).to_string();
    vec![
        session.id.clone(),
        session.node.clone(),
        session.tenant.clone(),
        session.user.clone(),
        session.client.clone(),
        session.transport.clone(),
        session.relayed.join(" "),
        time(session.seconds_old),
        time(session.seconds_left),
        session.permissions.to_string(),
        session.channels.to_string(),
    ]
}
