//! Addresses that must not be confused have types of their own.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::net::{IpAddr, SocketAddr};

use stun::attribute::AddressFamily;

/// Where a client's packets come from, as the relay sees it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ClientAddr(SocketAddr);

/// The relay's own address that a client sends to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ServerAddr(SocketAddr);

/// A host on the far side of a relayed address.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PeerAddr(SocketAddr);

impl ClientAddr {
    /// Takes an address as the driver has it; an IPv4-mapped one becomes IPv4.
    pub const fn new(address: SocketAddr) -> Self {
        Self(canonical(address))
    }
}

impl ServerAddr {
    /// Takes an address as the driver has it; an IPv4-mapped one becomes IPv4.
    pub const fn new(address: SocketAddr) -> Self {
        Self(canonical(address))
    }
}

impl PeerAddr {
    /// Takes an address as it is: one from the wire must not become another one before it is judged.
    pub const fn new(address: SocketAddr) -> Self {
        Self(address)
    }
}

const fn canonical(address: SocketAddr) -> SocketAddr {
    match address.ip().to_canonical() {
        IpAddr::V4(v4) => SocketAddr::new(IpAddr::V4(v4), address.port()),
        // As it is: a link-local address is nothing without its scope.
        IpAddr::V6(_) => address,
    }
}

macro_rules! address {
    ($name:ident) => {
        impl $name {
            /// The plain socket address.
            pub const fn get(self) -> SocketAddr {
                self.0
            }

            /// The address without its port.
            pub const fn ip(self) -> IpAddr {
                self.0.ip()
            }

            /// The family of the address.
            pub const fn family(self) -> AddressFamily {
                match self.0 {
                    SocketAddr::V4(_) => AddressFamily::V4,
                    SocketAddr::V6(_) => AddressFamily::V6,
                }
            }

            /// Whether that is the address without its port.
            pub fn is_on(self, ip: IpAddr) -> bool {
                match (self.0, ip) {
                    (SocketAddr::V4(v4), IpAddr::V4(ip)) => *v4.ip() == ip,
                    (SocketAddr::V6(v6), IpAddr::V6(ip)) => *v6.ip() == ip,
                    _ => false,
                }
            }

            /// Hashes it and 16 bits more, in one word or three instead of std's field-by-field walk: this
            /// runs for every packet.
            #[inline]
            fn hash_with<H: Hasher>(self, more: u16, state: &mut H) {
                let word = |ip: u32| u64::from(more) << 48 | u64::from(ip) << 16 | u64::from(self.0.port());
                match self.0 {
                    SocketAddr::V4(v4) => state.write_u64(word(v4.ip().to_bits())),
                    SocketAddr::V6(v6) => {
                        state.write_u128(v6.ip().to_bits());
                        state.write_u64(word(0));
                    }
                }
            }
        }

        impl Hash for $name {
            #[inline]
            fn hash<H: Hasher>(&self, state: &mut H) {
                self.hash_with(0, state);
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

address!(ClientAddr);
address!(ServerAddr);
address!(PeerAddr);

/// How a client reaches the relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// Datagrams.
    Udp,
    /// A plain stream.
    Tcp,
    /// A stream under TLS.
    Tls,
}

impl Transport {
    /// Whether packets come as frames of a stream.
    pub const fn is_stream(self) -> bool {
        !matches!(self, Self::Udp)
    }

    /// The name in labels and logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
        }
    }
}

/// What identifies an allocation (RFC 8656 section 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FiveTuple {
    /// The client's end.
    pub client: ClientAddr,
    /// The relay's end.
    pub server: ServerAddr,
    /// The protocol between them.
    pub transport: Transport,
}

impl Hash for FiveTuple {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.client.hash(state);
        self.server.hash_with(self.transport as u16, state);
    }
}

/// The driver's way back to a client, such as a listener's or a connection's index. Opaque to the core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PathId(pub u32);

/// By which kind of listener a client comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entrance {
    /// At an address of this relay's own: what a packet says of its source is worth what IP makes it worth.
    Direct,
    /// Through a load balancer, which may have put its own address in the place of the client's.
    FirstContact,
}

/// A client, and the way back to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client {
    /// Which client.
    pub five_tuple: FiveTuple,
    /// How to reach it.
    pub path: PathId,
    /// How it came. Of no meaning on the way back.
    pub entrance: Entrance,
}

/// A UDP port of a relayed transport address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RelayPort(u16);

impl RelayPort {
    /// Port number `port`.
    pub const fn new(port: u16) -> Self {
        Self(port)
    }

    /// The port number.
    pub const fn get(self) -> u16 {
        self.0
    }

    /// The port itself, or the one below.
    pub const fn even(self) -> Self {
        Self(self.0 & !1)
    }

    /// The port above, for a reservation; none above 65535.
    pub const fn next(self) -> Option<Self> {
        match self.0.checked_add(1) {
            Some(port) => Some(Self(port)),
            None => None,
        }
    }
}

/// One relayed transport address of one allocation: the driver's socket for it.
///
/// `index` is dense and used again; `generation` tells its users apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RelayId {
    pub(crate) index: u32,
    pub(crate) generation: u32,
}

impl RelayId {
    /// The place in a driver's table of relay sockets.
    pub const fn index(self) -> usize {
        self.index as usize
    }

    /// Packed, for an event token.
    pub const fn to_u64(self) -> u64 {
        (self.generation as u64) << 32 | self.index as u64
    }

    /// Unpacked.
    pub const fn from_u64(token: u64) -> Self {
        Self { index: token as u32, generation: (token >> 32) as u32 }
    }
}
