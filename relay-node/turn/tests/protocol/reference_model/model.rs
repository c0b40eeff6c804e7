//! The rules of RFC 8656 on plain maps, with a scan for every question.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use turn::{Limits, Quota};

pub(crate) const LIMIT: Limits = Limits {
    user: Quota { allocations: 2, permissions: 4, channels: 3, bits_per_second: None },
    total: Quota { allocations: 4, permissions: 6, channels: 5, bits_per_second: None },
    answers: turn::AnswerLimits {
        per_source_bytes_per_second: 1_000_000,
        total_bytes_per_second: 10_000_000,
    },
};

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Forwarded {
    Nothing,
    ToPeer(SocketAddr),
    OnChannel(u16),
    AsIndication,
}

#[derive(Debug, Default)]
pub(crate) struct Model {
    /// In seconds.
    now: u64,
    /// The user of each client.
    users: Vec<Vec<u8>>,
    allocations: BTreeMap<usize, Allocation>,
}

#[derive(Debug, Default)]
struct Allocation {
    expires: u64,
    permissions: BTreeMap<IpAddr, u64>,
    channels: BTreeMap<u16, (SocketAddr, u64)>,
}

impl Model {
    pub(crate) fn new(users: impl Iterator<Item = Vec<u8>>) -> Self {
        Self { users: users.collect(), ..Self::default() }
    }

    pub(crate) fn wait(&mut self, seconds: u64) {
        self.now += seconds;
        let now = self.now;
        self.allocations.retain(|_, it| it.expires > now);
        for allocation in self.allocations.values_mut() {
            allocation.permissions.retain(|_, expires| *expires > now);
            allocation.channels.retain(|_, (_, expires)| *expires > now);
        }
    }

    pub(crate) fn allocate(&mut self, client: usize, lifetime: Option<u32>) -> Result<u32, u16> {
        if self.allocations.contains_key(&client) {
            return Err(437);
        }
        if self.of_user(client).count() as u32 >= LIMIT.user.allocations {
            return Err(486);
        }
        if self.allocations.len() as u32 >= LIMIT.total.allocations {
            return Err(508);
        }
        let granted = grant(lifetime);
        let expires = self.now + u64::from(granted);
        self.allocations.insert(client, Allocation { expires, ..Allocation::default() });
        Ok(granted)
    }

    pub(crate) fn refresh(&mut self, client: usize, lifetime: Option<u32>) -> Result<u32, u16> {
        let now = self.now;
        let allocation = self.allocations.get_mut(&client).ok_or(437_u16)?;
        if lifetime == Some(0) {
            self.allocations.remove(&client);
            return Ok(0);
        }
        let granted = grant(lifetime);
        allocation.expires = now + u64::from(granted);
        Ok(granted)
    }

    pub(crate) fn permit(&mut self, client: usize, peers: &[SocketAddr]) -> Result<(), u16> {
        let allocation = self.allocations.get(&client).ok_or(437_u16)?;
        peers.iter().try_for_each(check)?;
        if peers.is_empty() {
            return Err(400);
        }
        let hosts: BTreeSet<_> = peers.iter().map(SocketAddr::ip).collect();
        let new = hosts.iter().filter(|host| !allocation.permissions.contains_key(host)).count();
        self.check_quota(client, new, 0)?;
        let expires = self.now + 300;
        let allocation = self.allocations.get_mut(&client).ok_or(437_u16)?;
        allocation.permissions.extend(hosts.into_iter().map(|host| (host, expires)));
        Ok(())
    }

    pub(crate) fn bind(&mut self, client: usize, number: u16, peer: SocketAddr) -> Result<(), u16> {
        let allocation = self.allocations.get(&client).ok_or(437_u16)?;
        let conflict = |(taken, (by, _)): (&u16, &(SocketAddr, u64))| (*taken == number) != (*by == peer);
        if allocation.channels.iter().any(conflict) {
            return Err(400);
        }
        check(&peer)?;
        let new_permission = usize::from(!allocation.permissions.contains_key(&peer.ip()));
        let new_channel = usize::from(!allocation.channels.contains_key(&number));
        self.check_quota(client, new_permission, new_channel)?;
        let now = self.now;
        let allocation = self.allocations.get_mut(&client).ok_or(437_u16)?;
        allocation.permissions.insert(peer.ip(), now + 300);
        allocation.channels.insert(number, (peer, now + 600));
        Ok(())
    }

    pub(crate) fn send(&self, client: usize, peer: SocketAddr) -> Forwarded {
        if self.permits(client, peer) { Forwarded::ToPeer(peer) } else { Forwarded::Nothing }
    }

    pub(crate) fn channel_data(&self, client: usize, number: u16) -> Forwarded {
        let channel = self.allocations.get(&client).and_then(|it| it.channels.get(&number));
        channel.map_or(Forwarded::Nothing, |(peer, _)| Forwarded::ToPeer(*peer))
    }

    pub(crate) fn peer_sends(&self, client: usize, peer: SocketAddr) -> Forwarded {
        if !self.permits(client, peer) {
            return Forwarded::Nothing;
        }
        let bound = self.allocations[&client].channels.iter().find(|(_, (bound, _))| *bound == peer);
        bound.map_or(Forwarded::AsIndication, |(number, _)| Forwarded::OnChannel(*number))
    }

    /// Allocations, permissions, channels.
    pub(crate) fn counts(&self) -> [usize; 3] {
        let all = || self.allocations.values();
        [
            self.allocations.len(),
            all().map(|it| it.permissions.len()).sum(),
            all().map(|it| it.channels.len()).sum(),
        ]
    }

    /// How many users have an allocation.
    pub(crate) fn users(&self) -> usize {
        self.allocations.keys().map(|client| &self.users[*client]).collect::<BTreeSet<_>>().len()
    }

    fn permits(&self, client: usize, peer: SocketAddr) -> bool {
        self.allocations.get(&client).is_some_and(|it| it.permissions.contains_key(&peer.ip()))
    }

    fn of_user(&self, client: usize) -> impl Iterator<Item = &Allocation> {
        let user = &self.users[client];
        self.allocations.iter().filter(|(other, _)| self.users[**other] == *user).map(|(_, it)| it)
    }

    fn check_quota(&self, client: usize, permissions: usize, channels: usize) -> Result<(), u16> {
        let fits = |has: usize, new: usize, limit: u32| new == 0 || has + new <= limit as usize;
        let mine = |count: fn(&Allocation) -> usize| self.of_user(client).map(count).sum();
        let [_, all_permissions, all_channels] = self.counts();
        let allowed = fits(mine(|it| it.permissions.len()), permissions, LIMIT.user.permissions)
            && fits(mine(|it| it.channels.len()), channels, LIMIT.user.channels)
            && fits(all_permissions, permissions, LIMIT.total.permissions)
            && fits(all_channels, channels, LIMIT.total.channels);
        if allowed { Ok(()) } else { Err(508) }
    }
}

/// The lifetime that a client gets (section 7.2): 600 s at least, 3,600 s at most.
fn grant(lifetime: Option<u32>) -> u32 {
    lifetime.map_or(600, |seconds| seconds.clamp(600, 3600))
}

/// Whether an IPv4 allocation may have this peer.
fn check(peer: &SocketAddr) -> Result<(), u16> {
    match peer.ip() {
        IpAddr::V6(_) => Err(443),
        IpAddr::V4(host) if host.is_private() => Err(403),
        IpAddr::V4(_) => Ok(()),
    }
}
