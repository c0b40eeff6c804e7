//! The nodes that clients can be sent to, as the cluster last told.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use rand::{Rng, RngExt};
use stun::attribute::{AddressFamily, AlternateDomain};

use crate::address::{FiveTuple, Transport};
use crate::per_family::PerFamily;

/// A snapshot of the nodes that clients can be sent to.
#[derive(Debug, Default)]
pub struct Alternates {
    nodes: Vec<Alternate>,
    /// Who can be reached how.
    udp: PerFamily<Vec<Way>>,
    tcp: PerFamily<Vec<Way>>,
    tls: PerFamily<Vec<Way>>,
    chosen_by: ChosenBy,
}

/// How often each user was sent somewhere by this snapshot. Some share a cell, by the hash of their names: the
/// choices of the one are not counted then where the other has made too many, and that is all.
#[derive(Debug)]
struct ChosenBy(Box<[AtomicU32]>);

/// Cells of [`ChosenBy`].
const CELLS: usize = 1024;

/// Who is to be sent somewhere.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Traveller<'a> {
    pub(crate) five_tuple: &'a FiveTuple,
    /// The user's name, hashed.
    pub(crate) user: u64,
    /// How many allocations that user may have: no more choices count, so that nobody makes nodes look full.
    pub(crate) most: u32,
}

/// A node that clients can be sent to.
#[derive(Clone, Debug)]
pub struct Alternate {
    /// Where it is reached directly. What no client elsewhere could reach, such as a loopback address, is left out.
    pub addresses: Vec<(Transport, SocketAddr)>,
    /// What its certificate says it is called (ALTERNATE-DOMAIN), for TLS.
    pub domain: Option<Box<str>>,
    /// The addresses that its certificate names. Over TLS clients are sent to no others.
    pub certificate_covers: Vec<IpAddr>,
    /// How many allocations it can take yet: by its load, its zone, and its health.
    pub room: u32,
    /// How many clients were sent there since the count that `room` is of. Shared by the snapshots that are of
    /// the same count, and by the workers.
    pub chosen: Arc<AtomicU32>,
    /// Whether it is this node itself: a way past the load balancer, but not out of a drain.
    pub own: bool,
}

/// A place in the list of nodes, and the address there.
#[derive(Clone, Copy, Debug)]
struct Way {
    node: usize,
    address: SocketAddr,
}

/// What a client is told of where to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Target<'a> {
    pub(crate) address: SocketAddr,
    pub(crate) domain: Option<&'a str>,
}

impl Alternates {
    /// Nowhere to go.
    pub fn none() -> Self {
        Self::default()
    }

    /// These nodes, each at every address that is of use to a client.
    pub fn new(mut nodes: Vec<Alternate>) -> Self {
        let mut known = Self::default();
        for node in &mut nodes {
            // RFC 8489 section 14.16: no client reads a longer one.
            node.domain.take_if(|domain| domain.len() > AlternateDomain::MAX_LEN);
        }
        for (place, node) in nodes.iter().enumerate() {
            for (transport, address) in &node.addresses {
                let address = SocketAddr::new(address.ip().to_canonical(), address.port());
                let covered = *transport != Transport::Tls || node.covers(address.ip());
                if covered && is_of_use(address) {
                    let family = AddressFamily::of(address.ip());
                    known.ways_mut(*transport).get_mut(family).push(Way { node: place, address });
                }
            }
        }
        Self { nodes, ..known }
    }

    /// Chooses for a client, and counts the choice: of two taken at random from those that fit, the one with more
    /// room. So nobody is sent to a full node, and a crowd is not sent to one alone.
    pub(crate) fn choose(
        &self,
        client: &Traveller<'_>,
        draining: bool,
        random: &mut impl Rng,
    ) -> Option<Target<'_>> {
        let Traveller { five_tuple, user, most } = *client;
        let FiveTuple { client, server, transport } = *five_tuple;
        let fits = |way: &&Way| {
            let node = self.nodes.get(way.node);
            way.address != server.get() && node.is_some_and(|node| node.left() > 0 && !(draining && node.own))
        };
        let ways = self.ways(transport).get(client.family());
        let fitting = ways.iter().filter(fits).count();
        if fitting == 0 {
            return None;
        }
        let first = random.random_range(0..fitting);
        let second = (first + random.random_range(0..fitting.max(2) - 1) + 1) % fitting;
        let candidates = [first, second].map(|n| ways.iter().filter(fits).nth(n));
        let left = |way: &&Way| self.nodes.get(way.node).map(Alternate::left);
        let way = candidates.into_iter().flatten().max_by_key(left)?;
        let node = self.nodes.get(way.node)?;
        if self.chosen_by.counts(user, most) {
            node.chosen.fetch_add(1, Ordering::Relaxed);
        }
        let domain = node.domain.as_deref().filter(|_| transport == Transport::Tls);
        Some(Target { address: way.address, domain })
    }

    const fn ways(&self, transport: Transport) -> &PerFamily<Vec<Way>> {
        match transport {
            Transport::Udp => &self.udp,
            Transport::Tcp => &self.tcp,
            Transport::Tls => &self.tls,
        }
    }

    const fn ways_mut(&mut self, transport: Transport) -> &mut PerFamily<Vec<Way>> {
        match transport {
            Transport::Udp => &mut self.udp,
            Transport::Tcp => &mut self.tcp,
            Transport::Tls => &mut self.tls,
        }
    }
}

impl Default for ChosenBy {
    fn default() -> Self {
        Self((0..CELLS).map(|_| AtomicU32::new(0)).collect())
    }
}

impl ChosenBy {
    /// Counts one more for a user, unless it has had as many as it may.
    fn counts(&self, user: u64, most: u32) -> bool {
        let Some(cell) = self.0.get(user as usize % CELLS) else { return false };
        let more = |count: u32| (count < most).then_some(count + 1);
        cell.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
    }
}

impl Alternate {
    fn covers(&self, address: IpAddr) -> bool {
        self.certificate_covers.iter().any(|covered| covered.to_canonical() == address)
    }

    /// How much of its room is left, if everybody who was sent there came.
    fn left(&self) -> u32 {
        self.room.saturating_sub(self.chosen.load(Ordering::Relaxed))
    }
}

/// Whether a client elsewhere can be meant by it.
fn is_of_use(address: SocketAddr) -> bool {
    let ip = address.ip();
    let link_local = match ip {
        IpAddr::V4(v4) => v4.is_link_local() || v4.is_broadcast(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    };
    address.port() != 0 && !(ip.is_loopback() || ip.is_unspecified() || ip.is_multicast() || link_local)
}
