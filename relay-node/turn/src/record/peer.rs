//! One permission, one channel.

use std::net::IpAddr;

use stun::attribute::ChannelNumber;

use super::allocation::AllocationId;
use super::codec::{Field, Reader, Record, Unreadable, Writer, fields};
use crate::address::PeerAddr;
use crate::time::Monotonic;

/// A permission (RFC 8656 section 9). It means nothing any more when it has expired, when its allocation is
/// gone, or when that has no relayed address of the peer's family any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PermissionRecord {
    /// Whose it is.
    pub allocation: AllocationId,
    /// For whom.
    pub peer: IpAddr,
    /// Until when.
    pub expires: Monotonic,
}

/// A channel (RFC 8656 section 12). It means nothing any more when a permission would not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChannelRecord {
    /// Whose it is.
    pub allocation: AllocationId,
    /// Its number.
    pub number: ChannelNumber,
    /// What it is bound to.
    pub peer: PeerAddr,
    /// Until when.
    pub expires: Monotonic,
}

impl Record for PermissionRecord {
    const KIND: u8 = 2;
}

impl Record for ChannelRecord {
    const KIND: u8 = 3;
}

fields!(PermissionRecord { allocation: AllocationId, peer: IpAddr, expires: Monotonic });
fields!(ChannelRecord {
    allocation: AllocationId,
    number: ChannelNumber,
    peer: PeerAddr,
    expires: Monotonic
});

impl Field for ChannelNumber {
    const MOST: usize = u16::MOST;

    fn write(&self, to: &mut Writer<'_>) {
        self.get().write(to);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Unreadable> {
        Self::new(u16::read(from)?).ok_or(Unreadable::Value("channel number"))
    }
}

impl Field for PeerAddr {
    const MOST: usize = std::net::SocketAddr::MOST;

    fn write(&self, to: &mut Writer<'_>) {
        self.get().write(to);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Unreadable> {
        Field::read(from).map(Self::new)
    }
}
