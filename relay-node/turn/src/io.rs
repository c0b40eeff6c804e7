//! What goes in and out of the core.

use std::net::SocketAddr;
use std::ops::Range;

use crate::address::{Client, PeerAddr, RelayId};
use crate::event::Event;

/// Free bytes that [`crate::Turn::peer_packet`] wants in front of a payload, to write a header there.
pub const HEADROOM: usize = 64;
/// Free bytes that it wants behind a payload, for padding.
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
    },
    /// Send `packet` to `client`.
    ToClient {
        /// Where to.
        client: Client,
        /// What, header included.
        packet: Span,
    },
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
    /// Send a whole STUN message.
    ToClient {
        /// Where to.
        client: Client,
        /// What.
        packet: &'a [u8],
    },
    /// Something worth a log line or a span.
    Event(Event),
}

/// Why a relay socket could not be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenError {
    /// Somebody else has the port: another one may do.
    InUse,
    /// No more sockets can be had.
    Exhausted,
    /// The address cannot be bound.
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
