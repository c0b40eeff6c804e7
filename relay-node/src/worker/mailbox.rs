//! What other threads hand to a worker: commands, and datagrams that reached the wrong worker.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crossbeam_queue::{ArrayQueue, SegQueue};
use turn::Settings;

use crate::net::wake::Waker;

use super::stream::{Seat, Taken};

/// What a worker is told to do.
pub(super) enum Command {
    /// Go on under these settings.
    Apply(Arc<Settings>),
    /// Refuse new allocations.
    Drain,
    /// Take new allocations again.
    Resume,
    /// Go on with a TLS handshake.
    Handshake(Taken),
    /// Close a connection whose place another one has.
    Displace(Seat),
    /// End all allocations and the worker.
    Stop,
}

/// A datagram on its way to the worker that its client belongs to.
pub(super) struct Parcel {
    /// The listener that it came to.
    pub(super) listener: usize,
    /// Its source.
    pub(super) client: SocketAddr,
    /// Its destination.
    pub(super) server: SocketAddr,
    /// What it carries.
    pub(super) bytes: Vec<u8>,
}

/// Parcels that wait at most; one more is dropped, as in a full socket buffer.
const PARCELS: usize = 512;

/// A parcel with more room than this is not kept for the next one.
const KEPT: usize = 4096;

/// A worker's mailbox. No sender ever waits.
pub(super) struct Mailbox {
    commands: SegQueue<Command>,
    parcels: ArrayQueue<Box<Parcel>>,
    // Empty parcels, used again.
    spare: ArrayQueue<Box<Parcel>>,
    waker: Waker,
    // Whether the waker has been rung since the worker last looked.
    rung: AtomicBool,
}

impl Mailbox {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            commands: SegQueue::new(),
            parcels: ArrayQueue::new(PARCELS),
            spare: ArrayQueue::new(PARCELS),
            waker: Waker::new()?,
            rung: AtomicBool::new(false),
        })
    }

    /// What the worker waits for.
    pub(super) fn waker(&self) -> &Waker {
        &self.waker
    }

    /// Tells the worker to do something.
    pub(super) fn command(&self, command: Command) {
        self.commands.push(command);
        self.ring();
    }

    /// Hands a datagram to the worker; whether there was room for it.
    pub(super) fn hand_over(
        &self,
        listener: usize,
        client: SocketAddr,
        server: SocketAddr,
        bytes: &[u8],
    ) -> bool {
        let empty = || Box::new(Parcel { listener, client, server, bytes: Vec::new() });
        let mut parcel = self.spare.pop().unwrap_or_else(empty);
        parcel.listener = listener;
        parcel.client = client;
        parcel.server = server;
        parcel.bytes.clear();
        parcel.bytes.extend_from_slice(bytes);
        let taken = self.parcels.push(parcel).is_ok();
        self.ring();
        taken
    }

    /// Makes the worker look.
    pub(super) fn ring(&self) {
        // One system call for all that comes until the worker looks.
        if !self.rung.swap(true, Ordering::SeqCst) {
            self.waker.wake();
        }
    }

    /// The worker looks. If it leaves something for later, it rings for itself.
    pub(super) fn open(&self) {
        self.waker.reset();
        self.rung.store(false, Ordering::SeqCst);
    }

    /// The next command.
    pub(super) fn next_command(&self) -> Option<Command> {
        self.commands.pop()
    }

    /// The next parcel.
    pub(super) fn next_parcel(&self) -> Option<Box<Parcel>> {
        self.parcels.pop()
    }

    /// Gives back an opened parcel.
    pub(super) fn recycle(&self, parcel: Box<Parcel>) {
        if parcel.bytes.capacity() <= KEPT {
            // A full store of spares needs no other.
            let _ = self.spare.push(parcel);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_mailbox_refuses_and_recovers() {
        let mailbox = Mailbox::new().unwrap();
        let address: SocketAddr = "192.0.2.1:5".parse().unwrap();
        for number in 0..PARCELS {
            assert!(mailbox.hand_over(number, address, address, b"x"));
        }
        assert!(!mailbox.hand_over(0, address, address, b"too many"));
        mailbox.open();
        let parcel = mailbox.next_parcel().unwrap();
        assert_eq!((parcel.listener, parcel.bytes.as_slice()), (0, &b"x"[..]));
        mailbox.recycle(parcel);
        assert!(mailbox.hand_over(9, address, address, b"again"));
    }
}
