//! The first process: it starts the relay as its child, holds what must not die, and starts the next one when
//! that died.
//!
//! Keeper and relay share one descriptor table, so that every socket that the relay opens outlives it. The
//! keeper has one thread, reads nothing from the network, and does nothing but wait for signals: it passes the
//! operator's on, and reaps every child as the first process of a container has to. What a relay means to end
//! with is the keeper's end too; a relay that a signal ended has crashed.
//!
//! Where the operator wants another relay in the place of one that runs, the first process forks: the child has a
//! copy of the table, closes what is the relay's, and is the keeper of the successor, which takes over by the
//! same protocol as a stranger. The first process stays what it is.

mod clone;
mod ending;
mod heirs;
mod policy;
mod signals;
mod watch;

use std::io;
use std::os::fd::RawFd;

use tracing::Dispatch;

use crate::net::descriptors;
use crate::recovery::Vault;
use crate::recovery::state::State;

pub(crate) use signals::let_commands_through;

use watch::Keeper;

/// How a relay process came to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Birth {
    /// What of the vault it takes in.
    pub takes: Takes,
    /// Whether a keeper holds its sockets.
    pub kept: bool,
    /// A number of the keeper's own, drawn at random: descriptors that somebody wrote down mean something to
    /// those alone who share its table.
    pub keeper: u32,
    /// Whether the one that crashed before it was that keeper's and served.
    pub leads: bool,
    /// Descriptors that are the keeper's own: never to be closed.
    pub keepers: Vec<RawFd>,
    /// One of these: where it finds the relay that it takes over from, if it is the successor of one.
    pub predecessor: Option<RawFd>,
    /// Another one: where a successor may come.
    pub successor: Option<RawFd>,
}

/// What of the vault a relay takes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// Everything.
    All,
    /// Without what was touched last, since three starts in a row failed.
    WithoutSuspects,
    /// Without any record, since that failed too.
    Nothing,
}

impl Birth {
    /// Of a relay that is the first process itself.
    pub fn without_keeper() -> Self {
        Self {
            takes: Takes::All,
            kept: false,
            keeper: 0,
            leads: false,
            keepers: Vec::new(),
            predecessor: None,
            successor: None,
        }
    }
}

/// Runs `relay` in a child process, again whenever that died, until it ends by itself or is told to; the code
/// to end with. The first relay gets `seed`, which the keeper then forgets. The keeper's own log lines go to
/// `log`. Nobody else may run in this process.
///
/// # Errors
/// When there can be no first child.
pub fn run<S>(
    vault: &Vault,
    state: &State,
    log: &Dispatch,
    seed: S,
    relay: impl Fn(Birth, Option<S>) -> u8,
) -> io::Result<u8> {
    // What a relay may open, the keeper has open too, and the next relay before it closes anything.
    descriptors::raise_limit();
    Keeper::new(vault, state, log, seed, relay)?.run()
}
