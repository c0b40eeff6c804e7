//! The relayed addresses on one of the node's addresses: whose each port is.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use stun::attribute::AddressFamily;
use thiserror::Error;

use super::open_ports::OpenPorts;
use super::pool::{PortKind, PortPool};
use crate::address::RelayPort;
use crate::io::OpenError;
use crate::relay_address::RelayAddress;

/// The ports of one relay address.
#[derive(Debug)]
pub(super) struct Ports {
    pub(super) address: RelayAddress,
    free: Mutex<PortPool>,
    first: u16,
    /// For each port from `first` the holder of the relayed address there, to be asked without a lock.
    holders: Box<[AtomicU64]>,
    /// Where others see which ports are open.
    published: Option<&'static OpenPorts>,
}

/// A port that nobody else on this node relays on, until it is dropped.
#[derive(Debug)]
pub struct Port {
    of: Arc<Ports>,
    number: RelayPort,
}

/// Why a port that somebody had cannot be had again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum PortLoss {
    /// It was on another address.
    #[error("it is not on one of the relay's addresses any more")]
    AddressGone,
    /// The range of relay ports is another one now.
    #[error("it is not one of the relay's ports any more")]
    OutOfRange,
    /// Another allocation has it.
    #[error("another allocation has it")]
    Taken,
    /// The system did not give a socket on it.
    #[error("its socket could not be opened: {0}")]
    NoSocket(OpenError),
}

/// Whose a live relayed address is: the worker, and the place of the address among that worker's
/// ([`RelayId::index`](crate::RelayId::index)).
///
/// Read without a lock, it may be of a moment ago: the worker itself has to look whether it is still so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Which worker.
    pub worker: WorkerId,
    /// Which of its relayed addresses.
    pub index: u32,
}

/// A worker of this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkerId(pub u16);

impl Ports {
    pub(super) fn new(
        address: RelayAddress,
        ports: &RangeInclusive<u16>,
        published: Option<&'static OpenPorts>,
    ) -> Self {
        Self {
            address,
            published,
            free: Mutex::new(PortPool::new(ports)),
            first: *ports.start(),
            holders: ports.clone().map(|_| AtomicU64::new(NOBODY)).collect(),
        }
    }

    /// Takes a free port of `kind` that is not `elsewhere`, and the next one too if that is what `kind` says.
    pub(super) fn take(
        self: &Arc<Self>,
        kind: PortKind,
        random: u64,
        elsewhere: impl Fn(RelayPort) -> bool,
    ) -> Option<(Port, Option<Port>)> {
        let next = |number: RelayPort| number.next().filter(|_| kind == PortKind::EvenAndNext);
        let mut free = self.free();
        let mut set_aside = Vec::new();
        let number = loop {
            let Some(number) = free.take(kind, random) else { break None };
            if !elsewhere(number) && !next(number).is_some_and(&elsewhere) {
                break Some(number);
            }
            set_aside.push(number);
            set_aside.extend(next(number));
        };
        set_aside.into_iter().for_each(|number| free.release(number));
        let port = |number| Port { of: Arc::clone(self), number };
        number.map(|number| (port(number), next(number).map(port)))
    }

    /// Takes that port.
    pub(super) fn claim(self: &Arc<Self>, number: RelayPort) -> Result<Port, PortLoss> {
        if self.entry(number).is_none() {
            return Err(PortLoss::OutOfRange);
        }
        let claimed = self.free().claim(number);
        claimed.then(|| Port { of: Arc::clone(self), number }).ok_or(PortLoss::Taken)
    }

    /// The holder of the relayed address with that port.
    pub(super) fn holder(&self, port: RelayPort) -> Option<Holder> {
        Holder::unpack(self.entry(port)?.load(Ordering::Relaxed))
    }

    fn note(&self, port: RelayPort, packed: u64) {
        if let Some(entry) = self.entry(port) {
            entry.store(packed, Ordering::Relaxed);
        }
    }

    fn entry(&self, port: RelayPort) -> Option<&AtomicU64> {
        self.holders.get(usize::from(port.get().checked_sub(self.first)?))
    }

    /// The pool stays right even if a thread died while it held it: every step leaves it whole.
    fn free(&self) -> MutexGuard<'_, PortPool> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Port {
    /// The family of the address that it is on.
    pub fn family(&self) -> AddressFamily {
        AddressFamily::of(self.of.address.bind)
    }

    /// The address that it is on.
    pub fn address(&self) -> RelayAddress {
        self.of.address
    }

    /// The port number.
    pub fn number(&self) -> RelayPort {
        self.number
    }

    /// What the socket binds.
    pub fn local(&self) -> SocketAddr {
        SocketAddr::new(self.of.address.bind, self.number.get())
    }

    /// What peers see.
    pub fn advertised(&self) -> SocketAddr {
        SocketAddr::new(self.of.address.advertised, self.number.get())
    }

    /// Makes known whose it is, now that its socket is open. Before, nothing on this node reaches it.
    pub fn is_held_by(&self, holder: Holder) {
        self.of.note(self.number, holder.pack());
        if let Some(published) = self.of.published {
            published.insert(self.family(), self.number);
        }
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        if let Some(published) = self.of.published {
            published.remove(self.family(), self.number);
        }
        self.of.note(self.number, NOBODY);
        self.of.free().release(self.number);
    }
}

/// No holder, packed.
const NOBODY: u64 = 0;
/// Beside every holder, so that none looks like nobody.
const SOMEBODY: u64 = 1 << 63;

impl Holder {
    fn pack(self) -> u64 {
        SOMEBODY | u64::from(self.worker.0) << 32 | u64::from(self.index)
    }

    fn unpack(packed: u64) -> Option<Self> {
        let holder = Self { worker: WorkerId((packed >> 32) as u16), index: packed as u32 };
        (packed != NOBODY).then_some(holder)
    }
}
