//! An allocation of the model.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use stun::attribute::AddressFamily;

use super::outcome::Said;

#[derive(Clone, Debug)]
pub(crate) struct Allocation {
    pub(crate) transaction: usize,
    pub(crate) realm: String,
    /// What the Allocate was told.
    pub(crate) said: Said,
    /// When each relayed address ends.
    pub(crate) relayed: BTreeMap<SocketAddr, u64>,
    pub(crate) permissions: BTreeMap<IpAddr, u64>,
    pub(crate) channels: BTreeMap<u16, (SocketAddr, u64)>,
}

impl Allocation {
    /// The answer to its Allocate once more, without a relayed address that has ended since.
    pub(crate) fn said_again(&self) -> Said {
        Said { relayed: self.relayed.keys().copied().collect(), ..self.said.clone() }
    }

    pub(crate) fn has(&self, family: AddressFamily) -> bool {
        self.relayed.keys().any(|address| AddressFamily::of(address.ip()) == family)
    }

    pub(crate) fn expire_peers(&mut self, now: u64) {
        self.permissions.retain(|_, expires| *expires > now);
        self.channels.retain(|_, (_, expires)| *expires > now);
    }

    /// Ends the relayed address of one family, with what was permitted and bound there.
    pub(crate) fn end(&mut self, family: AddressFamily) {
        self.relayed.retain(|address, _| AddressFamily::of(address.ip()) != family);
        self.permissions.retain(|host, _| AddressFamily::of(*host) != family);
        self.channels.retain(|_, (peer, _)| AddressFamily::of(peer.ip()) != family);
    }
}
