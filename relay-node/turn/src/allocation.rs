//! An allocation (RFC 8656 section 3.2): plain data, changed only by the server's steps.

use std::mem::offset_of;
use std::net::IpAddr;

use ahash::RandomState;
use stun::attribute::{AddressFamily, ChannelNumber, ReservationToken};
use stun::{Key, TransactionId};

use crate::address::{Client, PeerAddr};
use crate::answer::ReplyTo;
use crate::credentials::{Algorithm, UserId};
use crate::ledger::{Account, PeerCount, Port, PortKind};
use crate::peers::Peers;
use crate::per_family::PerFamily;
use crate::refusal::Refusal;
use crate::settings::{Limits, Realm};
use crate::stats::Traffic;
use crate::time::Monotonic;

/// Aligned and in this order, so that what a packet asks is in three cache lines.
#[derive(Debug)]
#[repr(C, align(64))]
pub(crate) struct Allocation {
    pub(crate) client: Client,
    pub(crate) account: Account,
    pub(crate) to_peers: Traffic,
    pub(crate) to_client: Traffic,
    pub(crate) peers: Peers,
    pub(crate) relayed: PerFamily<Option<Relayed>>,
    pub(crate) created: Monotonic,
    pub(crate) owner: Owner,
    pub(crate) origin: Origin,
    /// Set until its sockets are open.
    pub(crate) opening: Option<Box<Opening>>,
}

const _: () = assert!(offset_of!(Allocation, peers) == 128, "what packets ask of peers is in the third line");

impl Allocation {
    /// Installs or refreshes permissions, all or none (RFC 8656 section 9), and tells how many are new.
    ///
    /// # Errors
    /// A quota stands in the way: 508.
    pub(crate) fn permit(
        &mut self,
        hosts: &[IpAddr],
        now: Monotonic,
        limits: &Limits,
        hasher: &RandomState,
    ) -> Result<PeerCount, Refusal> {
        let new = hosts.iter().filter(|host| !self.peers.has_permission(**host)).count() as u32;
        let new = PeerCount { permissions: new, channels: 0 };
        if !self.account.take_peers(new, limits) {
            return Err(Refusal::InsufficientCapacity);
        }
        for host in hosts {
            self.peers.permit(*host, now, hasher);
        }
        Ok(new)
    }

    /// Binds or refreshes a channel that [`Peers::check_bind`] found free, and its permission (RFC 8656
    /// section 12), and tells what is new.
    ///
    /// # Errors
    /// A quota stands in the way: 508.
    pub(crate) fn bind(
        &mut self,
        number: ChannelNumber,
        peer: PeerAddr,
        now: Monotonic,
        limits: &Limits,
        hasher: &RandomState,
    ) -> Result<PeerCount, Refusal> {
        let new = self.peers.added_by(number, peer);
        if !self.account.take_peers(new, limits) {
            return Err(Refusal::InsufficientCapacity);
        }
        self.peers.bind(number, peer, now, hasher);
        Ok(new)
    }

    /// Prolongs, or shortens, the life of its relayed addresses: of both, or of one family's
    /// (RFC 8656 section 8.1).
    pub(crate) fn refresh(&mut self, family: Option<AddressFamily>, expires: Monotonic) {
        let both = AddressFamily::BOTH.into_iter();
        for refreshed in both.filter(|it| family.is_none_or(|family| family == *it)) {
            if let Some(relayed) = self.relayed.get_mut(refreshed) {
                relayed.expires = expires;
            }
        }
    }

    /// Removes the permissions and channels that are over, and tells how many.
    pub(crate) fn expire_peers(&mut self, now: Monotonic) -> PeerCount {
        let gone = self.peers.expire(now);
        self.account.give_back_peers(gone);
        gone
    }

    /// Removes the permissions and channels of one address family, and tells how many.
    pub(crate) fn forget_peers(&mut self, family: AddressFamily) -> PeerCount {
        let gone = self.peers.forget_family(family);
        self.account.give_back_peers(gone);
        gone
    }

    /// When the next part of it is over: a relayed address, a permission or a channel.
    pub(crate) fn next_deadline(&self) -> Option<Monotonic> {
        let relayed = self.relayed.present().map(|(_, relayed)| relayed.expires);
        relayed.chain(self.peers.next_deadline()).min()
    }
}

/// Who made it: later requests have to come from the same (RFC 8656 section 5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) user: UserId,
    pub(crate) name: OwnerName,
    /// Kept, so that a live call survives the rotation of the secret it began under.
    pub(crate) key: Key,
    pub(crate) algorithm: Algorithm,
    /// Kept, so that the call survives a change of the realm that its key is bound to.
    pub(crate) realm: Realm,
}

/// The name as the client gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum OwnerName {
    Username(Box<[u8]>),
    Userhash([u8; 32]),
}

/// What the Allocate said and was told, to answer its retransmission alike (RFC 8656 section 7.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    pub(crate) transaction: TransactionId,
    pub(crate) lifetime: u32,
    pub(crate) reservation: Option<ReservationToken>,
    /// The family of ADDITIONAL-ADDRESS-FAMILY that could not be had, and the code that says why.
    pub(crate) refused: Option<(AddressFamily, Refusal)>,
}

/// One relayed transport address.
#[derive(Debug)]
pub(crate) struct Relayed {
    /// Its port, and with it the address that it is on.
    pub(crate) port: Port,
    /// When it ends unless it is refreshed: of two, each may be refreshed by itself.
    pub(crate) expires: Monotonic,
    /// Whether the driver has its socket.
    pub(crate) open: bool,
}

/// An Allocate that waits for its sockets.
#[derive(Clone, Debug)]
pub(crate) struct Opening {
    pub(crate) reply: ReplyTo,
    /// Which other ports would do; none if the port was reserved.
    pub(crate) kind: Option<PortKind>,
    pub(crate) tries_left: u8,
}
