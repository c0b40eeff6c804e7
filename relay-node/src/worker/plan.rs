//! What the workers are to be.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use turn::{Entrance, Ledger, Settings, Transport};

use crate::recovery::records::Records;
use crate::recovery::state::State;
use crate::tls::Certificates;

use super::fleet::FleetPlan;
use super::inheritance::Inheritance;

/// Everything that [`super::start`] needs.
pub struct Plan {
    /// How many workers.
    pub workers: usize,
    /// Whether each stays on a core of its own.
    pub pin: bool,
    /// Whether the kernel is asked to give each datagram to the worker that its client belongs to.
    /// Without it, or where it cannot, the workers hand them over.
    pub steering: bool,
    /// Where clients are listened for.
    pub listeners: Vec<ListenerPlan>,
    /// The first snapshot of what can change later.
    pub settings: Arc<Settings>,
    /// The ports and quotas that all workers share.
    pub ledger: Arc<Ledger>,
    /// Limits for connections.
    pub streams: StreamLimits,
    /// Where the workers write what has to outlive the process, one for each; none where nothing has to.
    pub records: Option<Vec<Records>>,
    /// Where they turn to in their fleet, if they are of one.
    pub fleet: Option<FleetPlan>,
    /// Where they note whose records they touch.
    pub state: Option<Arc<State>>,
    /// What there is of a relay before this one.
    pub inheritance: Inheritance,
}

/// One listener; every worker has a socket of it.
#[derive(Clone)]
pub struct ListenerPlan {
    /// What clients speak there.
    pub transport: Transport,
    /// Where. Port 0 lets the system choose.
    pub bind: SocketAddr,
    /// Whether clients come there by a load balancer.
    pub entrance: Entrance,
    /// Who may connect, each time with a PROXY protocol v2 header; empty where clients connect
    /// themselves. Not for UDP.
    pub proxies: Vec<IpNet>,
    /// Who the relay is. A TLS listener needs it; a TCP listener that has it serves TLS to those who
    /// begin with it.
    pub tls: Option<Certificates>,
}

/// Limits for TCP and TLS connections, so that none of them can hold what it does not use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamLimits {
    /// Connections at a time, over all workers.
    pub connections: usize,
    /// Connections at a time from one IPv4 address or IPv6 /64.
    pub connections_per_source: usize,
    /// From accept to the end of the first frame, PROXY header and TLS handshake included.
    pub handshake_deadline: Duration,
    /// Without a frame and without an allocation.
    pub idle_deadline: Duration,
    /// From a frame's first byte to its last.
    pub frame_deadline: Duration,
    /// Bytes that may wait for a client that reads slowly.
    pub write_buffer: usize,
    /// Bytes that all connections may hold: starts of frames, and what waits for slow readers. Each worker
    /// has its part; of that each connection gets as much as is left, and 4 KiB in any case. One whose
    /// frame does not fit is closed, since a stream cannot go on without it.
    pub buffers: usize,
}

impl StreamLimits {
    /// Bytes of the longest packet on a stream: a STUN header and the largest multiple of four behind it
    /// (RFC 8489 section 5). No buffer can do with less.
    pub const LONGEST_FRAME: usize = 65_552;
}
