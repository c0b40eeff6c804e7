//! Entries for tests.

use turn::Transport;

use super::entry::{Entry, Life, NodeName};
use crate::cluster::node::Load;

/// A moment, in milliseconds since 1970.
pub(super) const NOW: u64 = 1_800_000_000_000;

pub(super) fn name(name: &str) -> NodeName {
    NodeName::new(name).unwrap()
}

/// A node with that many allocations of a thousand, at 192.0.2.1.
pub(in crate::cluster) fn entry(node: &str, allocations: u32) -> Entry {
    Entry {
        name: name(node),
        life: Life { began_at: NOW - 1000, incarnation: 0x0123_4567_89ab_cdef },
        renewal: 1,
        told_at: NOW,
        addresses: vec![(Transport::Udp, "192.0.2.1:3478".parse().unwrap())],
        tls: None,
        zone: "z1".to_owned(),
        version: "0.1.0".to_owned(),
        internal: None,
        load: Load { allocations, capacity: 1000, ..Load::default() },
        degraded: String::new(),
    }
}
