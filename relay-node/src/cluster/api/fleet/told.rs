//! What the registry and the relay tell, as the contract has it.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::cluster::allocations;
use crate::cluster::contract::{Load, Node, Session, Usage, node};
use crate::cluster::node as relay;
use crate::cluster::registry::entry::Entry;
use crate::cluster::usage;

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

/// A session, as its node wrote it down last.
pub(super) fn session(session: allocations::Session) -> Session {
    let allocations::Session { id, node, user, five_tuple, relayed, age, left, permissions, channels } =
        session;
    Session {
        id: id.to_string(),
        node,
        tenant: user.tenant().unwrap_or_default().to_owned(),
        user: user.user().to_owned(),
        client: five_tuple.client.get().to_string(),
        transport: five_tuple.transport.name().to_owned(),
        relayed: relayed.iter().map(ToString::to_string).collect(),
        seconds_old: age.as_secs(),
        seconds_left: left.as_secs(),
        permissions,
        channels,
    }
}

/// What a user has used.
pub(super) fn usage(usage: &usage::Usage) -> Usage {
    let usage::Usage { user, allocations, live, used } = usage;
    Usage {
        tenant: user.tenant().unwrap_or_default().to_owned(),
        user: user.user().to_owned(),
        allocations: *allocations,
        live_allocations: *live,
        bytes_to_peers: used.to_peers,
        bytes_to_client: used.to_client,
        seconds: used.millis / 1000,
    }
}
