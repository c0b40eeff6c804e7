//! Records as a core would tell of them.

use std::net::{IpAddr, SocketAddr};

use turn::record::{AllocationRecord, Change, ChannelRecord, PermissionRecord, Place, Record};
use turn::{Monotonic, PeerAddr};

/// An allocation of a client at 192.0.2.1 and `port`, which is also its relayed port. Its user has that name.
pub(super) fn allocation(slot: u32, generation: u32, port: u16, user: &str) -> AllocationRecord {
    AllocationRecord::decode(&bytes(slot, generation, port, user)).unwrap()
}

/// The same as bytes: this is how version 1 looks.
pub(super) fn bytes(slot: u32, generation: u32, port: u16, user: &str) -> Vec<u8> {
    let counted = |text: &str| [&(text.len() as u16).to_be_bytes()[..], text.as_bytes()].concat();
    let address = |last: u8, port: u16| [&[4, 192, 0, 2, last][..], &port.to_be_bytes()].concat();
    [
        &[0, 1, 1][..],
        &slot.to_be_bytes(),
        &generation.to_be_bytes(),
        // The 5-tuple: client, server, UDP.
        &address(1, port),
        &address(2, 3478),
        &[1],
        // The relayed address, over IPv4 only.
        &[1, 4, 192, 0, 2, 3, 4, 192, 0, 2, 3],
        &port.to_be_bytes(),
        &600_000_000_000_u64.to_be_bytes(),
        &[0],
        // Created.
        &u64::from(generation).to_be_bytes(),
        // The owner: a long-term user, their name, key, algorithm, and realm.
        &[1],
        &counted(user),
        &[1],
        &counted(user),
        &[7; 16],
        &[0; 16],
        &[1],
        &counted("example.org"),
        // Of the answer: transaction, lifetime, no reservation, nothing refused.
        &[9; 12],
        &600_u32.to_be_bytes(),
        &[0, 0],
    ]
    .concat()
}

pub(super) fn write_allocation(record: &AllocationRecord) -> Change {
    Change::Allocation { id: record.id, record: Some(Box::new(record.clone())) }
}

pub(super) fn permission(place: u32, of: &AllocationRecord, peer: IpAddr) -> Change {
    let expires = Monotonic::from_nanos(300_000_000_000);
    Change::Permission {
        place: Place::new(place),
        record: PermissionRecord { allocation: of.id, peer, expires },
    }
}

pub(super) fn channel(place: u32, of: &AllocationRecord, number: u16, peer: SocketAddr) -> Change {
    let record = ChannelRecord {
        allocation: of.id,
        number: stun::attribute::ChannelNumber::new(number).unwrap(),
        peer: PeerAddr::new(peer),
        expires: Monotonic::from_nanos(600_000_000_000),
    };
    Change::Channel { place: Place::new(place), record }
}
