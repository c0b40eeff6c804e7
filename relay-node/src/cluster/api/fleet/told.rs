//! What the registry and the relay tell, as the contract has it.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::cluster::contract::{Load, Node, node};
use crate::cluster::node as relay;
use crate::cluster::registry::entry::Entry;

/// A node, as it told of itself last.
pub(super) fn node(entry: &Entry) -> Node {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let up = u64::try_from(now.as_millis()).unwrap_or(u64::MAX).saturating_sub(entry.life.began_at);
    let state = if entry.load.draining { node::State::Draining } else { node::State::Serving };
    let mut addresses: Vec<_> = entry.addresses.iter().map(|(_, address)| address.ip()).collect();
    addresses.sort_unstable();
    addresses.dedup();
    Node {
        name: entry.name.to_string(),
        zone: entry.zone.clone(),
        version: entry.version.clone(),
        state: state.into(),
        addresses: addresses.iter().map(ToString::to_string).collect(),
        load: Some(load(&entry.load)),
        internal_address: entry.internal.map(|address| address.to_string()).unwrap_or_default(),
        degraded_because: entry.degraded.clone(),
        seconds_up: up / 1000,
    }
}

/// How much a node has to do.
pub(super) fn load(load: &relay::Load) -> Load {
    Load {
        allocations: load.allocations.into(),
        capacity: load.capacity.into(),
        bits_per_second: load.bits_per_second,
        packets_per_second: load.packets_per_second,
    }
}
