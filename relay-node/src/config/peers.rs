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

pub(super) fn check(problems: &mut Problems, section: &PeersSection, own: Vec<IpAddr>) -> Peers {
    let mut networks = |name: &str, texts: &[String]| {
        let checked = texts.iter().enumerate();
        checked
            .filter_map(|(index, text)| value::network(problems, &format!("peers.{name}[{index}]"), text))
            .collect()
    };
    Peers { allow: networks("allow", &section.allow), deny: networks("deny", &section.deny), own }
}

/// What reaches this machine, whatever the interface: its services must not be reached by relaying.
pub(super) fn own_addresses(host: &Host, listeners: &[Listener], relay: &Relay) -> Vec<IpAddr> {
    let advertised = listeners.iter().filter_map(|listener| listener.advertised).map(|address| address.ip());
    let relayed = [relay.addresses.v4, relay.addresses.v6].into_iter().flatten();
    let mut own: Vec<_> = host
        .addresses
        .iter()
        .copied()
        .chain(advertised)
        .chain(relayed.flat_map(|address| [address.bind, address.advertised]))
        .collect();
    own.sort_unstable();
    own.dedup();
    own
}
