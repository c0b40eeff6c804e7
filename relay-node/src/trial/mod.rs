//! `edgerelay try`: a full round trip through a running relay, over each of its transports.
//!
//! For each: connect (`link`), allocate, get a permission and a channel (`session`) to a peer on
//! this machine that sends back what it gets (`echo`), send packets and take the time
//! (`round_trips`), end the allocation, tell (`report`). It goes where a 300 (Try Alternate) sends it.

mod echo;
mod error;
mod framed;
mod link;
mod report;
mod round_trips;
mod session;
mod target;

use std::fs;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use thiserror::Error;
use turn::credentials::{Secret, SecretError};

use crate::cli::TryArgs;
use crate::dev::{State, StateError};
use crate::ice_servers::TimedCredential;

use echo::Echo;
use error::TrialError;
use link::Trust;
use round_trips::{Load, RoundTrips};
use session::Session;
use target::{Target, TargetError};

/// How long the credential that this makes can allocate.
const CREDENTIAL_LIFETIME: Duration = Duration::from_secs(600);

/// Why there is nothing to try.
#[derive(Debug, Error)]
pub enum RunError {
    /// No trial relay.
    #[error(transparent)]
    State(#[from] StateError),
    /// A URL.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// No credential.
    #[error(
        "a relay that is named by --url wants a credential; give --secret-file FILE, or --username NAME and --credential-file FILE"
    )]
    NoCredential,
    /// The secret.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// A file.
    #[error("{path} cannot be read: {source}; name a file that exists and that this user may read")]
    File {
        /// Which.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Certificates to trust.
    #[error("{0} holds no PEM certificate; name a file that does by --ca-file")]
    Certificates(String),
}

/// Tries every transport, prints what came of it, and returns whether all of them work.
///
/// # Errors
/// When it is not clear what to try.
pub fn run(arguments: &TryArgs) -> Result<bool, RunError> {
    let plan = plan(arguments)?;
    let load = Load { packets: arguments.packets, per_second: arguments.rate, size: arguments.size.into() };
    report::head();
    let mut all_work = true;
    for target in &plan.targets {
        match one(target, &plan, &load, arguments.peer_address) {
            Ok(served) => report::row(target, &served.trips, served.sent_to),
            Err(error) => {
                all_work = false;
                report::failure(target, &error);
            }
        }
    }
    Ok(all_work)
}

/// What to try, and as whom.
struct Plan {
    targets: Vec<Target>,
    credential: TimedCredential,
    trust: Trust,
}

fn plan(arguments: &TryArgs) -> Result<Plan, RunError> {
    let ca =
        arguments.ca_file.as_deref().map(|path| Ok::<_, RunError>((path.display().to_string(), read(path)?)));
    let ca = ca.transpose()?;
    if arguments.url.is_empty() {
        let state = State::read()?;
        let credential =
            TimedCredential::new(&Secret::new(state.secret.as_bytes())?, "try", CREDENTIAL_LIFETIME);
        let certificate = ("the certificate of `edgerelay dev`".to_owned(), state.certificate);
        return Ok(Plan {
            targets: targets(&state.urls)?,
            credential,
            trust: trust([Some(certificate), ca])?,
        });
    }
    let credential = match (&arguments.secret_file, &arguments.username, &arguments.credential_file) {
        (Some(path), _, _) => {
            let secret = first_line(path)?;
            TimedCredential::new(&Secret::new(secret.as_bytes())?, "try", CREDENTIAL_LIFETIME)
        }
        (None, Some(username), Some(path)) => {
            TimedCredential { username: username.clone(), password: first_line(path)? }
        }
        _ => return Err(RunError::NoCredential),
    };
    Ok(Plan { targets: targets(&arguments.url)?, credential, trust: trust([None, ca])? })
}

fn targets(urls: &[String]) -> Result<Vec<Target>, TargetError> {
    urls.iter().map(|url| Target::parse(url)).collect()
}

fn trust(authorities: [Option<(String, String)>; 2]) -> Result<Trust, RunError> {
    let mut trust = Trust::of_system();
    for (name, pem) in authorities.into_iter().flatten() {
        if !trust.add(&pem) {
            return Err(RunError::Certificates(name));
        }
    }
    Ok(trust)
}

fn read(path: &Path) -> Result<String, RunError> {
    fs::read_to_string(path).map_err(|source| RunError::File { path: path.to_owned(), source })
}

fn first_line(path: &Path) -> Result<String, RunError> {
    Ok(read(path)?.lines().next().unwrap_or_default().to_owned())
}

/// What came of one transport.
struct Served {
    trips: RoundTrips,
    /// By which relay, if it was sent on.
    sent_to: Option<SocketAddr>,
}

/// One transport, from the first packet to the last.
fn one(target: &Target, plan: &Plan, load: &Load, peer: Option<IpAddr>) -> Result<Served, TrialError> {
    let mut session = Session::begin(target, &plan.trust, &plan.credential)?;
    let peer = match peer {
        Some(address) => address,
        None => session.link().local_address().map_err(TrialError::Peer)?,
    };
    let echo = Echo::start(peer).map_err(TrialError::Peer)?;
    session.allocate(peer)?;
    session.create_permission(echo.address())?;
    session.bind_channel(echo.address())?;
    let trips = round_trips::run(session.link(), load)?;
    session.delete()?;
    if trips.received() == 0 {
        return Err(TrialError::AllLost { peer: echo.address() });
    }
    Ok(Served { trips, sent_to: session.sent_to() })
}
