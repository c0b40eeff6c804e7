//! An allocation (RFC 8656 section 3.2): plain data, changed only by the server's steps.

use std::mem::offset_of;
use std::net::IpAddr;

use ahash::RandomState;
use stun::attribute::{AddressFamily, ChannelNumber, ReservationToken};
use stun::{Key, TransactionId};

use crate::address::{Client, Entrance, FiveTuple, PathId, PeerAddr};
use crate::credentials::{Algorithm, UserId};
use crate::ledger::{Account, PeerCount, Port};
use crate::opening::Opening;
use crate::peers::{CHANNEL_LIFETIME, PERMISSION_LIFETIME, Peers};
use crate::per_family::PerFamily;
use crate::record::{
    AllocationId, AllocationRecord, ChannelRecord, PermissionRecord, Places, RelayedRecord, Tallied,
};
use crate::refusal::Refusal;
use crate::settings::{Limits, Realm};
use crate::stats::Traffic;
use crate::time::Monotonic;

/// Aligned and in this order, so that what a packet asks is in three cache lines.
#[derive(Debug)]
#[repr(C, align(64))]
pub(crate) struct Allocation {
    pub(crate) five_tuple: FiveTuple,
    pub(crate) path: PathId,
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
        places: &mut Places,
        hasher: &RandomState,
    ) -> Result<PeerCount, Refusal> {
        let new = hosts.iter().filter(|host| !self.peers.has_permission(**host)).count() as u32;
        let new = PeerCount { permissions: new, channels: 0 };
        if !self.account.take_peers(new, limits) {
            return Err(Refusal::InsufficientCapacity);
        }
        for host in hosts {
            self.peers.permit(*host, now.after(PERMISSION_LIFETIME), places, hasher);
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
        places: &mut Places,
        hasher: &RandomState,
    ) -> Result<PeerCount, Refusal> {
        let new = self.peers.added_by(number, peer);
        if !self.account.take_peers(new, limits) {
            return Err(Refusal::InsufficientCapacity);
        }
        self.peers.permit(peer.ip(), now.after(PERMISSION_LIFETIME), places, hasher);
        self.peers.bind(number, peer, now.after(CHANNEL_LIFETIME), places, hasher);
        Ok(new)
    }

    /// Takes in what it had, the first to end first, and tells how many that are.
    pub(crate) fn take_in(
        &mut self,
        permissions: &[PermissionRecord],
        channels: &[ChannelRecord],
        places: &mut Places,
        hasher: &RandomState,
    ) -> PeerCount {
        for PermissionRecord { peer, expires, .. } in permissions {
            self.peers.permit(*peer, *expires, places, hasher);
        }
        for ChannelRecord { number, peer, expires, .. } in channels {
            self.peers.bind(*number, *peer, *expires, places, hasher);
        }
        let count = PeerCount { permissions: permissions.len() as u32, channels: channels.len() as u32 };
        self.account.claim_peers(count);
        count
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

    /// The way back to its client.
    pub(crate) const fn client(&self) -> Client {
        Client { five_tuple: self.five_tuple, path: self.path, entrance: Entrance::Direct }
    }

    /// Removes the permissions and channels that are over, and tells how many.
    pub(crate) fn expire_peers(&mut self, now: Monotonic, places: &mut Places) -> PeerCount {
        let gone = self.peers.expire(now, places);
        self.account.give_back_peers(gone);
        gone
    }

    /// Removes the permissions and channels of one address family, and tells how many.
    pub(crate) fn forget_peers(&mut self, family: AddressFamily, places: &mut Places) -> PeerCount {
        let gone = self.peers.forget_family(family, places);
        self.account.give_back_peers(gone);
        gone
    }

    /// What packets have changed of it.
    pub(crate) fn tallied(&self, limits: &Limits) -> Tallied {
        let Self { to_peers, to_client, account, .. } = self;
        Tallied { to_peers: *to_peers, to_client: *to_client, paid_at: account.paid_at(limits) }
    }

    /// What is written down of it, under its name.
    pub(crate) fn record(&self, id: AllocationId) -> AllocationRecord {
        let relayed = |it: &Relayed| RelayedRecord {
            address: it.port.address(),
            port: it.port.number(),
            expires: it.expires,
        };
        AllocationRecord {
            id,
            five_tuple: self.five_tuple,
            relayed: PerFamily::from_fn(|family| self.relayed.get(family).as_ref().map(relayed)),
            created: self.created,
            owner: self.owner.clone(),
            origin: self.origin.clone(),
            #[cfg(feature = "next-record-version")]
            novelty: Default::default(),
        }
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
