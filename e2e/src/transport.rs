//! The transports between a client and the relay.

use std::net::SocketAddr;

/// How a client reaches the relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// UDP
    Udp,
    /// TCP
    Tcp,
    /// TLS over TCP
    Tls,
}

impl Transport {
    /// Each of them.
    pub const ALL: [Self; 3] = [Self::Udp, Self::Tcp, Self::Tls];

    /// The name that clients know it by.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
        }
    }

    /// The TURN URL (RFC 7065) of a relay at an address.
    pub fn url(self, address: SocketAddr) -> String {
        match self {
            Self::Udp => format!("turn:{address}?transport=udp"),
            Self::Tcp => format!("turn:{address}?transport=tcp"),
            Self::Tls => format!("turns:{address}?transport=tcp"),
        }
    }
}
