//! `edgerelay reload`: asks the relay that serves to hand over to itself, with its configuration as it is now.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use thiserror::Error;
use tokio::time::timeout;

use crate::serve::handover::door;
use crate::serve::handover::line::LineError;
use crate::serve::handover::message::{Reply, Request};

/// How long a relay may take to hand over to itself: it gives up long before.
const PATIENCE: Duration = Duration::from_secs(60);

/// Why nothing was reloaded.
#[derive(Debug, Error)]
pub enum ReloadError {
    /// There may be many relays on a machine.
    #[error(
        "it is not known which relay is meant: give its recovery.directory by --recovery-directory, or the \
         file that names it by --config. A relay that has none is told by SIGUSR2 to its first process"
    )]
    NoDirectory,
    /// Nobody is there.
    #[error(
        "no relay serves in {directory}: {source}; see that this is its recovery.directory, and start it"
    )]
    NobodyServes {
        /// Where.
        directory: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Another user's, or something of the system.
    #[error("the relay in {directory} cannot be reached: {source}; run this as the user that it runs as")]
    OutOfReach {
        /// Where.
        directory: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It says why.
    #[error("the relay goes on as it was: {0}")]
    Refused(String),
    /// It ended, or is of another version.
    #[error("what came of it is not known: {0}; the relay's log tells")]
    Broken(#[from] LineError),
    /// It hangs.
    #[error("what came of it is not known after {} seconds; the relay's log tells", PATIENCE.as_secs())]
    Late,
    /// What every process needs.
    #[error("this command cannot be set up: {0}; it needs open files")]
    Setup(#[source] io::Error),
}

/// Asks the relay in `directory`, and waits until it is done.
///
/// # Errors
/// When there is none, or it goes on as it was.
pub fn run(directory: Option<PathBuf>) -> Result<(), ReloadError> {
    let directory = directory.ok_or(ReloadError::NoDirectory)?;
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(ReloadError::Setup)?;
    let asked = runtime.block_on(async { timeout(PATIENCE, ask(directory)).await });
    asked.unwrap_or(Err(ReloadError::Late))
}

async fn ask(directory: PathBuf) -> Result<(), ReloadError> {
    let mut line = match door::knock(&directory).await {
        Ok(line) => line,
        Err(source) => {
            return Err(match source.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
                    ReloadError::NobodyServes { directory, source }
                }
                _ => ReloadError::OutOfReach { directory, source },
            });
        }
    };
    line.send(&Request::Reload, &[]).await?;
    match line.receive().await?.0 {
        Reply::Reloaded => Ok(()),
        Reply::Refused { why } => Err(ReloadError::Refused(why)),
        _ => Err(LineError::OutOfTurn.into()),
    }
}
