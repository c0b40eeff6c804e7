//! The peers of one allocation: its permissions (RFC 8656 section 9) and channels (section 12).

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use ahash::RandomState;
use stun::attribute::{AddressFamily, ChannelNumber};

use crate::address::PeerAddr;
use crate::ledger::PeerCount;
use crate::time::Monotonic;

/// How long a permission lasts (RFC 8656 section 9).
pub(crate) const PERMISSION_LIFETIME: Duration = Duration::from_secs(300);
/// How long a channel stays bound (RFC 8656 section 12).
pub(crate) const CHANNEL_LIFETIME: Duration = Duration::from_secs(600);

#[derive(Debug)]
pub(crate) struct Peers {
    permissions: HashMap<IpAddr, Monotonic, RandomState>,
    channels: HashMap<ChannelNumber, Channel, RandomState>,
    bound: HashMap<PeerAddr, BoundPeer, RandomState>,
}

#[derive(Debug)]
struct Channel {
    peer: PeerAddr,
    expires: Monotonic,
}

/// The channel and the permission of a peer in one place: a packet from it costs one look-up, which
/// with many allocations is one cache miss in place of three.
#[derive(Debug)]
struct BoundPeer {
    number: ChannelNumber,
    expires: Monotonic,
    permitted_until: Monotonic,
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
    pub(crate) fn new(hasher: &RandomState) -> Self {
        Self {
            permissions: HashMap::with_hasher(hasher.clone()),
            channels: HashMap::with_hasher(hasher.clone()),
            bound: HashMap::with_hasher(hasher.clone()),
        }
    }

    /// Whether packets may pass to and from `peer` now.
    pub(crate) fn permits(&self, peer: IpAddr, now: Monotonic) -> bool {
        self.permissions.get(&peer).is_some_and(|expires| *expires > now)
    }

    /// Whether there is an entry for `peer`, so that a new permission costs none.
    pub(crate) fn has_permission(&self, peer: IpAddr) -> bool {
        self.permissions.contains_key(&peer)
    }

    /// The peer that `number` is bound to now.
    pub(crate) fn peer_of(&self, number: ChannelNumber, now: Monotonic) -> Option<PeerAddr> {
        self.channels.get(&number).filter(|channel| channel.expires > now).map(|channel| channel.peer)
    }

    /// How a packet from `peer` goes on now; not at all without a permission.
    pub(crate) fn way_from(&self, peer: PeerAddr, now: Monotonic) -> Option<Way> {
        match self.bound.get(&peer) {
            Some(bound) if bound.permitted_until <= now => None,
            Some(bound) if bound.expires > now => Some(Way::Channel(bound.number)),
            Some(_) => Some(Way::Indication),
            None => self.permits(peer.ip(), now).then_some(Way::Indication),
        }
    }

    /// Installs or refreshes the permission for `peer`.
    pub(crate) fn permit(&mut self, peer: IpAddr, now: Monotonic) -> Monotonic {
        let expires = now.after(PERMISSION_LIFETIME);
        self.permissions.insert(peer, expires);
        for (_, bound) in self.bound.iter_mut().filter(|(address, _)| address.ip() == peer) {
            bound.permitted_until = expires;
        }
        expires
    }

    /// Whether `number` may be bound to `peer`.
    pub(crate) fn check_bind(&self, number: ChannelNumber, peer: PeerAddr) -> Result<(), BindConflict> {
        if self.channels.get(&number).is_some_and(|channel| channel.peer != peer) {
            return Err(BindConflict::NumberTaken);
        }
        if self.bound.get(&peer).is_some_and(|bound| bound.number != number) {
            return Err(BindConflict::PeerTaken);
        }
        Ok(())
    }

    /// What new entries it takes to bind `number` to `peer`.
    pub(crate) fn added_by(&self, number: ChannelNumber, peer: PeerAddr) -> PeerCount {
        PeerCount {
            permissions: u32::from(!self.has_permission(peer.ip())),
            channels: u32::from(!self.channels.contains_key(&number)),
        }
    }

    /// Binds or refreshes a channel that [`Self::check_bind`] found free, and its permission.
    pub(crate) fn bind(&mut self, number: ChannelNumber, peer: PeerAddr, now: Monotonic) -> Monotonic {
        let expires = now.after(CHANNEL_LIFETIME);
        let permitted_until = self.permit(peer.ip(), now);
        self.channels.insert(number, Channel { peer, expires });
        self.bound.insert(peer, BoundPeer { number, expires, permitted_until });
        permitted_until.min(expires)
    }

    /// Removes what is over, and tells how much that was.
    pub(crate) fn expire(&mut self, now: Monotonic) -> PeerCount {
        let before = self.count();
        self.permissions.retain(|_, expires| *expires > now);
        let bound = &mut self.bound;
        self.channels.retain(|_, channel| {
            let lives = channel.expires > now;
            if !lives {
                bound.remove(&channel.peer);
            }
            lives
        });
        let after = self.count();
        PeerCount {
            permissions: before.permissions - after.permissions,
            channels: before.channels - after.channels,
        }
    }

    /// Removes the permissions and channels of one address family: its relayed address is gone.
    pub(crate) fn forget_family(&mut self, family: AddressFamily) -> PeerCount {
        let before = self.count();
        self.permissions.retain(|peer, _| AddressFamily::of(*peer) != family);
        self.channels.retain(|_, channel| AddressFamily::of(channel.peer.ip()) != family);
        self.bound.retain(|peer, _| AddressFamily::of(peer.ip()) != family);
        let after = self.count();
        PeerCount {
            permissions: before.permissions - after.permissions,
            channels: before.channels - after.channels,
        }
    }

    /// When the next of them is over.
    pub(crate) fn next_deadline(&self) -> Option<Monotonic> {
        let permissions = self.permissions.values().copied();
        permissions.chain(self.channels.values().map(|channel| channel.expires)).min()
    }

    /// How many there are, expired ones included until [`Self::expire`].
    fn count(&self) -> PeerCount {
        PeerCount { permissions: self.permissions.len() as u32, channels: self.channels.len() as u32 }
    }
}
