//! Outputs that wait for the driver. Messages are written into one arena that is used again, so
//! that answering costs no allocation.

use std::collections::VecDeque;
use std::net::SocketAddr;

use stun::BufferFull;

use crate::address::{Client, RelayId};
use crate::credentials::UserId;
use crate::event::Event;
use crate::io::{Output, Span};
use crate::quota::QuotaTicket;
use crate::record::Change;

/// More than the longest answer: a REALM of 763 bytes and all that can stand beside it.
const MAX_MESSAGE: usize = 2048;

#[derive(Debug, Default)]
pub(crate) struct Outbox {
    queue: VecDeque<Queued>,
    arena: Vec<u8>,
}

#[derive(Debug)]
enum Queued {
    OpenRelay { relay: RelayId, local: SocketAddr },
    CloseRelay { relay: RelayId },
    AskQuota { ticket: QuotaTicket, user: UserId },
    ToClient { client: Client, packet: Span },
    Record(Change),
    Event(Event),
}

impl Outbox {
    pub(crate) fn open_relay(&mut self, relay: RelayId, local: SocketAddr) {
        self.queue.push_back(Queued::OpenRelay { relay, local });
    }

    pub(crate) fn close_relay(&mut self, relay: RelayId) {
        self.queue.push_back(Queued::CloseRelay { relay });
    }

    pub(crate) fn ask_quota(&mut self, ticket: QuotaTicket, user: UserId) {
        self.queue.push_back(Queued::AskQuota { ticket, user });
    }

    pub(crate) fn record(&mut self, change: Change) {
        self.queue.push_back(Queued::Record(change));
    }

    pub(crate) fn event(&mut self, event: Event) {
        self.queue.push_back(Queued::Event(event));
    }

    /// Queues the message that `write` makes, and tells its length. One that does not fit is not sent.
    pub(crate) fn message(
        &mut self,
        client: &Client,
        write: impl FnOnce(&mut [u8]) -> Result<usize, BufferFull>,
    ) -> usize {
        let start = self.arena.len();
        self.arena.resize(start + MAX_MESSAGE, 0);
        let written = self.arena.get_mut(start..).map_or(Err(BufferFull), write);
        let len = written.unwrap_or(0).min(MAX_MESSAGE);
        debug_assert!(len > 0, "an answer did not fit into {MAX_MESSAGE} bytes");
        self.arena.truncate(start + len);
        if len > 0 {
            let packet = Span { start, end: start + len };
            self.queue.push_back(Queued::ToClient { client: *client, packet });
        }
        len
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    pub(crate) fn poll(&mut self) -> Option<Output<'_>> {
        let Some(next) = self.queue.pop_front() else {
            self.arena.clear();
            return None;
        };
        Some(match next {
            Queued::OpenRelay { relay, local } => Output::OpenRelay { relay, local },
            Queued::CloseRelay { relay } => Output::CloseRelay { relay },
            Queued::AskQuota { ticket, user } => Output::AskQuota { ticket, user },
            Queued::Record(change) => Output::Record(change),
            Queued::Event(event) => Output::Event(event),
            Queued::ToClient { client, packet } => {
                Output::ToClient { client, packet: self.arena.get(packet.range()).unwrap_or_default() }
            }
        })
    }
}
