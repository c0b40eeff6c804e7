//! What the workers of a node have to agree upon: relay ports, reservations, quotas.
//!
//! Cold state behind locks that only Allocate, Refresh and expiry take. What a packet asks,
//! [`Ledger::holder`], [`Ledger::is_open_beside`] and [`Account::meter`], reads atomics. What is taken is a value that gives itself
//! back when it is dropped: a [`Port`], an [`Account`].

mod account;
mod meter;
mod open_ports;
mod pool;
mod ports;
mod reservations;
mod usage;
mod users;

use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use stun::attribute::{AddressFamily, ReservationToken};

pub use account::{Account, PaidAt};
pub use open_ports::{Neighbour, OpenPorts};
pub use pool::PortKind;
pub use ports::{Holder, Port, PortLoss, WorkerId};
pub use usage::{PeerCount, QuotaReached};

use crate::address::RelayPort;
use crate::credentials::UserId;
use crate::per_family::PerFamily;
use crate::record::ReservationRecord;
use crate::relay_address::{RelayAddress, RelayAddresses};
use crate::settings::Limits;
use crate::time::Monotonic;
use ports::Ports;
use reservations::{Reservation, Reservations};
use usage::Usage;
use users::Users;

/// The books of one node, shared by its workers.
///
/// The addresses and ports of relayed addresses are the same as long as it lives: a live allocation
/// cannot come to be on an address that is no longer the node's.
#[derive(Debug)]
pub struct Ledger {
    ports: PerFamily<Option<Arc<Ports>>>,
    /// What neighbours have open on the same addresses.
    beside: ArcSwap<PerFamily<Vec<&'static OpenPorts>>>,
    books: Mutex<Books>,
    total: Usage,
}

#[derive(Debug, Default)]
struct Books {
    reservations: Reservations,
    users: Users,
}

impl Ledger {
    /// Books for relayed addresses on `relay`, with these ports on each.
    pub fn new(relay: RelayAddresses, ports: RangeInclusive<u16>) -> Self {
        Self::make(relay, &ports, None)
    }

    /// The same, and others of this node see in `open`, which is empty, what relayed addresses it has.
    pub fn publishing(relay: RelayAddresses, ports: RangeInclusive<u16>, open: &'static OpenPorts) -> Self {
        Self::make(relay, &ports, Some(open))
    }

    fn make(
        relay: RelayAddresses,
        ports: &RangeInclusive<u16>,
        published: Option<&'static OpenPorts>,
    ) -> Self {
        let of = |address: RelayAddress| Arc::new(Ports::new(address, ports, published));
        Self {
            ports: PerFamily::from_fn(|family| relay.get(family).map(of)),
            beside: ArcSwap::default(),
            books: Mutex::default(),
            total: Usage::default(),
        }
    }

    /// What relayed addresses of a family are made of, if it is relayed at all.
    pub fn relay_address(&self, family: AddressFamily) -> Option<RelayAddress> {
        self.ports.get(family).as_ref().map(|ports| ports.address)
    }

    /// From now on it is beside these, and no others: it takes none of the ports that they have open, and its
    /// clients reach theirs.
    pub fn set_neighbours(&self, neighbours: &[Neighbour]) {
        let of = |family| {
            let here = |it: &&Neighbour| *it.relay.get(family) == self.relay_address(family);
            neighbours.iter().filter(here).map(|it| it.open).collect()
        };
        self.beside.store(Arc::new(PerFamily::from_fn(of)));
    }

    /// Whether the relayed address that has this port on the node's relay address is a neighbour's. Takes no
    /// lock.
    #[inline(never)]
    pub fn is_open_beside(&self, family: AddressFamily, port: RelayPort) -> bool {
        self.beside.load().get(family).iter().any(|open| open.contains(family, port))
    }

    /// Takes a free port of `kind`, each as likely as the others; `random` says which. With
    /// [`PortKind::EvenAndNext`] the next one comes too. None of a neighbour's is free.
    pub fn take_port(
        &self,
        family: AddressFamily,
        kind: PortKind,
        random: u64,
    ) -> Option<(Port, Option<Port>)> {
        let elsewhere = |port| self.is_open_beside(family, port);
        self.ports.get(family).as_ref()?.take(kind, random, elsewhere)
    }

    /// Takes a port by its name, as a record has it: of a neighbour too, from whom it may be taken over.
    ///
    /// # Errors
    /// Why it cannot be had.
    pub fn claim_port(&self, address: RelayAddress, port: RelayPort) -> Result<Port, PortLoss> {
        let ports = self.ports.get(AddressFamily::of(address.bind)).as_ref();
        ports.filter(|ports| ports.address == address).ok_or(PortLoss::AddressGone)?.claim(port)
    }

    /// Whose the live relayed address is that has this port on the node's relay address. Takes no lock.
    #[inline(never)]
    pub fn holder(&self, family: AddressFamily, port: RelayPort) -> Option<Holder> {
        self.ports.get(family).as_ref()?.holder(port)
    }

    /// Keeps `port` for `user` (RFC 8656 section 7.2). A user who keeps many waiting loses the oldest.
    pub fn reserve(&self, token: [u8; 8], port: Port, user: UserId, until: Monotonic) {
        self.books().reservations.insert(token, Reservation { port, user, until });
    }

    /// Takes the reserved port that `token` stands for, if it is `user`'s, and tells until when it was kept.
    pub fn redeem(&self, token: [u8; 8], user: &UserId, now: Monotonic) -> Option<(Port, Monotonic)> {
        let reservation = self.books().reservations.take(token, user, now)?;
        Some((reservation.port, reservation.until))
    }

    /// The reservation that `token` stands for, as it is to be recorded.
    pub(crate) fn reservation(&self, token: ReservationToken) -> Option<ReservationRecord> {
        self.books().reservations.get(token.0).map(|reservation| ReservationRecord {
            address: reservation.port.address(),
            port: reservation.port.number(),
            user: reservation.user.clone(),
            token,
            until: reservation.until,
        })
    }

    /// Gives a reserved port back before its time.
    pub fn cancel_reservation(&self, token: [u8; 8]) {
        self.books().reservations.remove(token);
    }

    /// Gives back the ports of reservations that nobody came for, and forgets users who have nothing left.
    pub fn expire(&self, now: Monotonic) {
        let mut books = self.books();
        books.reservations.expire(now);
        books.users.forget_paid(now);
    }

    /// Counts an allocation for `user`, unless a quota is reached.
    ///
    /// # Errors
    /// Which quota.
    pub fn open_account(self: &Arc<Self>, user: &UserId, limits: &Limits) -> Result<Account, QuotaReached> {
        let mut books = self.books();
        let usage = books.users.usage_of(user);
        if !usage.take_allocation(limits.user.allocations) {
            return Err(QuotaReached::User);
        }
        if !self.total.take_allocation(limits.total.allocations) {
            usage.release_allocation();
            return Err(QuotaReached::Total);
        }
        books.users.remember(&usage);
        Ok(Account { ledger: Arc::clone(self), usage, peers: PeerCount::default() })
    }

    /// Counts an allocation that is there already, whatever the quotas are now.
    pub fn claim_account(self: &Arc<Self>, user: &UserId) -> Account {
        let mut books = self.books();
        let usage = books.users.usage_of(user);
        usage.claim_allocation();
        self.total.claim_allocation();
        books.users.remember(&usage);
        Account { ledger: Arc::clone(self), usage, peers: PeerCount::default() }
    }

    /// How many users have allocations.
    pub fn users(&self) -> usize {
        self.books().users.with_allocations()
    }

    /// How many allocations `user` has on this node, counting those that are about to be.
    pub fn allocations_of(&self, user: &UserId) -> u32 {
        self.books().users.allocations_of(user)
    }

    /// Up to `max` users who got or gave back allocations since they were told here, and how many each has now.
    /// The first time it tells of all who have any, and nothing is noted before. Where tens of thousands wait
    /// to be told of, those who give back their last one are left out.
    pub fn changed_users(&self, max: usize) -> Vec<(UserId, u32)> {
        self.books().users.take_changed(max)
    }

    /// Counts an allocation no more.
    fn close(&self, usage: &Usage) {
        let mut books = self.books();
        self.total.release_allocation();
        books.users.release(usage, usage.release_allocation());
    }

    /// The books stay right even if a thread died while it held them: every step leaves them whole.
    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
