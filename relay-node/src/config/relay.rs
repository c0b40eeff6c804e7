//! The addresses and ports that peers see.

use std::net::IpAddr;
use std::ops::RangeInclusive;

use turn::Transport;
use turn::{RelayAddress, RelayAddresses};

use super::document::{RelayAddressSection, RelaySection};
use super::host::{Host, can_bind};
use super::listener::Listener;
use super::problem::Problems;
use super::value;

/// What relayed transport addresses are made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relay {
    /// One address for each family that can be relayed.
    pub addresses: RelayAddresses,
    /// The ports.
    pub ports: RangeInclusive<u16>,
}

pub(super) fn check(
    problems: &mut Problems,
    section: &RelaySection,
    host: &Host,
    listeners: &[Listener],
) -> Option<Relay> {
    let addresses = addresses(problems, &section.addresses, host);
    let ports = ports(problems, &section.ports)?;
    for listener in listeners.iter().filter(|listener| listener.transport == Transport::Udp) {
        let port = listener.address.port();
        if ports.contains(&port) {
            problems.add(
                "relay.ports",
                &section.ports,
                format!("the UDP listener on {} has port {port}, which is one of these", listener.address),
                "Move the listener or the range, so that they do not meet",
            );
        }
    }
    Some(Relay { addresses, ports })
}

fn ports(problems: &mut Problems, text: &str) -> Option<RangeInclusive<u16>> {
    let parsed = text.split_once('-').and_then(|(first, last)| {
        Some((first.trim().parse::<u16>().ok()?, last.trim().parse::<u16>().ok()?))
    });
    match parsed {
        Some((first, last)) if first > last => {
            let fix = format!("Write the lower port first: \"{last}-{first}\"");
            problems.add("relay.ports", text, "the range runs backwards", fix);
        }
        Some((0, _)) => {
            problems.add("relay.ports", text, "port 0 cannot be used", "Begin at port 1024 or above");
        }
        Some((first, last)) => return Some(first..=last),
        None => problems.add(
            "relay.ports",
            text,
            "this is no range of ports",
            "Write the first and the last port, such as \"50000-59999\"",
        ),
    }
    None
}

fn addresses(problems: &mut Problems, sections: &[RelayAddressSection], host: &Host) -> RelayAddresses {
    if sections.is_empty() {
        return detected(problems, host);
    }
    let mut addresses = RelayAddresses { v4: None, v6: None };
    for (index, section) in sections.iter().enumerate() {
        let Some(address) = one(problems, index, section) else { continue };
        let place = if address.bind.is_ipv4() { &mut addresses.v4 } else { &mut addresses.v6 };
        if place.is_some() {
            problems.add(
                format!("relay.addresses[{index}].bind"),
                address.bind,
                "an earlier relay address is of the same family",
                "Keep one address for each of IPv4 and IPv6",
            );
        }
        *place = Some(address);
    }
    addresses
}

fn detected(problems: &mut Problems, host: &Host) -> RelayAddresses {
    if host.default_v4.is_none() && host.default_v6.is_none() {
        problems.add_hidden(
            "relay.addresses",
            "none is given, and the machine has no default route to tell one by, neither IPv4 nor IPv6",
            "Give the address that peers reach this machine by, such as --relay-address 203.0.113.7",
        );
    }
    let same = |address: IpAddr| RelayAddress { bind: address, advertised: address };
    RelayAddresses { v4: host.default_v4.map(same), v6: host.default_v6.map(same) }
}

fn one(problems: &mut Problems, index: usize, section: &RelayAddressSection) -> Option<RelayAddress> {
    let field = |name: &str| format!("relay.addresses[{index}].{name}");
    let bind = value::address(problems, &field("bind"), &section.bind);
    let advertised = match &section.advertised {
        Some(text) => value::address(problems, &field("advertised"), text),
        None => bind,
    };
    let (bind, advertised) = (bind?, advertised?);
    if bind.is_unspecified() {
        problems.add(
            field("bind"),
            bind,
            "a relayed address has to be on one address, not on all that the machine has",
            "Write the one that packets to peers are to leave from; behind 1:1 NAT, `advertised` as well",
        );
        return None;
    }
    if advertised.is_unspecified() {
        problems.add(
            field("advertised"),
            advertised,
            "peers cannot send to the unspecified address",
            "Write the address that peers reach this machine by",
        );
    }
    if bind.is_ipv4() != advertised.is_ipv4() {
        problems.add(
            field("advertised"),
            advertised,
            "this is of another address family than what is bound",
            "Write an address of the same family, or a second entry",
        );
        return None;
    }
    if !can_bind(bind) {
        problems.add(
            field("bind"),
            bind,
            "this machine has no such address",
            "Write one of its own; behind 1:1 NAT, write the public one as `advertised`",
        );
    }
    Some(RelayAddress { bind, advertised })
}
