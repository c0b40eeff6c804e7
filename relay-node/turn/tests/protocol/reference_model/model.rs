//! The rules of RFC 8656 on plain maps, with a scan for every question.
//!
//! What is the relay's to choose, a port or a token, the model takes over from the relay's answer
//! if it was free to be chosen. What is over is in force no more, but counts until the timers run.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use stun::attribute::AddressFamily;
use turn::{DropReason, OpenError};

use super::allocation::Allocation;
use super::node::{DENIED, Limit, Node, Rules, WORKERS, worker_of};
use super::outcome::{Counts, Forwarded, Said};
use super::step::{Failures, Families, Port, Request, Wish};

/// A request as the relay sees it.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) client: usize,
    pub(crate) transaction: usize,
    /// That of its credentials.
    pub(crate) realm: String,
    pub(crate) request: Request,
}

#[derive(Clone, Debug)]
pub(crate) struct Model {
    pub(crate) rules: Rules,
    node: Node,
    workers: usize,
    /// The user of each client.
    users: Vec<Vec<u8>>,
    /// In seconds, like all times here.
    now: u64,
    /// By client.
    allocations: BTreeMap<usize, Allocation>,
    /// By token.
    reservations: BTreeMap<[u8; 8], Reservation>,
    /// Until when the deletions of clients are answered alike, by transaction.
    deletions: BTreeMap<(usize, usize), u64>,
}

#[derive(Clone, Debug)]
struct Reservation {
    user: Vec<u8>,
    address: SocketAddr,
    expires: u64,
}

impl Model {
    pub(crate) fn new(node: Node, rules: Rules, users: Vec<Vec<u8>>) -> Self {
        Self {
            rules,
            node,
            workers: WORKERS,
            users,
            now: 0,
            allocations: BTreeMap::new(),
            reservations: BTreeMap::new(),
            deletions: BTreeMap::new(),
        }
    }

    /// Time passes, and the timers run of all workers but one.
    pub(crate) fn wait(&mut self, seconds: u64, late: Option<usize>) {
        self.now += seconds;
        let (now, workers) = (self.now, self.workers);
        let on_time = |client: usize| late != Some(worker_of(client, workers));
        for (_, allocation) in self.allocations.iter_mut().filter(|(client, _)| on_time(**client)) {
            allocation.expire_peers(now);
            let over: Vec<_> = allocation.relayed.iter().filter(|(_, expires)| **expires <= now).collect();
            let over: Vec<_> = over.into_iter().map(|(address, _)| AddressFamily::of(address.ip())).collect();
            over.into_iter().for_each(|family| allocation.end(family));
        }
        self.allocations.retain(|_, allocation| !allocation.relayed.is_empty());
    }

    /// The node dies, and lives on with so many workers: nobody notices, but that nothing is late then.
    pub(crate) fn restart(&mut self, workers: usize) {
        self.wait(0, None);
        self.workers = workers;
    }

    /// Other rules: who is revoked has nothing any more.
    pub(crate) fn swap(&mut self, rules: Rules) {
        self.rules = rules;
        let bobs = |client: usize| self.rules.bob_revoked && self.users[client] == b"bob";
        self.allocations.retain(|client, _| !bobs(*client));
    }

    /// Ends a client's allocation, and tells whether there was one.
    pub(crate) fn end(&mut self, client: usize) -> bool {
        self.allocations.remove(&client).is_some()
    }

    /// What a request is answered. `said` is what the relay answered, and `failures` what it met.
    pub(crate) fn answer(&mut self, asked: &Asked, failures: &Failures, said: &Said) -> Said {
        // A live allocation goes on in the realm that it began in, but not without its user.
        let kept = self.allocations.get(&asked.client).map(|it| it.realm.as_str());
        let current = self.rules.realm();
        let refused = self.rules.refuse(&self.users[asked.client]);
        if refused || ![Some(current), kept].contains(&Some(asked.realm.as_str())) {
            let realm = Some(kept.unwrap_or(current).to_owned());
            return Said { code: 401, realm, ..Said::default() };
        }
        let answer = match &asked.request {
            Request::Allocate(wish) => self.allocate(asked, wish, failures, said),
            Request::Refresh { family, lifetime } => self
                .refresh(asked, *family, *lifetime)
                .map(|lifetime| Said { lifetime: Some(lifetime), ..Said::default() }),
            Request::Permit { peers } => self.permit(asked.client, peers).map(|()| Said::default()),
            Request::Bind { channel, peer } => {
                self.bind(asked.client, *channel, *peer).map(|()| Said::default())
            }
        };
        answer.unwrap_or_else(|code| Said { code, ..Said::default() })
    }

    fn allocate(
        &mut self,
        asked: &Asked,
        wish: &Wish,
        failures: &Failures,
        said: &Said,
    ) -> Result<Said, u16> {
        if let Some(allocation) = self.allocations.get(&asked.client) {
            let same = allocation.transaction == asked.transaction;
            return if same { Ok(allocation.said_again()) } else { Err(437) };
        }
        let families = match wish.families {
            Families::Unsaid => vec![AddressFamily::V4],
            Families::One(family) => vec![family],
            Families::Both => AddressFamily::BOTH.to_vec(),
        };
        let reserved = matches!(wish.port, Port::Reserved(_));
        if !reserved && families.iter().all(|family| self.node.address(*family).is_none()) {
            return Err(440);
        }
        let [user, total] = self.rules.limits();
        if self.of_user(asked.client).count() >= user.allocations {
            return Err(486);
        }
        if self.allocations.len() >= total.allocations {
            return Err(508);
        }
        // The fleet is asked about what the node would give, and nothing is lost by its refusal.
        if self.rules.fleet == Some(false) {
            let can_be_had = match wish.port {
                Port::Reserved(token) => self.clone().redeem(token, asked.client).is_some(),
                port => families.iter().any(|family| !self.free(*family, port).is_empty()),
            };
            return Err(if can_be_had { 486 } else { 508 });
        }

        let mut answer = Said { lifetime: Some(grant(wish.lifetime)), ..Said::default() };
        let chosen = |address: &SocketAddr| said.relayed.contains(address);
        if let Port::Reserved(token) = wish.port {
            let address = self.redeem(token, asked.client).ok_or(508_u16)?;
            if failures_of(failures, AddressFamily::of(address.ip())).is_empty() {
                answer.relayed.push(address);
            }
        } else {
            for family in families {
                let free = self.free(family, wish.port);
                // Another port is tried if somebody else has one, as long as there is another.
                let failures = failures_of(failures, family);
                let passed_over = failures.iter().all(|it| *it == OpenError::InUse) && free.len() > 1;
                match free.first() {
                    _ if self.node.address(family).is_none() => answer.refused = Some((family, 440)),
                    Some(first) if failures.is_empty() || passed_over => {
                        answer.relayed.push(free.iter().copied().find(chosen).unwrap_or(*first));
                    }
                    _ => answer.refused = Some((family, 508)),
                }
            }
        }
        if answer.relayed.is_empty() {
            return Err(508);
        }
        if wish.port == Port::Pair {
            answer.token = Some(self.reserve(asked.client, answer.relayed[0], said));
        }
        let expires = self.now + u64::from(grant(wish.lifetime));
        let allocation = Allocation {
            transaction: asked.transaction,
            realm: asked.realm.clone(),
            said: answer.clone(),
            relayed: answer.relayed.iter().map(|address| (*address, expires)).collect(),
            permissions: BTreeMap::new(),
            channels: BTreeMap::new(),
        };
        self.allocations.insert(asked.client, allocation);
        Ok(answer)
    }

    fn refresh(
        &mut self,
        asked: &Asked,
        family: Option<AddressFamily>,
        lifetime: Option<u32>,
    ) -> Result<u32, u16> {
        let now = self.now;
        let deletion = (asked.client, asked.transaction);
        if self.deletions.get(&deletion).is_some_and(|until| *until > now) {
            return Ok(0);
        }
        let allocation = self.allocations.get_mut(&asked.client).ok_or(437_u16)?;
        if family.is_some_and(|family| !allocation.has(family)) {
            return Err(443);
        }
        let families = family.map_or(AddressFamily::BOTH.to_vec(), |family| vec![family]);
        if lifetime == Some(0) {
            families.into_iter().for_each(|family| allocation.end(family));
            self.allocations.retain(|_, allocation| !allocation.relayed.is_empty());
            self.deletions.insert(deletion, now + 40);
            return Ok(0);
        }
        let granted = grant(lifetime);
        for (address, expires) in &mut allocation.relayed {
            if families.contains(&AddressFamily::of(address.ip())) {
                *expires = now + u64::from(granted);
            }
        }
        Ok(granted)
    }

    fn permit(&mut self, client: usize, peers: &[SocketAddr]) -> Result<(), u16> {
        let allocation = self.live(client)?;
        peers.iter().try_for_each(|peer| self.check(&allocation, peer))?;
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

    fn bind(&mut self, client: usize, number: u16, peer: SocketAddr) -> Result<(), u16> {
        let allocation = self.live(client)?;
        let conflict = |(taken, (by, _)): (&u16, &(SocketAddr, u64))| (*taken == number) != (*by == peer);
        if allocation.channels.iter().any(conflict) {
            return Err(400);
        }
        self.check(&allocation, &peer)?;
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
        if self.permits(client, peer) {
            return Forwarded::ToPeer(peer);
        }
        self.dropped(client, DropReason::NoPermission)
    }

    pub(crate) fn channel_data(&self, client: usize, number: u16) -> Forwarded {
        let channel = self.allocations.get(&client).and_then(|it| it.channels.get(&number));
        match channel {
            Some((peer, expires)) if *expires > self.now => Forwarded::ToPeer(*peer),
            _ => self.dropped(client, DropReason::NoChannel),
        }
    }

    pub(crate) fn peer_sends(&self, client: usize, peer: SocketAddr) -> Forwarded {
        let family = AddressFamily::of(peer.ip());
        if !self.allocations.get(&client).is_some_and(|allocation| allocation.has(family)) {
            return Forwarded::Nothing;
        }
        if !self.permits(client, peer) {
            return Forwarded::Dropped(DropReason::NoPermission);
        }
        let mut channels = self.allocations[&client].channels.iter();
        let bound = channels.find(|(_, (bound, expires))| *bound == peer && *expires > self.now);
        bound.map_or(Forwarded::AsIndication, |(number, _)| Forwarded::OnChannel(*number))
    }

    pub(crate) fn counts(&self, worker: usize) -> Counts {
        let all =
            || self.allocations.iter().filter(|it| worker_of(*it.0, self.workers) == worker).map(|it| it.1);
        Counts {
            allocations: all().count(),
            sockets: all().map(|it| it.relayed.len()).sum(),
            permissions: all().map(|it| it.permissions.len()).sum(),
            channels: all().map(|it| it.channels.len()).sum(),
        }
    }

    /// How many users have an allocation.
    pub(crate) fn users(&self) -> usize {
        self.allocations.keys().map(|client| &self.users[*client]).collect::<BTreeSet<_>>().len()
    }

    /// What a relayed address may be.
    fn free(&self, family: AddressFamily, port: Port) -> Vec<SocketAddr> {
        let Some(ip) = self.node.address(family) else { return Vec::new() };
        let relayed = self.allocations.values().flat_map(|it| it.relayed.keys());
        let waiting = self.reservations.values().filter(|it| it.expires > self.now).map(|it| &it.address);
        let taken: BTreeSet<_> = relayed.chain(waiting).copied().collect();
        let is_free = |port| self.node.ports.contains(&port) && !taken.contains(&SocketAddr::new(ip, port));
        let fits = |number: &u16| match port {
            Port::Any => is_free(*number),
            Port::Even => is_free(*number) && number.is_multiple_of(2),
            _ => is_free(*number) && number.is_multiple_of(2) && is_free(number + 1),
        };
        self.node.ports.clone().filter(fits).map(|number| SocketAddr::new(ip, number)).collect()
    }

    /// Keeps the port above `address`, under the token that was given if nobody else has it.
    fn reserve(&mut self, client: usize, mut address: SocketAddr, said: &Said) -> [u8; 8] {
        address.set_port(address.port() + 1);
        let token = said.token.filter(|token| !self.reservations.contains_key(token)).unwrap_or_default();
        let user = self.users[client].clone();
        self.reservations.insert(token, Reservation { user, address, expires: self.now + 30 });
        token
    }

    fn redeem(&mut self, token: [u8; 8], client: usize) -> Option<SocketAddr> {
        let reservation = self.reservations.get(&token)?;
        if reservation.expires <= self.now || reservation.user != self.users[client] {
            return None;
        }
        self.reservations.remove(&token).map(|reservation| reservation.address)
    }

    /// A client's allocation, without what is over: that makes room for what is asked for.
    fn live(&mut self, client: usize) -> Result<Allocation, u16> {
        let allocation = self.allocations.get_mut(&client).ok_or(437_u16)?;
        allocation.expire_peers(self.now);
        Ok(allocation.clone())
    }

    /// Whether an allocation may have this peer.
    fn check(&self, allocation: &Allocation, peer: &SocketAddr) -> Result<(), u16> {
        if !allocation.has(AddressFamily::of(peer.ip())) {
            return Err(443);
        }
        let denied = self.rules.denied && peer.ip().to_string() == DENIED;
        let private = matches!(peer.ip(), IpAddr::V4(host) if host.is_private());
        if denied || private { Err(403) } else { Ok(()) }
    }

    fn permits(&self, client: usize, peer: SocketAddr) -> bool {
        let permission = self.allocations.get(&client).and_then(|it| it.permissions.get(&peer.ip()));
        permission.is_some_and(|expires| *expires > self.now)
    }

    /// A client's packet that goes nowhere, for `reason` if it has an allocation.
    fn dropped(&self, client: usize, reason: DropReason) -> Forwarded {
        let has_any = self.allocations.contains_key(&client);
        Forwarded::Dropped(if has_any { reason } else { DropReason::NoAllocation })
    }

    fn of_user(&self, client: usize) -> impl Iterator<Item = &Allocation> {
        let user = &self.users[client];
        self.allocations.iter().filter(|(other, _)| self.users[**other] == *user).map(|(_, it)| it)
    }

    fn check_quota(&self, client: usize, permissions: usize, channels: usize) -> Result<(), u16> {
        let [user, total] = self.rules.limits();
        let fits = |of: Vec<&Allocation>, limit: Limit| {
            let has: usize = of.iter().map(|it| it.permissions.len()).sum();
            let bound: usize = of.iter().map(|it| it.channels.len()).sum();
            (permissions == 0 || has + permissions <= limit.permissions)
                && (channels == 0 || bound + channels <= limit.channels)
        };
        let allowed =
            fits(self.of_user(client).collect(), user) && fits(self.allocations.values().collect(), total);
        if allowed { Ok(()) } else { Err(508) }
    }
}

/// The lifetime that a client gets (section 7.2): 600 s at least, 3,600 s at most.
fn grant(lifetime: Option<u32>) -> u32 {
    lifetime.map_or(600, |seconds| seconds.clamp(600, 3600))
}

fn failures_of(failures: &Failures, family: AddressFamily) -> &[OpenError] {
    &failures[usize::from(family == AddressFamily::V6)]
}
