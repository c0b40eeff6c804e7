//! An allocation (RFC 8656 section 3.2): plain data, changed only by the server's steps.

use std::net::SocketAddr;
use std::sync::Arc;

use stun::attribute::ReservationToken;
use stun::{Key, TransactionId};

use crate::address::{Client, Family, RelayPort};
use crate::answer::{Refusal, ReplyTo};
use crate::credentials::{Algorithm, UserId};
use crate::ledger::{PortKind, Usage};
use crate::peers::Peers;
use crate::settings::RelayAddress;
use crate::stats::Traffic;
use crate::time::Monotonic;

#[derive(Debug)]
pub(crate) struct Allocation {
    pub(crate) client: Client,
    pub(crate) owner: Owner,
    pub(crate) origin: Origin,
    pub(crate) created: Monotonic,
    pub(crate) relayed: PerFamily<Relayed>,
    pub(crate) peers: Peers,
    pub(crate) usage: Arc<Usage>,
    pub(crate) to_peers: Traffic,
    pub(crate) to_client: Traffic,
    /// Set until its sockets are open.
    pub(crate) opening: Option<Box<Opening>>,
}

impl Allocation {
    /// When the next part of it is over: a relayed address, a permission or a channel.
    pub(crate) fn next_deadline(&self) -> Option<Monotonic> {
        let relayed = self.relayed.iter().map(|(_, relayed)| relayed.expires);
        relayed.chain(self.peers.next_deadline()).min()
    }
}

/// Who made it: later requests have to come from the same (RFC 8656 section 5).
#[derive(Debug)]
pub(crate) struct Owner {
    pub(crate) user: UserId,
    pub(crate) name: OwnerName,
    /// Kept, so that a live call survives the rotation of the secret it began under.
    pub(crate) key: Key,
    pub(crate) algorithm: Algorithm,
}

/// The name as the client gives it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum OwnerName {
    Username(Box<[u8]>),
    Userhash([u8; 32]),
}

/// What the Allocate said and was told, to answer its retransmission alike (RFC 8656 section 7.2).
#[derive(Debug)]
pub(crate) struct Origin {
    pub(crate) transaction: TransactionId,
    pub(crate) lifetime: u32,
    pub(crate) reservation: Option<ReservationToken>,
    /// The family of ADDITIONAL-ADDRESS-FAMILY that could not be had, and the code that says why.
    pub(crate) refused: Option<(Family, Refusal)>,
}

/// One relayed transport address.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Relayed {
    pub(crate) port: RelayPort,
    /// What peers see.
    pub(crate) advertised: SocketAddr,
    /// When it ends unless it is refreshed: of two, each may be refreshed by itself.
    pub(crate) expires: Monotonic,
    /// Whether the driver has its socket.
    pub(crate) open: bool,
}

impl Relayed {
    pub(crate) fn at(address: RelayAddress, port: RelayPort, expires: Monotonic) -> Self {
        Self { port, advertised: SocketAddr::new(address.advertised, port.get()), expires, open: false }
    }
}

/// An Allocate that waits for its sockets.
#[derive(Clone, Debug)]
pub(crate) struct Opening {
    pub(crate) reply: ReplyTo,
    /// Which other ports would do; none if the port was reserved.
    pub(crate) kind: Option<PortKind>,
    pub(crate) tries_left: u8,
}

/// At most one of something for each address family.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PerFamily<T> {
    pub(crate) v4: Option<T>,
    pub(crate) v6: Option<T>,
}

impl<T> Default for PerFamily<T> {
    fn default() -> Self {
        Self { v4: None, v6: None }
    }
}

impl<T> PerFamily<T> {
    pub(crate) fn get(&self, family: Family) -> Option<&T> {
        match family {
            Family::V4 => self.v4.as_ref(),
            Family::V6 => self.v6.as_ref(),
        }
    }

    pub(crate) fn slot(&mut self, family: Family) -> &mut Option<T> {
        match family {
            Family::V4 => &mut self.v4,
            Family::V6 => &mut self.v6,
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (Family, &T)> {
        Family::BOTH.into_iter().filter_map(|family| self.get(family).map(|item| (family, item)))
    }
}
