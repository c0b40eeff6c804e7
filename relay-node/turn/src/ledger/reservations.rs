//! Ports kept for a later request (RESERVATION-TOKEN, RFC 8656 section 7.2).

use std::collections::{BTreeSet, HashMap};

use crate::address::{Family, RelayPort};
use crate::credentials::UserId;
use crate::time::Monotonic;

#[derive(Debug, Default)]
pub(super) struct Reservations {
    by_token: HashMap<[u8; 8], Reservation>,
    by_time: BTreeSet<(Monotonic, [u8; 8])>,
}

#[derive(Debug)]
pub(super) struct Reservation {
    pub(super) family: Family,
    pub(super) port: RelayPort,
    pub(super) user: UserId,
    pub(super) until: Monotonic,
}

impl Reservations {
    /// There are never more than ports in a range: each holds one.
    pub(super) fn insert(&mut self, token: [u8; 8], reservation: Reservation) {
        self.by_time.insert((reservation.until, token));
        self.by_token.insert(token, reservation);
    }

    pub(super) fn take(&mut self, token: [u8; 8], user: &UserId, now: Monotonic) -> Option<Reservation> {
        let reservation = self.by_token.get(&token)?;
        if reservation.user != *user || reservation.until <= now {
            return None;
        }
        self.remove(token)
    }

    pub(super) fn remove(&mut self, token: [u8; 8]) -> Option<Reservation> {
        let gone = self.by_token.remove(&token)?;
        self.by_time.remove(&(gone.until, token));
        Some(gone)
    }

    pub(super) fn pop_expired(&mut self, now: Monotonic) -> Option<Reservation> {
        let (until, token) = *self.by_time.first()?;
        if until > now { None } else { self.remove(token) }
    }
}
