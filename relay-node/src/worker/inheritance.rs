//! What a relay gets from the one before it on this node.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::os::fd::{OwnedFd, RawFd};

use turn::Transport;

use crate::recovery::survivors::Shares;

/// What a relay gets from the one before it. By default that is nothing.
#[derive(Debug, Default)]
pub struct Inheritance {
    /// What steered datagrams to workers: needed with `shares`, which were divided by it.
    pub steering_key: Option<u32>,
    /// Listeners. Those that the plan does not name are closed.
    pub listeners: Vec<InheritedListener>,
    /// Sockets of relayed addresses, by what they are bound to. Those that no record names are closed.
    pub relays: HashMap<SocketAddr, OwnedFd>,
    /// The records, by the workers that there are now.
    pub shares: Shares,
}

/// A listener's sockets.
#[derive(Debug)]
pub struct InheritedListener {
    /// What clients spoke there.
    pub transport: Transport,
    /// What its plan said: port 0 where the system had chosen.
    pub bind: SocketAddr,
    /// Where it is.
    pub address: SocketAddr,
    /// For UDP, in the order of the workers, as they were bound.
    pub sockets: Vec<OwnedFd>,
}

/// A listener's sockets, to be handed on: as [`InheritedListener`] takes them in. They are open until the
/// workers end, or [`super::Workers::release`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerDescriptors {
    /// What clients speak there.
    pub transport: Transport,
    /// What its plan says.
    pub bind: SocketAddr,
    /// Where it is.
    pub address: SocketAddr,
    /// For UDP, in the order of the workers.
    pub sockets: Vec<RawFd>,
}
