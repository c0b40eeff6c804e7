//! What the configuration needs to know of the machine.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use if_addrs::Interface;
use serde::{Deserialize, Serialize};

use super::local_ports::LocalPorts;
use super::problem::Problem;

/// The machine as the configuration sees it.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
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
    /// Which ports the system gives to programs that ask for none.
    pub local_ports: LocalPorts,
}

impl Host {
    /// Looks at the machine that this runs on. Sends nothing.
    ///
    /// # Errors
    /// When the machine's addresses cannot be listed, so that nobody could be kept from relaying to them.
    pub fn detect() -> Result<Self, Problem> {
        Ok(Self {
            // Documentation addresses: as good as any to ask the routing table about.
            default_v4: route_source(Ipv4Addr::UNSPECIFIED.into(), Ipv4Addr::new(192, 0, 2, 1).into()),
            default_v6: route_source(
                Ipv6Addr::UNSPECIFIED.into(),
                Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into(),
            ),
            has_v6: can_bind(Ipv6Addr::UNSPECIFIED.into()),
            addresses: addresses(if_addrs::get_if_addrs())?,
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            local_ports: LocalPorts::detect(),
        })
    }
}

fn addresses(interfaces: io::Result<Vec<Interface>>) -> Result<Vec<IpAddr>, Problem> {
    let interfaces = interfaces.map_err(|error| Problem {
        field: "peers".into(),
        value: None,
        fault: format!("this machine's own addresses, which are no peers, cannot be listed ({error})"),
        fix: "Let this process open netlink sockets (AF_NETLINK)".into(),
    })?;
    Ok(interfaces.iter().map(Interface::ip).collect())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_cannot_be_listed_are_not_taken_for_none() {
        let problem = addresses(Err(io::ErrorKind::PermissionDenied.into())).unwrap_err();
        assert!(problem.to_string().contains("cannot be listed"), "{problem}");
        assert!(addresses(if_addrs::get_if_addrs()).unwrap().contains(&Ipv4Addr::LOCALHOST.into()));
    }
}
