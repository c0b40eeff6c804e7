//! Ports kept for a later request (RESERVATION-TOKEN, RFC 8656 section 7.2).

use std::collections::{BTreeMap, BTreeSet};

use super::ports::Port;
use crate::credentials::UserId;
use crate::time::Monotonic;

/// How many ports one user can keep waiting. No quota counts them, and one user must not keep all.
const MOST_OF_A_USER: usize = 64;

#[derive(Debug, Default)]
pub(super) struct Reservations {
    by_token: BTreeMap<[u8; 8], Reservation>,
    by_time: BTreeSet<(Monotonic, [u8; 8])>,
    by_user: BTreeMap<UserId, BTreeSet<(Monotonic, [u8; 8])>>,
}

#[derive(Debug)]
pub(super) struct Reservation {
    pub(super) port: Port,
    pub(super) user: UserId,
    pub(super) until: Monotonic,
}

impl Reservations {
    /// Writes a reservation down. It takes the place of one with the same token, or of the oldest of a
    /// user who has too many.
    pub(super) fn insert(&mut self, token: [u8; 8], reservation: Reservation) {
        self.remove(token);
        let of_user = self.by_user.get(&reservation.user).filter(|waiting| waiting.len() >= MOST_OF_A_USER);
        if let Some((_, oldest)) = of_user.and_then(BTreeSet::first).copied() {
            self.remove(oldest);
        }
        let entry = (reservation.until, token);
        self.by_time.insert(entry);
        self.by_user.entry(reservation.user.clone()).or_default().insert(entry);
        self.by_token.insert(token, reservation);
    }

    pub(super) fn get(&self, token: [u8; 8]) -> Option<&Reservation> {
        self.by_token.get(&token)
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
        let entry = (gone.until, token);
        self.by_time.remove(&entry);
        if let Some(waiting) = self.by_user.get_mut(&gone.user) {
            waiting.remove(&entry);
            if waiting.is_empty() {
                self.by_user.remove(&gone.user);
            }
        }
        Some(gone)
    }

    /// Gives up those that nobody came for.
    pub(super) fn expire(&mut self, now: Monotonic) {
        while let Some((_, token)) = self.by_time.first().copied().filter(|(until, _)| *until <= now) {
            self.remove(token);
        }
    }
}
