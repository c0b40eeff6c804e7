//! Records as a core tells of them, for tests.

use std::net::{IpAddr, SocketAddr};

use stun::attribute::ChannelNumber;
use turn::record::{
    AllocationRecord, Change, ChannelRecord, DeletionRecord, PermissionRecord, Place, Record,
    ReservationRecord,
};
use turn::{AddressFamily, Monotonic, PeerAddr};

/// What tells one allocation from another.
#[derive(Clone, Debug)]
pub(crate) struct Example {
    pub(crate) slot: u32,
    /// The use of the slot.
    pub(crate) generation: u32,
    pub(crate) user: String,
    /// 1 for UDP, 2 for TCP, 3 for TLS.
    pub(crate) transport: u8,
    /// Of the client, at 192.0.2.1.
    pub(crate) client: u16,
    /// Of the relayed address, at 192.0.2.3.
    pub(crate) relayed: u16,
    pub(crate) created: u64,
}

/// One over UDP in `slot`.
pub(crate) fn example(slot: u32) -> Example {
    let port = 40_000_u16.wrapping_add(slot as u16);
    Example {
        slot,
        generation: 1,
        user: "alice".to_owned(),
        transport: 1,
        client: port,
        relayed: port,
        created: 1,
    }
}

impl Example {
    pub(crate) fn record(&self) -> AllocationRecord {
        AllocationRecord::decode(&self.bytes()).unwrap()
    }

    pub(crate) fn change(&self) -> Change {
        let record = self.record();
        Change::Allocation { id: record.id, record: Some(Box::new(record)) }
    }

    pub(crate) fn end(&self) -> Change {
        Change::Allocation { id: self.record().id, record: None }
    }

    pub(crate) fn permission(&self, place: u32, peer: impl Into<IpAddr>) -> Change {
        let expires = Monotonic::from_nanos(300_000_000_000);
        let record = PermissionRecord { allocation: self.record().id, peer: peer.into(), expires };
        Change::Permission { place: Place::new(place), record }
    }

    pub(crate) fn channel(&self, place: u32, number: u16, peer: impl Into<SocketAddr>) -> Change {
        let record = ChannelRecord {
            allocation: self.record().id,
            number: ChannelNumber::new(number).unwrap(),
            peer: PeerAddr::new(peer.into()),
            expires: Monotonic::from_nanos(600_000_000_000),
        };
        Change::Channel { place: Place::new(place), record }
    }

    /// Of the Refresh that ended it.
    pub(crate) fn deletion(&self, place: u32) -> Change {
        Change::Deletion { place: Place::new(place), record: self.deleted() }
    }

    pub(crate) fn deleted(&self) -> DeletionRecord {
        let until = Monotonic::from_nanos(self.created);
        let transaction = stun::TransactionId::new([self.slot as u8; 12]);
        DeletionRecord { five_tuple: self.record().five_tuple, transaction, until }
    }

    /// The same as bytes of version 1.
    fn bytes(&self) -> Vec<u8> {
        let Self { slot, generation, user, transport, client, relayed, created } = self;
        let address = |last: u8, port: u16| [&[4, 192, 0, 2, last][..], &port.to_be_bytes()].concat();
        [
            &[0, 1, 1][..],
            &slot.to_be_bytes(),
            &generation.to_be_bytes(),
            // The 5-tuple.
            &address(1, *client),
            &address(2, 3478),
            &[*transport],
            // The relayed address, of IPv4 only.
            &[1, 4, 192, 0, 2, 3, 4, 192, 0, 2, 3],
            &relayed.to_be_bytes(),
            &600_000_000_000_u64.to_be_bytes(),
            &[0],
            &created.to_be_bytes(),
            // The owner: a long-term user, their name, key and algorithm, and the realm.
            &[1],
            &counted(user),
            &[1],
            &counted(user),
            &[7; 16],
            &[0; 16],
            &[1],
            &counted("example.org"),
            // The answer: its transaction, lifetime, no reservation, nothing refused.
            &[9; 12],
            &600_u32.to_be_bytes(),
            &[0, 0],
        ]
        .concat()
    }
}

/// A port of 192.0.2.3 that waits for its token.
pub(crate) fn reservation(port: u16, user: &str) -> Change {
    let bytes = [
        &[0, 1, 4, 4, 192, 0, 2, 3, 4, 192, 0, 2, 3][..],
        &port.to_be_bytes(),
        &[1],
        &counted(user),
        b"a token.",
        &30_000_000_000_u64.to_be_bytes(),
    ]
    .concat();
    let record = ReservationRecord::decode(&bytes).unwrap();
    Change::Reservation { family: AddressFamily::V4, port: record.port, record: Some(Box::new(record)) }
}

fn counted(text: &str) -> Vec<u8> {
    [&(text.len() as u16).to_be_bytes()[..], text.as_bytes()].concat()
}
