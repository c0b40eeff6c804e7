//! An allocation without its permissions and channels, which have records of their own.

use std::net::{IpAddr, SocketAddr};

use stun::TransactionId;
use stun::attribute::{AddressFamily, ReservationToken};

use super::codec::{Field, Reader, Record, Unreadable, Writer, choices, fields};
use crate::address::{ClientAddr, FiveTuple, RelayPort, ServerAddr, Transport};
use crate::allocation::{Origin, Owner};
use crate::credentials::UserId;
use crate::per_family::PerFamily;
use crate::refusal::Refusal;
use crate::relay_address::RelayAddress;
use crate::time::Monotonic;

/// Which allocation of a worker: its slot, which is used again, and which user of the slot it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AllocationId {
    pub(crate) slot: u32,
    pub(crate) generation: u32,
}

impl AllocationId {
    /// The place in a driver's table of allocations, and of the allocation's [`Tally`](super::Tally).
    pub const fn index(self) -> usize {
        self.slot as usize
    }
}

/// An allocation: the way back to its client is not in it, since that is the driver's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllocationRecord {
    /// What its permissions and channels know it by.
    pub id: AllocationId,
    /// Whose packets it takes.
    pub five_tuple: FiveTuple,
    /// Its relayed addresses: one at least.
    pub relayed: PerFamily<Option<RelayedRecord>>,
    /// When it came to be.
    pub created: Monotonic,
    pub(crate) owner: Owner,
    pub(crate) origin: Origin,
    #[cfg(feature = "next-record-version")]
    pub(crate) novelty: super::Novelty,
}

/// One relayed address of an allocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RelayedRecord {
    /// The node's address that it is on.
    pub address: RelayAddress,
    /// Its port there.
    pub port: RelayPort,
    /// Until when.
    pub expires: Monotonic,
}

impl AllocationRecord {
    /// Whose quota it counts against.
    pub const fn user(&self) -> &UserId {
        &self.owner.user
    }
}

impl RelayedRecord {
    /// What its socket binds.
    pub const fn local(&self) -> SocketAddr {
        SocketAddr::new(self.address.bind, self.port.get())
    }

    /// What peers see.
    pub const fn advertised(&self) -> SocketAddr {
        SocketAddr::new(self.address.advertised, self.port.get())
    }
}

impl Record for AllocationRecord {
    const KIND: u8 = 1;
}

fields!(AllocationRecord {
    id: AllocationId,
    five_tuple: FiveTuple,
    relayed: PerFamily<Option<RelayedRecord>>,
    created: Monotonic,
    owner: Owner,
    origin: Origin,
    #[cfg(feature = "next-record-version")]
    novelty: super::Novelty,
});
fields!(AllocationId { slot: u32, generation: u32 });
fields!(FiveTuple { client: ClientAddr, server: ServerAddr, transport: Transport });
fields!(RelayedRecord { address: RelayAddress, port: RelayPort, expires: Monotonic });
fields!(RelayAddress { bind: IpAddr, advertised: IpAddr });
fields!(Origin {
    transaction: TransactionId,
    lifetime: u32,
    reservation: Option<ReservationToken>,
    refused: Option<(AddressFamily, Refusal)>,
});

impl Field for PerFamily<Option<RelayedRecord>> {
    const MOST: usize = 2 * Option::<RelayedRecord>::MOST;

    fn write(&self, to: &mut Writer<'_>) {
        self.v4.write(to);
        self.v6.write(to);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Unreadable> {
        let relayed = Self { v4: Field::read(from)?, v6: Field::read(from)? };
        let fits = |(family, relayed): (AddressFamily, &RelayedRecord)| {
            let RelayAddress { bind, advertised } = relayed.address;
            AddressFamily::of(bind) == family && AddressFamily::of(advertised) == family
        };
        let is_there = relayed.present().next().is_some();
        (is_there && relayed.present().all(fits))
            .then_some(relayed)
            .ok_or(Unreadable::Value("relayed address"))
    }
}

macro_rules! addresses {
    ($($address:ident is $what:literal)*) => {
        $(impl Field for $address {
            const MOST: usize = SocketAddr::MOST;

            fn write(&self, to: &mut Writer<'_>) {
                self.get().write(to);
            }

            fn read(from: &mut Reader<'_>) -> Result<Self, Unreadable> {
                let address = Field::read(from)?;
                Some(Self::new(address)).filter(|it| it.get() == address).ok_or(Unreadable::Value($what))
            }
        })*
    };
}

addresses! {
    ClientAddr is "client address"
    ServerAddr is "server address"
}

choices!(Transport { Udp = 1, Tcp = 2, Tls = 3 } "transport");

impl Field for RelayPort {
    const MOST: usize = u16::MOST;

    fn write(&self, to: &mut Writer<'_>) {
        self.get().write(to);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Unreadable> {
        u16::read(from).map(Self::new)
    }
}

impl Field for ReservationToken {
    const MOST: usize = 8;

    fn write(&self, to: &mut Writer<'_>) {
        self.0.write(to);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Unreadable> {
        from.take().map(Self)
    }
}

impl Field for (AddressFamily, Refusal) {
    const MOST: usize = AddressFamily::MOST + u16::MOST;

    fn write(&self, to: &mut Writer<'_>) {
        let (family, refusal) = self;
        family.write(to);
        refusal.code().write(to);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Unreadable> {
        let (family, code) = (AddressFamily::read(from)?, u16::read(from)?);
        let refusal = Refusal::ALL.iter().find(|refusal| refusal.code() == code);
        Ok((family, *refusal.ok_or(Unreadable::Value("refusal"))?))
    }
}
