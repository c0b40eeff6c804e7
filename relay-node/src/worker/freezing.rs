//! Standing still while another process gets ready to serve, and what comes after.
//!
//! A frozen worker reads no socket and has nothing in its hands: what comes waits in the kernel, for whoever
//! serves next. It still looks into its mailbox.

use std::net::SocketAddr;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use thiserror::Error;
use turn::Now;

use super::clock;
use super::fleet::Wish;
use super::inheritance::ListenerDescriptors;
use super::mailbox::Command;
use super::run::Worker;
use super::workers::Workers;

/// Times that all workers empty their mailboxes: until nobody reads any more, then of the clients' packets that
/// were handed over meanwhile, then of what these became for other workers' relayed addresses. From there on
/// a packet leaves.
const TIMES: usize = 3;
/// How long the workers may take: a round is over in some milliseconds.
const PATIENCE: Duration = Duration::from_secs(1);

/// A socket of a relayed address, and what it is bound to.
pub(super) type RelaySocket = (SocketAddr, RawFd);

/// What frozen workers have that another process can serve. The sockets stay open until they are released.
#[derive(Debug)]
pub struct Frozen {
    /// The sockets of the relayed addresses of UDP clients, with what each is bound to.
    pub relays: Vec<(SocketAddr, RawFd)>,
    /// The listeners, in the order of the plan.
    pub listeners: Vec<ListenerDescriptors>,
}

/// A worker did not stand still in time. All go on.
#[derive(Debug, Error)]
#[error("a worker did not answer for {} s", PATIENCE.as_secs())]
pub struct NotFrozen;

impl Workers {
    /// Has every worker stand still with nothing in its hands, and waits until all do. Until they are told to
    /// go on, nobody is served, and nothing is lost but what the kernel's queues do not hold.
    ///
    /// # Errors
    /// When one does not in time. Then all go on.
    pub fn freeze(&self) -> Result<Frozen, NotFrozen> {
        let deadline = Instant::now() + PATIENCE;
        let mut relays = Vec::new();
        for _ in 0..TIMES {
            relays = self.settle(deadline).inspect_err(|_| self.thaw())?;
        }
        Ok(Frozen { relays, listeners: self.listeners.clone() })
    }

    /// Goes on, after [`Self::freeze`], as if nothing had been.
    pub fn thaw(&self) {
        self.tell(|| Command::Thaw);
    }

    /// Goes on, after [`Self::freeze`], without what another process serves now: the listeners and the
    /// allocations of UDP clients. Connections are served on, and nothing is written down any more.
    pub fn release(&self) {
        self.tell(|| Command::Release);
    }

    /// Has every worker empty its mailbox and read nothing else.
    fn settle(&self, deadline: Instant) -> Result<Vec<RelaySocket>, NotFrozen> {
        let (sender, receiver) = channel();
        self.tell(|| Command::Freeze(sender.clone()));
        let mut relays = Vec::new();
        for _ in &self.mailboxes {
            let left = deadline.saturating_duration_since(Instant::now());
            let of_one: Result<Vec<RelaySocket>, RecvTimeoutError> = receiver.recv_timeout(left);
            relays.extend(of_one.map_err(|_| NotFrozen)?);
        }
        Ok(relays)
    }
}

/// Whether a worker stands still.
#[derive(Default)]
pub(super) struct Freezing {
    is_frozen: bool,
    /// Who is told when nothing is in its hands.
    asked_by: Option<Sender<Vec<RelaySocket>>>,
    /// What it does when it goes on.
    postponed: Vec<Wish>,
}

impl Freezing {
    /// Leaves something for when it goes on.
    pub(super) fn postpone(&mut self, wish: Wish) {
        self.postponed.push(wish);
    }

    pub(super) const fn is_frozen(&self) -> bool {
        self.is_frozen
    }
}

impl Worker {
    /// Reads nothing from the next round on.
    pub(super) fn freeze(&mut self, asked_by: Sender<Vec<RelaySocket>>) {
        self.freezing.is_frozen = true;
        self.freezing.asked_by = Some(asked_by);
        // That round has to come.
        self.mailbox.ring();
    }

    /// Looks into the mailbox only, and says so when that is empty.
    pub(super) fn take_frozen_round(&mut self) -> Now {
        self.mailbox.wait();
        let now = clock::now();
        self.open_mailbox(now);
        self.end_round(now);
        if self.mailbox.is_empty()
            && let Some(asked_by) = self.freezing.asked_by.take()
        {
            // Nobody may wait for it any more.
            let _ = asked_by.send(self.relay_sockets());
        }
        now
    }

    /// Reads again.
    pub(super) fn thaw(&mut self, now: Now) {
        for wish in std::mem::take(&mut self.freezing).postponed {
            self.follow_wish(wish, now);
            self.follow_outputs(now);
        }
    }

    /// Lets go of what another process serves now, and reads what is left.
    pub(super) fn release(&mut self, now: Now) {
        // Closing a socket that another process has too leaves it in the epoll set.
        for (relay, _) in self.turn.datagram_relays() {
            if let Some((_, socket)) = self.datagrams.relays.get(relay.index()) {
                self.poller.remove(socket);
            }
        }
        self.turn.release_datagram_clients();
        self.follow_outputs(now);
        self.recorder = None;
        // That process is of it now.
        self.fleet = None;
        self.datagrams.close_listeners(&self.poller);
        self.streams.close_listeners(&self.poller);
        self.thaw(now);
    }

    fn relay_sockets(&self) -> Vec<RelaySocket> {
        let relays = self.turn.datagram_relays().into_iter();
        relays
            .filter_map(|(relay, local)| {
                let (_, socket) = self.datagrams.relays.get(relay.index())?;
                Some((local, socket.as_raw_fd()))
            })
            .collect()
    }
}
