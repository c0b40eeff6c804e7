//! What the workers are to be.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use turn::{Ledger, Settings, Transport};

use crate::tls::Certificates;

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
}

/// One listener; every worker has a socket of it.
#[derive(Clone)]
pub struct ListenerPlan {
    /// What clients speak there.
    pub transport: Transport,
    /// Where. Port 0 lets the system choose.
    pub bind: SocketAddr,
    /// Whether each connection starts with a PROXY protocol v2 header. Not for UDP.
    pub proxy_protocol: bool,
    /// Who the relay is; for TLS only.
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
}
