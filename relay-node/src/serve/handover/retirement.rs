//! A relay that has handed over: it serves its connections until they have ended, and does what the new one says.

use std::os::fd::AsFd;
use std::path::PathBuf;
use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout};

use super::door;
use super::line::Line;
use super::message::{Reply, Report, Request};
use super::neighbours::{Neighbour, Told};

/// How long it may take to hear.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often the relay that serves is looked for after it died.
const LOOK: Duration = Duration::from_secs(1);

/// What a relay that has handed over knows of the one that serves.
#[derive(Debug)]
pub struct Retirement {
    /// None while that is gone.
    line: Option<Line>,
    told: Told,
    /// Where it is looked for.
    directory: Option<PathBuf>,
    own: Neighbour,
    look: Instant,
}

impl Retirement {
    /// Of the relay that is `own`. Over `line` the new one says what is to be done, and has `told` who there is;
    /// another one that follows it is found in `directory`.
    pub fn new(line: Line, told: Told, directory: Option<PathBuf>, own: Neighbour) -> Self {
        Self { line: Some(line), told, directory, own, look: Instant::now() }
    }

    /// Waits until the one that serves says something that is not for this to do. Who stops waiting loses nothing.
    pub async fn next(&mut self) -> Request {
        loop {
            let Some(line) = &mut self.line else {
                sleep_until(self.look).await;
                self.look = Instant::now() + LOOK;
                self.come_back().await;
                continue;
            };
            match line.receive::<Request>().await {
                Ok((Request::Neighbours { neighbours }, pieces)) => {
                    if let Err(error) = self.told.replace(neighbours, pieces) {
                        tracing::warn!(%error, "other relays of this node are not reached");
                    }
                }
                Ok((request, _)) => return request,
                Err(error) => {
                    tracing::warn!(%error, "the relay that serves now cannot be heard: this one goes on alone");
                    self.line = None;
                    self.look = Instant::now() + LOOK;
                }
            }
        }
    }

    /// Tells how it goes.
    pub async fn report(&mut self, report: Report) {
        let Some(line) = &mut self.line else { return };
        match timeout(PATIENCE, line.send(&Reply::Report(report), &[])).await {
            Ok(Ok(())) => {}
            // Half a message is worse than none.
            Ok(Err(_)) | Err(_) => self.line = None,
        }
    }

    async fn come_back(&mut self) {
        let Some(directory) = &self.directory else { return std::future::pending().await };
        let Ok(mut line) = door::knock(directory).await else { return };
        let returning = Request::Returning { near: self.own.near };
        let said = timeout(PATIENCE, line.send(&returning, &[self.own.as_fd()])).await;
        if let Ok(Ok(())) = said {
            self.line = Some(line);
        }
    }
}
