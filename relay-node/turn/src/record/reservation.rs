//! A port that waits for its token.

use stun::attribute::ReservationToken;

use super::codec::{Field, Reader, Record, Unreadable, Writer, fields};
use crate::address::RelayPort;
use crate::credentials::UserId;
use crate::relay_address::RelayAddress;
use crate::time::Monotonic;

/// A reserved port (RESERVATION-TOKEN, RFC 8656 section 7.2). It means nothing any more when its time is
/// over, or when an allocation has the port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReservationRecord {
    /// The address that it is on.
    pub address: RelayAddress,
    /// The port.
    pub port: RelayPort,
    /// Who may have it.
    pub user: UserId,
    /// What gets it.
    pub(crate) token: ReservationToken,
    /// Until when.
    pub until: Monotonic,
}

impl Record for ReservationRecord {
    const KIND: u8 = 4;
}

fields!(ReservationRecord {
    address: RelayAddress,
    port: RelayPort,
    user: UserId,
    token: ReservationToken,
    until: Monotonic
});
