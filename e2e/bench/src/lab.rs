//! The network of every measurement: clients, server and peer, each in a namespace of its own.
//!
//! ```text
//! clients 10.0.0.0/8 -- 192.0.2.2 ==veth== 192.0.2.1 server 198.51.100.1 ==veth== 198.51.100.2 peer
//! ```
//!
//! There is no router in between, whose forwarding would be part of every figure. One socket speaks
//! for all clients, since all of 10/8 is local to their namespace.

use std::net::{Ipv4Addr, SocketAddrV4};

use testbed::{Namespace, NamespaceError};

/// Where the server listens.
pub const SERVER: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 1), 3478);
/// The address that the server relays from.
pub const RELAY: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);
/// The peer of every client.
pub const PEER: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(198, 51, 100, 2), 7000);
/// The port that all clients send from.
pub const CLIENT_PORT: u16 = 5000;
/// The relay ports of every server: so many that coturn, which keeps the port of a released
/// allocation for a while, does not run out of them when thousands come and go in a second.
pub const RELAY_PORTS: std::ops::RangeInclusive<u16> = 10_000..=65_535;

/// The address of a client.
pub fn client_address(number: u32) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(Ipv4Addr::new(10, 0, 0, 1)).wrapping_add(number))
}

/// The three namespaces; they go with their value.
pub struct Lab {
    /// Where the clients are.
    pub clients: Namespace,
    /// Where the measured server runs.
    pub server: Namespace,
    /// Where the peer is.
    pub peer: Namespace,
}

impl Lab {
    /// Makes and connects them.
    pub fn new() -> Result<Self, NamespaceError> {
        let (clients, server, peer) = (Namespace::new()?, Namespace::new()?, Namespace::new()?);
        server.configure(&format!(
            "link add clients type veth peer name server netns {}\n\
             link add peer type veth peer name server netns {}\n\
             addr add {}/24 dev clients\n\
             addr add {RELAY}/24 dev peer\n\
             link set clients up\n\
             link set peer up\n",
            clients.path(),
            peer.path(),
            SERVER.ip(),
        ))?;
        clients.configure(
            "addr add 192.0.2.2/24 dev server\n\
             link set server up\n\
             route add local 10.0.0.0/8 dev lo\n",
        )?;
        peer.configure(&format!("addr add {}/24 dev server\nlink set server up\n", PEER.ip()))?;
        // One next hop for all clients: a neighbour entry for each would overflow the table.
        server.configure("route add 10.0.0.0/8 via 192.0.2.2\n")?;
        Ok(Self { clients, server, peer })
    }
}
