//! Readiness of many sockets (epoll).

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::time::Timespec;

/// What to be woken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interest {
    /// Something to read, told until it is read.
    Read,
    /// Something new to read, or an error: told once.
    ReadEdge,
    /// Something to read, or room to write.
    ReadWrite,
    /// Room to write.
    Write,
    /// Nothing but an error or the end of both sides.
    Nothing,
}

impl Interest {
    const fn flags(self) -> EventFlags {
        match self {
            Self::Read => EventFlags::IN,
            Self::ReadEdge => EventFlags::IN.union(EventFlags::ET),
            Self::ReadWrite => EventFlags::IN.union(EventFlags::OUT),
            Self::Write => EventFlags::OUT,
            Self::Nothing => EventFlags::empty(),
        }
    }
}

/// A socket that is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ready {
    /// What the socket was registered with.
    pub token: u64,
    /// Whether it may be read from; also at its end and after an error.
    pub read: bool,
    /// Whether it may be written to; also after an error.
    pub write: bool,
    /// Whether an error waits.
    pub error: bool,
}

/// A set of sockets to wait for.
pub struct Poller {
    epoll: OwnedFd,
}

/// What one wait returned; used again and again.
pub struct Events(Vec<epoll::Event>);

impl Events {
    /// Room for `capacity` events.
    pub fn new(capacity: usize) -> Self {
        Self(Vec::with_capacity(capacity))
    }

    /// How many sockets are ready.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The event at `index`.
    pub fn get(&self, index: usize) -> Option<Ready> {
        let event = self.0.get(index)?;
        let flags = event.flags;
        let error = flags.contains(EventFlags::ERR);
        let ended = error || flags.contains(EventFlags::HUP);
        Some(Ready {
            token: event.data.u64(),
            read: ended || flags.contains(EventFlags::IN),
            write: ended || flags.contains(EventFlags::OUT),
            error,
        })
    }
}

impl Poller {
    /// An empty set.
    pub fn new() -> io::Result<Self> {
        Ok(Self { epoll: epoll::create(epoll::CreateFlags::CLOEXEC)? })
    }

    /// Adds `socket`, to be told of with `token`. It leaves the set when nobody has it open any more.
    pub fn add(&self, socket: impl AsFd, token: u64, interest: Interest) -> io::Result<()> {
        Ok(epoll::add(&self.epoll, socket, EventData::new_u64(token), interest.flags())?)
    }

    /// Changes what `socket` is waited for.
    pub fn modify(&self, socket: impl AsFd, token: u64, interest: Interest) -> io::Result<()> {
        Ok(epoll::modify(&self.epoll, socket, EventData::new_u64(token), interest.flags())?)
    }

    /// Removes `socket`, which others may go on having open.
    pub fn remove(&self, socket: impl AsFd) {
        // It fails only for one that is not there.
        let _ = epoll::delete(&self.epoll, socket);
    }

    /// Waits until a socket is ready or `timeout` (`None`: for ever) is over.
    pub fn wait(&self, events: &mut Events, timeout: Option<Duration>) -> io::Result<()> {
        events.0.clear();
        // Rounded up to what epoll can count: waking too early would only mean to wait again.
        let timeout = timeout.map(|timeout| {
            let millis = timeout.as_micros().div_ceil(1000).min(i32::MAX as u128) as i64;
            Timespec { tv_sec: millis / 1000, tv_nsec: millis % 1000 * 1_000_000 }
        });
        match epoll::wait(&self.epoll, spare_capacity(&mut events.0), timeout.as_ref()) {
            Ok(_) => Ok(()),
            Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}
