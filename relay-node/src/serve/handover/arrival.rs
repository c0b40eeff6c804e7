//! A relay that has just been started looks around: whether another one serves that it is to take over from.

use std::io;
use std::os::fd::RawFd;
use std::path::Path;
use std::time::Duration;

use thiserror::Error;
use tokio::time::{Instant, sleep};

use super::door;
use super::line::LineError;
use super::message::Request;
use super::taking::{TakeError, Taking};
use super::turns::{Serving, Starting};
use crate::config::{Recovery, TakeOver};
use crate::net::descriptors;

/// How long another one may be about to start.
const STARTING: Duration = Duration::from_secs(30);
/// How long the one that serves may take to be started again, should it have crashed just now.
const CRASHED: Duration = Duration::from_secs(10);
/// How often one looks.
const LOOK: Duration = Duration::from_millis(20);

/// Why a relay does not start.
#[derive(Debug, Error)]
pub enum ArrivalError {
    /// The one that serves does not hand over.
    #[error("another relay serves and was not taken over: {0}. It goes on as if nothing had been")]
    NotTaken(#[from] TakeError),
    /// It must not.
    #[error(
        "another relay serves in {0}, and recovery.take_over is \"never\": end that one first, or set \
         recovery.take_over = \"ask\""
    )]
    Never(String),
    /// Two at once.
    #[error("another relay is about to start in {0}: see what keeps it, and start this one again")]
    Crowded(String),
    /// The directory cannot be used.
    #[error("what there is in recovery.directory cannot be told: {0}")]
    Directory(#[from] io::Error),
}

/// What a relay finds.
pub struct Arrival {
    /// The one that serves and hands over, if there is one.
    pub before: Option<Taking>,
    /// Keeps others from starting meanwhile; none where nobody else could.
    pub starting: Option<Starting>,
}

/// Looks around in `directory`, where nobody may be.
///
/// # Errors
/// When another relay serves there, and goes on doing so.
pub async fn in_directory(directory: &Path, recovery: &Recovery) -> Result<Arrival, ArrivalError> {
    let shown = || directory.display().to_string();
    let starting = begin(directory).await?.ok_or_else(|| ArrivalError::Crowded(shown()))?;
    let until = Instant::now() + CRASHED;
    loop {
        match door::knock(directory).await {
            Ok(_) if recovery.take_over == TakeOver::Never => return Err(ArrivalError::Never(shown())),
            Ok(line) => match Taking::begin(line, &recovery.instance).await {
                Ok(before) => return Ok(Arrival { before: Some(before), starting: Some(starting) }),
                // It crashed, or has handed over to another one just now.
                Err(TakeError::Line(LineError::Gone)) if Instant::now() < until => {}
                Err(error) => return Err(error.into()),
            },
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Err(error.into()),
            Err(_) if !Serving::is_somebody(directory)? => {
                return Ok(Arrival { before: None, starting: Some(starting) });
            }
            Err(_) if Instant::now() >= until => return Err(TakeError::Silent.into()),
            Err(_) => {}
        }
        sleep(LOOK).await;
    }
}

/// Goes to the relay that the keeper's line of this number leads to.
///
/// # Errors
/// When it does not hand over.
pub async fn by_keeper(line: RawFd, recovery: &Recovery) -> Result<Arrival, ArrivalError> {
    let line = door::knock_through(descriptors::copy_of(line)?)?;
    let before = Taking::begin(line, &recovery.instance).await?;
    Ok(Arrival { before: Some(before), starting: None })
}

/// Tells the relay that the keeper's line of this number leads to that nobody takes over from it, and why.
pub fn decline(line: RawFd, why: &str) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut line = door::knock_through(descriptors::copy_of(line)?)?;
        let said = line.send(&Request::GivingUp { why: why.to_owned() }, &[]).await;
        said.map_err(io::Error::other)
    })
}

async fn begin(directory: &Path) -> io::Result<Option<Starting>> {
    let until = Instant::now() + STARTING;
    loop {
        let starting = Starting::try_begin(directory)?;
        if starting.is_some() || Instant::now() >= until {
            return Ok(starting);
        }
        sleep(LOOK).await;
    }
}
