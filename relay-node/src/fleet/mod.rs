//! `edgerelay nodes`, `sessions`, `end`, `drain`, `undrain`, `usage`, `issue` and `revoke`: an operator's view of a fleet,
//! asked of any of its nodes by gRPC.

mod answer;
mod drain;
mod end;
mod issue;
mod nodes;
mod reach;
mod revoke;
mod sessions;
mod table;
mod usage;

use std::io;

use clap::Subcommand;
use thiserror::Error;
use tonic::{Code, Status};

use crate::cluster::api::DialError;
use crate::config::Problems;

pub use answer::Answer;
pub use reach::Reach;

/// What can be asked of a fleet.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// List the nodes of a fleet, or watch the load of one.
    Nodes(nodes::Args),
    /// List sessions, wherever they live.
    Sessions(sessions::Args),
    /// End sessions, wherever they live.
    End(end::Args),
    /// Have a node take no new calls; clients that can are sent to others.
    Drain(drain::Args),
    /// Have a node take new calls again.
    Undrain(drain::BackArgs),
    /// Tell what users and tenants have used.
    Usage(usage::Args),
    /// Make a time-limited credential, as the fleet's credential service does.
    Issue(issue::Args),
    /// Refuse a user's credentials, or one of them, from now on, and end what lives by them.
    Revoke(revoke::Args),
}

/// Why there is no answer.
#[derive(Debug, Error)]
pub enum FleetError {
    /// Not enough was said to call anybody.
    #[error("it is not known {0}, or the configuration that says so by --config FILE")]
    Missing(&'static str),
    /// The configuration cannot be used.
    #[error(transparent)]
    Configuration(#[from] Problems),
    /// The configuration says nothing of gRPC.
    #[error(
        "the configuration names no [cluster.grpc] to call; give --address, --fleet, --certificate, --key and --ca-file"
    )]
    NoGrpc,
    /// Nobody is there.
    #[error(transparent)]
    Dial(#[from] DialError),
    /// The node says no, or stopped in between.
    #[error("{}", sentence(.0))]
    Refused(#[from] Status),
    /// What every process needs.
    #[error("this command cannot be set up: {0}; it needs open files")]
    Setup(#[from] io::Error),
}

impl FleetError {
    /// Whether the arguments or the configuration have to be changed first.
    pub fn is_usage(&self) -> bool {
        match self {
            Self::Missing(_) | Self::Configuration(_) | Self::NoGrpc => true,
            Self::Dial(error) => !matches!(error, DialError::Unreachable { .. }),
            Self::Refused(status) => status.code() == Code::InvalidArgument,
            Self::Setup(_) => false,
        }
    }
}

/// Asks a fleet, and answers with what it said.
///
/// # Errors
/// When nobody can be asked, or the fleet says no.
pub fn run(command: Command) -> Result<Answer, FleetError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        match command {
            Command::Nodes(arguments) => nodes::run(arguments).await,
            Command::Sessions(arguments) => sessions::run(arguments).await,
            Command::End(arguments) => end::run(arguments).await,
            Command::Drain(arguments) => drain::run(arguments).await,
            Command::Undrain(arguments) => drain::back(arguments).await,
            Command::Usage(arguments) => usage::run(arguments).await,
            Command::Issue(arguments) => issue::run(arguments).await,
            Command::Revoke(arguments) => revoke::run(arguments).await,
        }
    })
}

/// What a node says, and what may help where it says little.
fn sentence(status: &Status) -> String {
    let said = status.message().escape_debug();
    match status.code() {
        Code::PermissionDenied
        | Code::InvalidArgument
        | Code::ResourceExhausted
        | Code::FailedPrecondition => said.to_string(),
        Code::NotFound => said.to_string(),
        Code::Unimplemented => {
            format!("the node does not know this call ({said}); it may be of an older version")
        }
        Code::DeadlineExceeded | Code::Cancelled => {
            format!("the node did not answer in time ({said}); try again")
        }
        _ if said.clone().count() > 0 => said.to_string(),
        code => format!("the node failed ({code:?}); its log tells why"),
    }
}
