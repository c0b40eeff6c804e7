//! `edgerelay revoke`.

use clap::ArgGroup;

use super::{Answer, FleetError, Reach};
use crate::cluster::contract::credentials_client::CredentialsClient;
use crate::cluster::contract::{RestoreRequest, RevokeRequest, User, restore_request, revoke_request};

/// Whose credentials.
#[derive(clap::Args, Clone, Debug)]
#[command(group = ArgGroup::new("whom").required(true).args(["user", "username"]))]
pub struct Args {
    /// All credentials of this user.
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// Whose user that is.
    #[arg(
        long,
        value_name = "NAME",
        default_value = "",
        hide_default_value = true,
        conflicts_with = "username"
    )]
    tenant: String,
    /// One credential, such as 1800000000:alice.
    #[arg(long, value_name = "USERNAME")]
    username: Option<String>,
    /// Take a revocation back.
    #[arg(long)]
    undo: bool,
    #[command(flatten)]
    reach: Reach,
}

pub(super) async fn run(arguments: Args) -> Result<Answer, FleetError> {
    let Args { user, tenant, username, undo, reach } = arguments;
    let mut credentials = CredentialsClient::new(reach.connect().await?);
    let user = user.map(|user| User { tenant, user });
    if undo {
        let whom = (user.map(restore_request::Whom::User)).or(username.map(restore_request::Whom::Username));
        let told = credentials.restore(RestoreRequest { whom }).await?.into_inner();
        let sentence = "taken back: these credentials are good again";
        return Ok(Answer::new(reach.output, sentence, &told).unless(told.incomplete_because));
    }
    let whom = (user.map(revoke_request::Whom::User)).or(username.map(revoke_request::Whom::Username));
    let told = credentials.revoke(RevokeRequest { whom }).await?.into_inner();
    let sentence = "revoked: these credentials are refused, and what lives by them ends";
    Ok(Answer::new(reach.output, sentence, &told).unless(told.incomplete_because))
}
