//! What is worth a log line or a trace span: the life of allocations.

use std::net::SocketAddr;
use std::time::Duration;

use crate::address::FiveTuple;
use crate::credentials::UserId;
use crate::ledger::PortLoss;
use crate::stats::Traffic;

/// Something that happened to an allocation.
#[derive(Clone, Debug)]
pub enum Event {
    /// An allocation came to be; its success response follows.
    AllocationCreated {
        /// Whose packets it takes.
        five_tuple: FiveTuple,
        /// Whose quota it counts against.
        user: UserId,
        /// What peers see: IPv4, IPv6 or both.
        relayed: Vec<SocketAddr>,
        /// How long without a refresh.
        lifetime: Duration,
    },
    /// A relayed address that a former process had could not be had again.
    RelayedAddressLost {
        /// Whose packets its allocation takes.
        five_tuple: FiveTuple,
        /// Whose quota that counts against.
        user: UserId,
        /// What peers knew.
        address: SocketAddr,
        /// Why.
        reason: PortLoss,
    },
    /// An allocation ended.
    AllocationClosed {
        /// Whose packets it took.
        five_tuple: FiveTuple,
        /// Whose quota it counted against.
        user: UserId,
        /// Why.
        reason: CloseReason,
        /// How long it lived.
        age: Duration,
        /// What it relayed from the client.
        to_peers: Traffic,
        /// What it relayed to the client.
        to_client: Traffic,
    },
}

/// Why an allocation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CloseReason {
    /// The client said so, by a Refresh with lifetime 0.
    Deleted,
    /// The client did not refresh it.
    Expired,
    /// The client's stream ended.
    ClientGone,
    /// The relay is stopping.
    Stopped,
    /// Somebody who runs the relay said so.
    Ended,
    /// Its user, or the credential that it was made with, was revoked.
    Revoked,
    /// A former process had it, and this one can have none of its relayed addresses.
    AddressLost,
}

impl CloseReason {
    /// The name in logs and labels.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Deleted => "deleted",
            Self::Expired => "expired",
            Self::ClientGone => "client_gone",
            Self::Stopped => "stopped",
            Self::Ended => "ended",
            Self::Revoked => "revoked",
            Self::AddressLost => "address_lost",
        }
    }
}
