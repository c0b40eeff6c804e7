//! What the operator tells the relay by signals.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// What the relay is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// To end when its calls have ended; the second time, to end at once.
    End,
    /// To stay after all.
    Stay,
    /// To look at its configuration.
    Reload,
}

/// The signals that the relay listens to.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    user1: Signal,
    hangup: Signal,
}

impl Signals {
    /// Takes the signals over from the system, which would end the process.
    pub(super) fn install() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            user1: signal(SignalKind::user_defined1())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for the next one.
    pub(super) async fn next(&mut self) -> Told {
        tokio::select! {
            _ = self.terminate.recv() => Told::End,
            _ = self.interrupt.recv() => Told::End,
            _ = self.user1.recv() => Told::Stay,
            _ = self.hangup.recv() => Told::Reload,
        }
    }
}
