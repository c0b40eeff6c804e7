//! Waking a worker from another thread (eventfd).

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};

/// A bell that one thread waits for and others ring.
pub struct Waker(OwnedFd);

impl Waker {
    /// A silent bell.
    pub fn new() -> io::Result<Self> {
        Ok(Self(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?))
    }

    /// Rings.
    pub fn wake(&self) {
        // The only failure is a counter at its limit: then it is ringing already.
        let _ = rustix::io::write(&self.0, &1u64.to_ne_bytes());
    }

    /// Waits until it rings.
    pub fn wait(&self) {
        // It may end without a ring: whoever waits looks, and waits again.
        let _ = poll(&mut [PollFd::new(&self.0, PollFlags::IN)], None);
    }

    /// Silences it.
    pub fn reset(&self) {
        // The only failure is that it was silent.
        let _ = rustix::io::read(&self.0, &mut [0u8; 8]);
    }
}

impl AsFd for Waker {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
