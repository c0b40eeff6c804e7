//! What comes of a step, as a client, a peer or an operator sees it.

use std::net::SocketAddr;

use stun::attribute::AddressFamily;
use turn::DropReason;

/// What an answer says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Said {
    /// 0 for success.
    pub(crate) code: u16,
    pub(crate) lifetime: Option<u32>,
    pub(crate) relayed: Vec<SocketAddr>,
    pub(crate) token: Option<[u8; 8]>,
    /// Which of two families could not be had, and why.
    pub(crate) refused: Option<(AddressFamily, u16)>,
    /// What new credentials are asked for.
    pub(crate) realm: Option<String>,
}

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Forwarded {
    /// There is no socket that it could come to.
    Nothing,
    Dropped(DropReason),
    ToPeer(SocketAddr),
    OnChannel(u16),
    AsIndication,
}

/// What a worker has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) allocations: usize,
    pub(crate) sockets: usize,
    pub(crate) permissions: usize,
    pub(crate) channels: usize,
}
