//! What can happen. Clients, workers and tokens go by their place in a list.

use std::net::SocketAddr;

use proptest::sample::Index;
use stun::attribute::{AddressFamily, EvenPort, ReservationToken};
use turn::OpenError;
use turn_client::Allocate;

use super::node::Rules;

#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// A new request.
    Ask { client: usize, request: Request },
    /// An Allocate for which sockets do not open at once: how the first ones of each family fail.
    AskInVain { client: usize, wish: Wish, failures: Failures },
    /// An Allocate with one of the last tokens that were given out, or with a made-up one if none was.
    Redeem { client: usize, last: usize, failures: Failures },
    /// A request of the past once more, byte for byte.
    Again { client: usize, which: Index },
    /// A client sends to each peer and on each channel, and each peer sends to it.
    Packets { client: usize },
    /// Time passes; the timers of one worker may be late.
    Wait { seconds: u64, late: Option<usize> },
    /// Other settings for all workers.
    Swap(Rules),
    /// Somebody who runs the node ends a client's allocation.
    End { client: usize },
    /// The node dies without a word, and another one with so many workers goes on from its records.
    Restart { workers: usize },
}

#[derive(Clone, Debug)]
pub(crate) enum Request {
    Allocate(Wish),
    Refresh { family: Option<AddressFamily>, lifetime: Option<u32> },
    Permit { peers: Vec<SocketAddr> },
    Bind { channel: u16, peer: SocketAddr },
}

/// What an Allocate asks for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wish {
    pub(crate) families: Families,
    pub(crate) port: Port,
    pub(crate) lifetime: Option<u32>,
}

impl Wish {
    /// As a client writes it.
    pub(crate) fn attributes(&self) -> Allocate {
        let (family, additional) = match self.families {
            Families::Unsaid => (None, None),
            Families::One(family) => (Some(family), None),
            Families::Both => (None, Some(AddressFamily::V6)),
        };
        let (even_port, reservation) = match self.port {
            Port::Any => (None, None),
            Port::Even => (Some(EvenPort { reserve_next: false }), None),
            Port::Pair => (Some(EvenPort { reserve_next: true }), None),
            Port::Reserved(token) => (None, Some(ReservationToken(token))),
        };
        let lifetime = self.lifetime;
        Allocate { family, additional, lifetime, even_port, reservation, dont_fragment: false }
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Families {
    /// No attribute: IPv4.
    Unsaid,
    /// REQUESTED-ADDRESS-FAMILY.
    One(AddressFamily),
    /// ADDITIONAL-ADDRESS-FAMILY.
    Both,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Port {
    Any,
    /// EVEN-PORT.
    Even,
    /// EVEN-PORT that reserves the next one.
    Pair,
    /// RESERVATION-TOKEN.
    Reserved([u8; 8]),
}

/// How the first sockets fail that are opened on an IPv4 and on an IPv6 address.
pub(crate) type Failures = [Vec<OpenError>; 2];
