//! Which relayed addresses are open, for other relays of the same node to see.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use stun::attribute::AddressFamily;

use crate::address::RelayPort;
use crate::relay_address::RelayAddresses;

const WORDS: usize = (u16::MAX as usize + 1) / u64::BITS as usize;

/// The relayed addresses of one relay whose sockets are open: a bit for each port and family, in memory that
/// other processes may see. All zeros is one without any.
///
/// Only its own relay writes there, by a [`Ledger`](super::Ledger) that was
/// [made to](super::Ledger::publishing).
#[repr(C)]
pub struct OpenPorts {
    v4: [AtomicU64; WORDS],
    v6: [AtomicU64; WORDS],
}

impl OpenPorts {
    /// None is open.
    pub const fn new() -> Self {
        Self { v4: [const { AtomicU64::new(0) }; WORDS], v6: [const { AtomicU64::new(0) }; WORDS] }
    }

    /// Whether the relayed address with this port is open, or was a moment ago.
    pub fn contains(&self, family: AddressFamily, port: RelayPort) -> bool {
        let (word, bit) = self.place(family, port);
        word.is_some_and(|word| word.load(Ordering::Relaxed) & bit != 0)
    }

    pub(super) fn insert(&self, family: AddressFamily, port: RelayPort) {
        let (word, bit) = self.place(family, port);
        word.map(|word| word.fetch_or(bit, Ordering::Relaxed));
    }

    pub(super) fn remove(&self, family: AddressFamily, port: RelayPort) {
        let (word, bit) = self.place(family, port);
        word.map(|word| word.fetch_and(!bit, Ordering::Relaxed));
    }

    fn place(&self, family: AddressFamily, port: RelayPort) -> (Option<&AtomicU64>, u64) {
        let words = match family {
            AddressFamily::V4 => &self.v4,
            AddressFamily::V6 => &self.v6,
        };
        (words.get(usize::from(port.get()) / u64::BITS as usize), 1 << (u32::from(port.get()) % u64::BITS))
    }
}

impl Default for OpenPorts {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for OpenPorts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count =
            |words: &[AtomicU64]| words.iter().map(|it| it.load(Ordering::Relaxed).count_ones()).sum();
        let (v4, v6): (u32, u32) = (count(&self.v4), count(&self.v6));
        f.debug_struct("OpenPorts").field("v4", &v4).field("v6", &v6).finish()
    }
}

/// Another relay of this node, of this one's version or another, which serves some clients while this one
/// serves the others.
#[derive(Clone, Copy, Debug)]
pub struct Neighbour {
    /// What its relayed addresses are made of. Its ports mean something where they are this relay's too.
    pub relay: RelayAddresses,
    /// Those that are open.
    pub open: &'static OpenPorts,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_port_of_each_family_has_a_bit_of_its_own() {
        let open = OpenPorts::new();
        for port in [0, 1, 63, 64, 50_000, u16::MAX].map(RelayPort::new) {
            for family in AddressFamily::BOTH {
                open.insert(family, port);
                assert!(open.contains(family, port));
            }
            open.remove(AddressFamily::V6, port);
            let seen = AddressFamily::BOTH.map(|family| open.contains(family, port));
            assert_eq!(seen, [true, false], "{port:?}");
        }
        assert_eq!(format!("{open:?}"), "OpenPorts { v4: 6, v6: 0 }");
    }

    #[test]
    fn is_as_large_as_other_versions_of_the_relay_know_it() {
        assert_eq!(size_of::<OpenPorts>(), 16 * 1024);
    }
}
