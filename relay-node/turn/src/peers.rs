//! The peers of one allocation: its permissions (RFC 8656 section 9) and channels (section 12).

use std::net::IpAddr;
use std::time::Duration;

use ahash::RandomState;
use stun::attribute::{AddressFamily, ChannelNumber};

use crate::address::PeerAddr;
use crate::expiring::Expiring;
use crate::ledger::PeerCount;
use crate::record::{Place, Places};
use crate::time::Monotonic;

/// How long a permission lasts (RFC 8656 section 9).
pub(crate) const PERMISSION_LIFETIME: Duration = Duration::from_secs(300);
/// How long a channel stays bound (RFC 8656 section 12).
pub(crate) const CHANNEL_LIFETIME: Duration = Duration::from_secs(600);

/// Packets ask for the same peer again and again, so all that they ask stands in front, in one cache line.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Peers {
    last: Option<Known>,
    /// With the place of each one's record.
    permissions: Expiring<IpAddr, Place>,
    channels: Expiring<ChannelNumber, (PeerAddr, Place)>,
    /// The channels once more, by their peers.
    bound: Expiring<PeerAddr, ChannelNumber>,
}

/// All that packets ask of one peer, until something changes.
#[derive(Clone, Copy, Debug)]
struct Known {
    peer: PeerAddr,
    permitted_until: Monotonic,
    /// The channel that it is bound to, and until when.
    channel: Option<(ChannelNumber, Monotonic)>,
}

const _: () = assert!(size_of::<Option<Known>>() <= 64);

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
        Self { last: None, permissions: Expiring::new(), channels: Expiring::new(), bound: Expiring::new() }
    }

    /// Whether packets may pass to and from `peer` now.
    pub(crate) fn permits(&mut self, peer: PeerAddr, now: Monotonic) -> bool {
        self.known(peer, now).is_some()
    }

    /// Whether there is an entry for `peer`, so that a new permission costs none.
    pub(crate) fn has_permission(&self, peer: IpAddr) -> bool {
        self.permissions.get(&peer).is_some()
    }

    /// The peer that `number` is bound to now.
    pub(crate) fn peer_of(&mut self, number: ChannelNumber, now: Monotonic) -> Option<PeerAddr> {
        if let Some(last) = &self.last
            && let Some((channel, until)) = last.channel
            && channel == number
        {
            return (until > now).then_some(last.peer);
        }
        let ((peer, _), until) = self.channels.get(&number)?;
        let peer = Some(*peer).filter(|_| until > now)?;
        // Who is known already stays so until this one sends something: of two that a client sends to in
        // turn, each costs one look.
        if self.last.is_none() {
            self.known(peer, now);
        }
        Some(peer)
    }

    /// How a packet from `peer` goes on now; not at all without a permission.
    pub(crate) fn way_from(&mut self, peer: PeerAddr, now: Monotonic) -> Option<Way> {
        Some(match self.known(peer, now)?.channel {
            Some((number, until)) if until > now => Way::Channel(number),
            _ => Way::Indication,
        })
    }

    /// What packets ask of `peer`, if it is permitted now. Strangers leave no trace.
    #[inline]
    fn known(&mut self, peer: PeerAddr, now: Monotonic) -> Option<&Known> {
        if self.last.as_ref().is_none_or(|last| last.peer != peer) {
            self.last = Some(self.look_up(peer, now)?);
        }
        self.last.as_ref().filter(|last| last.permitted_until > now)
    }

    #[inline(never)]
    fn look_up(&self, peer: PeerAddr, now: Monotonic) -> Option<Known> {
        let (_, permitted_until) = self.permissions.get(&peer.ip()).filter(|(_, until)| *until > now)?;
        let channel = self.bound.get(&peer).map(|(number, until)| (*number, until));
        Some(Known { peer, permitted_until, channel })
    }

    /// The place of the permission for `peer`, and when it ends.
    pub(crate) fn permission(&self, peer: IpAddr) -> Option<(Place, Monotonic)> {
        self.permissions.get(&peer).map(|(place, expires)| (*place, expires))
    }

    /// What `number` is bound to, the place of that, and when it ends.
    pub(crate) fn channel(&self, number: ChannelNumber) -> Option<(PeerAddr, Place, Monotonic)> {
        self.channels.get(&number).map(|((peer, place), expires)| (*peer, *place, expires))
    }

    /// All permissions, with when each ends.
    pub(crate) fn permissions(&self) -> impl Iterator<Item = (IpAddr, Monotonic)> {
        self.permissions.iter().map(|(peer, _, expires)| (*peer, expires))
    }

    /// All channels, with what each is bound to and when it ends.
    pub(crate) fn channels(&self) -> impl Iterator<Item = (ChannelNumber, PeerAddr, Monotonic)> {
        self.channels.iter().map(|(number, (peer, _), expires)| (*number, *peer, expires))
    }

    /// Installs or refreshes the permission for `peer`.
    pub(crate) fn permit(
        &mut self,
        peer: IpAddr,
        expires: Monotonic,
        places: &mut Places,
        hasher: &RandomState,
    ) {
        self.last = None;
        let place = self.permission(peer).map_or_else(|| places.permissions.take(), |(place, _)| place);
        self.permissions.set(peer, place, expires, hasher);
    }

    /// Whether `number` may be bound to `peer`.
    pub(crate) fn check_bind(&self, number: ChannelNumber, peer: PeerAddr) -> Result<(), BindConflict> {
        if self.channel(number).is_some_and(|(taken, ..)| taken != peer) {
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

    /// Binds or refreshes a channel that [`Self::check_bind`] found free.
    pub(crate) fn bind(
        &mut self,
        number: ChannelNumber,
        peer: PeerAddr,
        expires: Monotonic,
        places: &mut Places,
        hasher: &RandomState,
    ) {
        self.last = None;
        let place = self.channel(number).map_or_else(|| places.channels.take(), |(_, place, _)| place);
        self.channels.set(number, (peer, place), expires, hasher);
        self.bound.set(peer, number, expires, hasher);
    }

    /// Removes what is over, and tells how much that was.
    pub(crate) fn expire(&mut self, now: Monotonic, places: &mut Places) -> PeerCount {
        let Places { permissions, channels } = places;
        self.removed_by(|peers| {
            peers.permissions.expire(now, |place| permissions.give_back(place));
            peers.channels.expire(now, |(_, place)| channels.give_back(place));
            peers.bound.expire(now, drop);
        })
    }

    /// Removes the permissions and channels of one address family: its relayed address is gone.
    ///
    /// It looks at all of them, once in the life of an allocation: each took a request to make.
    pub(crate) fn forget_family(&mut self, family: AddressFamily, places: &mut Places) -> PeerCount {
        let Places { permissions, channels } = places;
        let stays = |peer: IpAddr| AddressFamily::of(peer) != family;
        self.removed_by(|peers| {
            peers.permissions.retain(|peer, _| stays(*peer), |place| permissions.give_back(place));
            peers.channels.retain(|_, (peer, _)| stays(peer.ip()), |(_, place)| channels.give_back(place));
            peers.bound.retain(|peer, _| stays(peer.ip()), drop);
        })
    }

    /// Gives the places of all of them back, at the end of their allocation.
    pub(crate) fn vacate(&mut self, places: &mut Places) {
        let Self { permissions, channels, .. } = std::mem::replace(self, Self::new());
        permissions.into_values().for_each(|place| places.permissions.give_back(place));
        channels.into_values().for_each(|(_, place)| places.channels.give_back(place));
    }

    /// When the next of them is over.
    pub(crate) fn next_deadline(&self) -> Option<Monotonic> {
        self.permissions.next_deadline().into_iter().chain(self.channels.next_deadline()).min()
    }

    fn removed_by(&mut self, remove: impl FnOnce(&mut Self)) -> PeerCount {
        let before = self.count();
        self.last = None;
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn peer(n: u8) -> PeerAddr {
        // Three ports on each of two hosts of both families.
        let host = if n.is_multiple_of(2) { "192.0.2.1" } else { "2001:db8::1" };
        PeerAddr::new((host.parse::<IpAddr>().unwrap(), 7000 + u16::from(n / 2)).into())
    }

    fn channel(n: u8) -> ChannelNumber {
        ChannelNumber::new(0x4000 + u16::from(n)).unwrap()
    }

    proptest! {
        /// Against one that is asked everything for the first time.
        #[test]
        fn what_is_known_of_the_last_peer_is_what_would_be_found(
            steps in proptest::collection::vec((0..8u8, 0..6u8, 0..6u8, 0..900u64), 0..200)
        ) {
            let hasher = RandomState::with_seeds(1, 2, 3, 4);
            let [mut peers, mut forgetful] = [(); 2].map(|()| (Peers::new(), Places::default()));
            let mut now = Monotonic::from_nanos(1);
            for (step, n, number, seconds) in steps {
                for (peers, places) in [&mut peers, &mut forgetful] {
                    match step {
                        0 => peers.permit(peer(n).ip(), now.after(PERMISSION_LIFETIME), places, &hasher),
                        1 if peers.check_bind(channel(number), peer(n)).is_ok() => {
                            peers.permit(peer(n).ip(), now.after(PERMISSION_LIFETIME), places, &hasher);
                            let expires = now.after(CHANNEL_LIFETIME);
                            peers.bind(channel(number), peer(n), expires, places, &hasher);
                        }
                        2 => drop(peers.expire(now, places)),
                        3 => drop(peers.forget_family(AddressFamily::of(peer(n).ip()), places)),
                        _ => {}
                    }
                }
                let ((peers, _), (forgetful, _)) = (&mut peers, &mut forgetful);
                if step == 4 {
                    now = now.after(Duration::from_secs(seconds));
                }
                // Only some are asked for, so that one stays the last for a while.
                forgetful.last = None;
                let way = forgetful.way_from(peer(n), now);
                prop_assert_eq!(peers.way_from(peer(n), now), way);
                prop_assert_eq!(peers.permits(peer(n), now), way.is_some());
                forgetful.last = None;
                let bound = forgetful.peer_of(channel(number), now);
                prop_assert_eq!(peers.peer_of(channel(number), now), bound);
            }
        }
    }
}
