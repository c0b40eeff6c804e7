//! The first process: it starts the relay as its child, holds what must not die, and starts the next one when
//! that died.

use std::os::fd::RawFd;
use std::process::ExitCode;

use crate::recovery::Vault;
use crate::recovery::state::State;

/// How a relay process came to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Birth {
    /// What of the vault it takes in.
    pub takes: Takes,
    /// Whether a keeper holds its sockets.
    pub kept: bool,
    /// Descriptors that are the keeper's own: never to be closed.
    pub keepers: Vec<RawFd>,
    /// A line to the relay that it takes over from, where it is its successor by [`Signal`].
    pub predecessor: Option<RawFd>,
    /// A line on which a successor may come.
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

/// Runs `relay` in a child process, again whenever that died, until it ends by itself or is told to. The
/// child shares this process's descriptor table.
pub fn run(_vault: &Vault, _state: &State, _relay: impl Fn(Birth) -> ExitCode) -> ExitCode {
    todo!()
}
