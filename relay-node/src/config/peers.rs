//! Which peers may be reached.

use std::net::IpAddr;

use ipnet::IpNet;

use super::document::PeersSection;
use super::host::Host;
use super::listener::Listener;
use super::problem::Problems;
use super::relay::Relay;
use super::value;

/// Which peers may be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peers {
    /// Exceptions to what is refused by default.
    pub allow: Vec<IpNet>,
    /// Refused in any case.
    pub deny: Vec<IpNet>,
    /// The machine's own addresses, refused unless allowed.
    pub own: Vec<IpAddr>,
}

pub(super) fn check(problems: &mut Problems, section: &PeersSection, host: &Host) -> Peers {
    let mut networks = |name: &str, texts: &[String]| {
        let checked = texts.iter().enumerate();
        checked
            .filter_map(|(index, text)| value::network(problems, &format!("peers.{name}[{index}]"), text))
            .collect()
    };
    let (allow, deny) = (networks("allow", &section.allow), networks("deny", &section.deny));
    let mut peers = Peers { allow, deny, own: Vec::new() };
    peers.add_own(host.addresses.iter().copied());
    peers
}

/// What others reach listeners and relayed addresses by: services of the machine must not be reached by
/// relaying there.
pub(super) fn reached_by(listeners: &[Listener], relay: &Relay) -> impl Iterator<Item = IpAddr> {
    let advertised = listeners.iter().filter_map(|listener| listener.advertised).map(|address| address.ip());
    let relayed = [relay.addresses.v4, relay.addresses.v6].into_iter().flatten();
    advertised.chain(relayed.flat_map(|address| [address.bind, address.advertised]))
}

impl Peers {
    /// Notes more of the machine's own addresses.
    pub(super) fn add_own(&mut self, addresses: impl Iterator<Item = IpAddr>) {
        self.own.extend(addresses);
        self.own.sort_unstable();
        self.own.dedup();
    }
}
