//! The second keepers, whose relays take over from the one before them: all that the first process knows of them.

use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use rustix::process::{Pid, Signal, kill_process};

/// Those that live, in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Heirs(Vec<Heir>);

/// A second keeper.
#[derive(Debug)]
pub(super) struct Heir {
    pub(super) process: Pid,
    /// Drawn at random.
    pub(super) number: u32,
    /// Where its relay's successor comes in.
    pub(super) successors: OwnedFd,
    /// Whether its relay has come to serve.
    pub(super) has_led: bool,
}

impl Heirs {
    pub(super) fn add(&mut self, process: Pid, number: u32, successors: OwnedFd) {
        self.0.push(Heir { process, number, successors, has_led: false });
    }

    /// Takes note of whose relay serves now.
    pub(super) fn note_leader(&mut self, number: u32) {
        self.0.iter_mut().filter(|heir| heir.number == number).for_each(|heir| heir.has_led = true);
    }

    /// The one of this number.
    pub(super) fn of_number(&self, number: u32) -> Option<&Heir> {
        self.0.iter().find(|heir| heir.number == number)
    }

    /// Whether one is about to take over.
    pub(super) fn is_one_coming(&self) -> bool {
        self.0.iter().any(|heir| !heir.has_led)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Tells those of whom `whom` says so.
    pub(super) fn tell(&self, command: Signal, whom: impl Fn(&Heir) -> bool) {
        for heir in self.0.iter().filter(|heir| whom(heir)) {
            // One that has just ended is reaped next.
            let _ = kill_process(heir.process, command);
        }
    }

    /// The one that was this process, if one was.
    pub(super) fn remove(&mut self, process: Pid) -> Option<Heir> {
        let place = self.0.iter().position(|heir| heir.process == process)?;
        Some(self.0.remove(place))
    }

    /// What of the first process's descriptors is for them.
    pub(super) fn descriptors(&self) -> impl Iterator<Item = RawFd> {
        self.0.iter().map(|heir| heir.successors.as_raw_fd())
    }
}
