//! The peers of one allocation: its permissions (RFC 8656 section 9) and channels (section 12).

use std::net::IpAddr;
use std::time::Duration;

use ahash::RandomState;
use stun::attribute::{AddressFamily, ChannelNumber};

use crate::address::PeerAddr;
use crate::expiring::Expiring;
use crate::ledger::PeerCount;
use crate::time::Monotonic;

/// How long a permission lasts (RFC 8656 section 9).
pub(crate) const PERMISSION_LIFETIME: Duration = Duration::from_secs(300);
/// How long a channel stays bound (RFC 8656 section 12).
pub(crate) const CHANNEL_LIFETIME: Duration = Duration::from_secs(600);

#[derive(Debug)]
pub(crate) struct Peers {
    permissions: Expiring<IpAddr, ()>,
    channels: Expiring<ChannelNumber, PeerAddr>,
    /// The channels once more, by their peers.
    bound: Expiring<PeerAddr, ChannelNumber>,
}

/// How a packet from a peer goes on to the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Channel(ChannelNumber),
    Indication,
}

/// A ChannelBind that contradicts a live binding (RFC 8656 section 12.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BindConflict {
    NumberTaken,
    PeerTaken,
}

impl Peers {
    pub(crate) fn new() -> Self {
        Self { permissions: Expiring::new(), channels: Expiring::new(), bound: Expiring::new() }
    }

    /// Whether packets may pass to and from `peer` now.
    pub(crate) fn permits(&self, peer: IpAddr, now: Monotonic) -> bool {
        self.permissions.get(&peer).is_some_and(|((), expires)| expires > now)
    }

    /// Whether there is an entry for `peer`, so that a new permission costs none.
    pub(crate) fn has_permission(&self, peer: IpAddr) -> bool {
        self.permissions.get(&peer).is_some()
    }

    /// The peer that `number` is bound to now.
    pub(crate) fn peer_of(&self, number: ChannelNumber, now: Monotonic) -> Option<PeerAddr> {
        self.channels.get(&number).filter(|(_, expires)| *expires > now).map(|(peer, _)| *peer)
    }

    /// How a packet from `peer` goes on now; not at all without a permission.
    pub(crate) fn way_from(&self, peer: PeerAddr, now: Monotonic) -> Option<Way> {
        if !self.permits(peer.ip(), now) {
            return None;
        }
        match self.bound.get(&peer) {
            Some((number, expires)) if expires > now => Some(Way::Channel(*number)),
            _ => Some(Way::Indication),
        }
    }

    /// Installs or refreshes the permission for `peer`.
    pub(crate) fn permit(&mut self, peer: IpAddr, now: Monotonic, hasher: &RandomState) {
        self.permissions.set(peer, (), now.after(PERMISSION_LIFETIME), hasher);
    }

    /// Whether `number` may be bound to `peer`.
    pub(crate) fn check_bind(&self, number: ChannelNumber, peer: PeerAddr) -> Result<(), BindConflict> {
        if self.channels.get(&number).is_some_and(|(taken, _)| *taken != peer) {
            return Err(BindConflict::NumberTaken);
        }
        if self.bound.get(&peer).is_some_and(|(taken, _)| *taken != number) {
            return Err(BindConflict::PeerTaken);
        }
        Ok(())
    }

    /// What new entries it takes to bind `number` to `peer`.
    pub(crate) fn added_by(&self, number: ChannelNumber, peer: PeerAddr) -> PeerCount {
        PeerCount {
            permissions: u32::from(!self.has_permission(peer.ip())),
            channels: u32::from(self.channels.get(&number).is_none()),
        }
    }

    /// Binds or refreshes a channel that [`Self::check_bind`] found free, and its permission.
    pub(crate) fn bind(
        &mut self,
        number: ChannelNumber,
        peer: PeerAddr,
        now: Monotonic,
        hasher: &RandomState,
    ) {
        let expires = now.after(CHANNEL_LIFETIME);
        self.permit(peer.ip(), now, hasher);
        self.channels.set(number, peer, expires, hasher);
        self.bound.set(peer, number, expires, hasher);
    }

    /// Removes what is over, and tells how much that was.
    pub(crate) fn expire(&mut self, now: Monotonic) -> PeerCount {
        self.removed_by(|peers| {
            peers.permissions.expire(now);
            peers.channels.expire(now);
            peers.bound.expire(now);
        })
    }

    /// Removes the permissions and channels of one address family: its relayed address is gone.
    ///
    /// It looks at all of them, once in the life of an allocation: each took a request to make.
    pub(crate) fn forget_family(&mut self, family: AddressFamily) -> PeerCount {
        self.removed_by(|peers| {
            peers.permissions.retain(|peer, ()| AddressFamily::of(*peer) != family);
            peers.bound.retain(|peer, _| AddressFamily::of(peer.ip()) != family);
            peers.channels.retain(|_, peer| AddressFamily::of(peer.ip()) != family);
        })
    }

    /// When the next of them is over.
    pub(crate) fn next_deadline(&self) -> Option<Monotonic> {
        self.permissions.next_deadline().into_iter().chain(self.channels.next_deadline()).min()
    }

    fn removed_by(&mut self, remove: impl FnOnce(&mut Self)) -> PeerCount {
        let before = self.count();
        remove(self);
        let after = self.count();
        PeerCount {
            permissions: before.permissions - after.permissions,
            channels: before.channels - after.channels,
        }
    }

    /// How many there are, expired ones included until [`Self::expire`].
    fn count(&self) -> PeerCount {
        PeerCount { permissions: self.permissions.len() as u32, channels: self.channels.len() as u32 }
    }
}
