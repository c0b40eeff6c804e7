//! What goes in and out of the core.

use std::net::SocketAddr;
use std::ops::Range;

use thiserror::Error;

use crate::address::{Client, PeerAddr, RelayId, RelayPort};
use crate::credentials::UserId;
use crate::event::Event;
use crate::ledger::{Holder, WorkerId};
use crate::quota::QuotaTicket;
use crate::record::Change;

/// Free bytes that the core wants in front of what is handed in, to write a header there.
pub const HEADROOM: usize = 64;
/// Free bytes that it wants behind it, for padding.
pub const TAILROOM: usize = 4;

/// A part of the buffer that the input came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// First byte.
    pub start: usize,
    /// One past the last.
    pub end: usize,
}

impl Span {
    /// As a range, to slice with.
    pub const fn range(self) -> Range<usize> {
        self.start..self.end
    }

    /// How many bytes.
    pub const fn len(self) -> usize {
        self.end.saturating_sub(self.start)
    }

    /// Whether it holds none.
    pub const fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The same in a buffer that has `bytes` more in front.
    pub(crate) const fn behind(self, bytes: usize) -> Self {
        Self { start: self.start + bytes, end: self.end + bytes }
    }
}

impl From<Range<usize>> for Span {
    fn from(range: Range<usize>) -> Self {
        Self { start: range.start, end: range.end }
    }
}

/// What becomes of the packet that was just handed in: at most one packet, in the same buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forward {
    /// Nothing is to be relayed; outputs may be waiting.
    Nothing,
    /// Send `payload` from the socket of `relay`.
    ToPeer {
        /// The socket to send from.
        relay: RelayId,
        /// Where to.
        peer: PeerAddr,
        /// What.
        payload: Span,
        /// Whether IPv4's DF bit is wanted (RFC 8656 section 14).
        dont_fragment: bool,
        /// A way past the kernel, for who can take it; then DF means nothing.
        shortcut: Option<Shortcut>,
    },
    /// Send `packet` to `client`.
    ToClient {
        /// Where to.
        client: Client,
        /// What, header included.
        packet: Span,
    },
}

/// The way from one relayed address to another one of the same node, whose worker takes the payload by
/// [`crate::Turn::shortcut_packet`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shortcut {
    /// Whose it was a moment ago.
    pub(crate) holder: Holder,
    /// The port that it was then; the address is the node's.
    pub(crate) to: RelayPort,
    /// The port that the packet comes from, on the same address.
    pub(crate) from: RelayPort,
}

impl Shortcut {
    /// The worker that it leads to.
    pub const fn worker(self) -> WorkerId {
        self.holder.worker
    }
}

/// What the driver is to do next; in order.
#[derive(Debug)]
pub enum Output<'a> {
    /// Bind a UDP socket, then say how it went by [`crate::Turn::relay_opened`].
    OpenRelay {
        /// The socket's name from now on.
        relay: RelayId,
        /// The address to bind.
        local: SocketAddr,
    },
    /// Close the socket.
    CloseRelay {
        /// Which.
        relay: RelayId,
    },
    /// Ask whether the fleet lets `user` have one more allocation than it has, which counts this one already,
    /// then say so by [`crate::Turn::quota_answered`]. Only where [`crate::Settings::asks_quota`].
    AskQuota {
        /// What is asked.
        ticket: QuotaTicket,
        /// For whom.
        user: UserId,
    },
    /// Send a whole STUN message.
    ToClient {
        /// Where to.
        client: Client,
        /// What.
        packet: &'a [u8],
    },
    /// Keep what a later process needs, before the next output: only of a core that was told to
    /// ([`crate::Turn::recording`]).
    Record(Change),
    /// Something worth a log line or a span.
    Event(Event),
}

/// Why a relay socket could not be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum OpenError {
    /// Somebody else has the port: another one may do.
    #[error("somebody else has the port")]
    InUse,
    /// No more sockets can be had.
    #[error("no more sockets can be had")]
    Exhausted,
    /// The address cannot be bound.
    #[error("the address cannot be bound")]
    Unavailable,
}

/// An ICMP error that came back for a packet to a peer (RFC 8656 section 18.13).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IcmpError {
    /// ICMP or ICMPv6 type.
    pub kind: u8,
    /// ICMP or ICMPv6 code.
    pub code: u8,
    /// The message's bytes 4 to 8, such as the MTU.
    pub data: [u8; 4],
}
