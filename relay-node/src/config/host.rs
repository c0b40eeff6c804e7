//! What the configuration needs to know of the machine.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

/// The machine as the configuration sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// The source address of the default IPv4 route.
    pub default_v4: Option<IpAddr>,
    /// The source address of the default IPv6 route.
    pub default_v6: Option<IpAddr>,
    /// Whether IPv6 sockets can be had.
    pub has_v6: bool,
    /// Every address of every interface.
    pub addresses: Vec<IpAddr>,
    /// How many cores this process may use.
    pub cores: usize,
}

impl Host {
    /// Looks at the machine that this runs on. Sends nothing.
    pub fn detect() -> Self {
        let interfaces = if_addrs::get_if_addrs().unwrap_or_else(|error| {
            tracing::warn!(%error, "the machine's interface addresses cannot be listed");
            Vec::new()
        });
        Self {
            // Documentation addresses: as good as any to ask the routing table about.
            default_v4: route_source(Ipv4Addr::UNSPECIFIED.into(), Ipv4Addr::new(192, 0, 2, 1).into()),
            default_v6: route_source(
                Ipv6Addr::UNSPECIFIED.into(),
                Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into(),
            ),
            has_v6: can_bind(Ipv6Addr::UNSPECIFIED.into()),
            addresses: interfaces.iter().map(if_addrs::Interface::ip).collect(),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
        }
    }
}

/// Whether `address` is one that this machine can bind.
pub(super) fn can_bind(address: IpAddr) -> bool {
    UdpSocket::bind(SocketAddr::new(address, 0)).is_ok()
}

/// The address that packets to `destination` would come from: connecting a UDP socket asks the
/// routing table and sends nothing.
fn route_source(any: IpAddr, destination: IpAddr) -> Option<IpAddr> {
    let socket = UdpSocket::bind(SocketAddr::new(any, 0)).ok()?;
    socket.connect(SocketAddr::new(destination, 9)).ok()?;
    let source = socket.local_addr().ok()?.ip();
    (!source.is_unspecified()).then_some(source)
}
