//! How a process ended: as it meant to, or not.

use rustix::process::{Signal, WaitStatus};

use crate::recovery::state::Crash;

/// How a relay ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// By itself, with this code.
    Meant(u8),
    /// It should be there.
    Crash(Crash),
}

impl Ending {
    /// What `status` says of a relay that was to go on with what another one left, and had not come to serve it
    /// yet, if `was_restoring`.
    pub(super) fn of(status: WaitStatus, was_restoring: bool) -> Self {
        match status.terminating_signal() {
            None => match exit_code(status) {
                0 => Self::Meant(0),
                _ if was_restoring => Self::Crash(Crash::NotRestored),
                code => Self::Meant(code),
            },
            Some(signal) if signal == Signal::KILL.as_raw() => Self::Crash(Crash::Killed),
            Some(signal) if signal == Signal::ABORT.as_raw() => Self::Crash(Crash::Aborted),
            Some(_) => Self::Crash(Crash::Fault),
        }
    }
}

/// The code that a process ended with; of a signal what shells make of it.
pub(super) fn exit_code(status: WaitStatus) -> u8 {
    let code = status.exit_status().or_else(|| status.terminating_signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use rustix::process::{Pid, WaitOptions, waitpid};

    use super::*;

    #[expect(clippy::zombie_processes, reason = "it is waited for below, in the keeper's way")]
    fn status(script: &str) -> WaitStatus {
        let child = Command::new("sh").args(["-c", script]).spawn().unwrap();
        waitpid(Some(Pid::from_child(&child)), WaitOptions::empty()).unwrap().unwrap().1
    }

    #[test]
    fn an_exit_is_meant_and_a_signal_is_a_crash() {
        for (script, ending) in [
            ("exit 0", Ending::Meant(0)),
            ("exit 2", Ending::Meant(2)),
            ("kill -KILL $$", Ending::Crash(Crash::Killed)),
            ("ulimit -c 0; kill -ABRT $$", Ending::Crash(Crash::Aborted)),
            ("ulimit -c 0; kill -SEGV $$", Ending::Crash(Crash::Fault)),
            ("kill -TERM $$", Ending::Crash(Crash::Fault)),
        ] {
            assert_eq!(Ending::of(status(script), false), ending, "{script}");
        }
    }

    #[test]
    fn an_error_before_it_served_what_it_had_found_is_a_crash() {
        assert_eq!(Ending::of(status("exit 1"), true), Ending::Crash(Crash::NotRestored));
        assert_eq!(Ending::of(status("exit 0"), true), Ending::Meant(0));
    }
}
