//! What the workers of a node have to agree upon: relay ports, reservations, quotas.
//!
//! Cold state behind a lock that only Allocate, CreatePermission, ChannelBind and expiry take. What a
//! packet asks, [`Ledger::in_use`] and [`Ledger::meter`], reads atomics.

mod meter;
mod ports;
mod reservations;
mod usage;

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use ports::PortKind;
pub use usage::{QuotaReached, Usage};

use crate::address::{Family, RelayPort};
use crate::credentials::UserId;
use crate::settings::Limits;
use crate::time::Monotonic;
use ports::{InUse, PortPool};
use reservations::{Reservation, Reservations};

/// The books of one node, shared by its workers.
#[derive(Debug)]
pub struct Ledger {
    books: Mutex<Books>,
    in_use: [InUse; 2],
    total: Usage,
}

#[derive(Debug)]
struct Books {
    ports: [PortPool; 2],
    reservations: Reservations,
    users: BTreeMap<UserId, Arc<Usage>>,
}

impl Ledger {
    /// Books for relayed addresses with these ports, in both families.
    pub fn new(ports: RangeInclusive<u16>) -> Self {
        Self {
            in_use: [InUse::new(&ports), InUse::new(&ports)],
            books: Mutex::new(Books {
                ports: [PortPool::new(&ports), PortPool::new(&ports)],
                reservations: Reservations::default(),
                users: BTreeMap::new(),
            }),
            total: Usage::default(),
        }
    }

    /// Takes a free port of `kind`, each as likely as the others; `random` says which.
    pub fn take_port(&self, family: Family, kind: PortKind, random: u64) -> Option<RelayPort> {
        let port = pool(&mut self.books().ports, family).take(kind, random)?;
        // Of a pair, nobody listens on the second one before its reservation is redeemed.
        self.set_in_use(family, port, true);
        Some(port)
    }

    /// Gives a port back.
    pub fn release_port(&self, family: Family, port: RelayPort) {
        self.set_in_use(family, port, false);
        pool(&mut self.books().ports, family).release(port);
    }

    /// Whether a relayed address of this node has that port. Takes no lock.
    pub fn in_use(&self, family: Family, port: RelayPort) -> bool {
        in_use(&self.in_use, family).get(port)
    }

    /// Keeps `port`, which was taken together with the one below, for `user` (RFC 8656 section 7.2).
    ///
    /// A user who keeps many waiting loses the oldest.
    pub fn reserve(&self, token: [u8; 8], family: Family, port: RelayPort, user: UserId, until: Monotonic) {
        let mut books = self.books();
        let reservation = Reservation { family, port, user, until };
        if let Some(gone) = books.reservations.insert(token, reservation) {
            pool(&mut books.ports, gone.family).release(gone.port);
        }
    }

    /// Takes the reserved port that `token` stands for, if it is `user`'s.
    pub fn redeem(&self, token: [u8; 8], user: &UserId, now: Monotonic) -> Option<(Family, RelayPort)> {
        let reservation = self.books().reservations.take(token, user, now)?;
        self.set_in_use(reservation.family, reservation.port, true);
        Some((reservation.family, reservation.port))
    }

    /// Gives a reserved port back before its time.
    pub fn cancel_reservation(&self, token: [u8; 8]) {
        let mut books = self.books();
        if let Some(gone) = books.reservations.remove(token) {
            pool(&mut books.ports, gone.family).release(gone.port);
        }
    }

    /// Gives back the ports of reservations that nobody came for.
    pub fn expire(&self, now: Monotonic) {
        let mut books = self.books();
        while let Some(gone) = books.reservations.pop_expired(now) {
            pool(&mut books.ports, gone.family).release(gone.port);
        }
    }

    /// Counts an allocation for `user`, unless a quota is reached.
    ///
    /// # Errors
    /// Which quota.
    pub fn take_allocation(&self, user: &UserId, limits: &Limits) -> Result<Arc<Usage>, QuotaReached> {
        let mut books = self.books();
        let usage = match books.users.get(user) {
            Some(usage) => Arc::clone(usage),
            None => Arc::new(Usage::of(user.clone())),
        };
        if !usage.take_allocation(limits.user.allocations) {
            return Err(QuotaReached::User);
        }
        if !self.total.take_allocation(limits.total.allocations) {
            usage.release_allocation();
            return Err(QuotaReached::Total);
        }
        books.users.entry(user.clone()).or_insert_with(|| Arc::clone(&usage));
        Ok(usage)
    }

    /// Counts an allocation no more. A user without one is forgotten.
    pub fn release_allocation(&self, usage: &Usage) {
        let mut books = self.books();
        self.total.release_allocation();
        if usage.release_allocation() == 0
            && let Some(user) = usage.user()
        {
            books.users.remove(user);
        }
    }

    /// Counts permissions and channels, all or none.
    pub fn take_peers(&self, usage: &Usage, permissions: u32, channels: u32, limits: &Limits) -> bool {
        if !usage.take_peers(permissions, channels, &limits.user) {
            return false;
        }
        let taken = self.total.take_peers(permissions, channels, &limits.total);
        if !taken {
            usage.release_peers(permissions, channels);
        }
        taken
    }

    /// Counts permissions and channels no more.
    pub fn release_peers(&self, usage: &Usage, permissions: u32, channels: u32) {
        usage.release_peers(permissions, channels);
        self.total.release_peers(permissions, channels);
    }

    /// Whether `bytes` may pass now. Takes no lock.
    pub fn meter(&self, usage: &Usage, now: Monotonic, bytes: usize, limits: &Limits) -> bool {
        let (user, total) = (limits.user.bits_per_second, limits.total.bits_per_second);
        if !usage.meter.allow(now, bytes, user) {
            return false;
        }
        let passes = self.total.meter.allow(now, bytes, total);
        if !passes {
            usage.meter.give_back(bytes, user);
        }
        passes
    }

    /// How many users have allocations.
    pub fn users(&self) -> usize {
        self.books().users.len()
    }

    /// The books stay right even if a thread died while it held them: every step leaves them whole.
    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_in_use(&self, family: Family, port: RelayPort, value: bool) {
        in_use(&self.in_use, family).set(port, value);
    }
}

fn pool(pools: &mut [PortPool; 2], family: Family) -> &mut PortPool {
    let [v4, v6] = pools;
    match family {
        Family::V4 => v4,
        Family::V6 => v6,
    }
}

fn in_use(sets: &[InUse; 2], family: Family) -> &InUse {
    let [v4, v6] = sets;
    match family {
        Family::V4 => v4,
        Family::V6 => v6,
    }
}

#[cfg(test)]
mod tests;
