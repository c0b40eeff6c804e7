//! Where clients connect.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use ipnet::IpNet;
use turn::Transport;

use super::document::{ListenerSection, ProxySection};
use super::files::Files;
use super::host::Host;
use super::problem::Problems;
use super::value;
use crate::tls::{CertificateError, Certificates};

/// The port of STUN and TURN over UDP and TCP (RFC 8489 section 18.6).
pub(super) const DEFAULT_PORT: u16 = 3478;

/// One socket that clients connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// What clients speak there.
    pub transport: Transport,
    /// What is bound.
    pub address: SocketAddr,
    /// What clients reach it by, where that is another address.
    pub advertised: Option<SocketAddr>,
    /// Whether clients come there by the fleet's load balancer, to be told of a node.
    pub first_contact: bool,
    /// Who may connect, each time with a PROXY protocol v2 header; empty where clients connect
    /// themselves.
    pub proxies: Vec<IpNet>,
    /// What it shows for itself to TLS clients. A TCP listener that has it serves TLS to those who
    /// begin with it.
    pub identity: Option<Identity>,
}

/// Where the certificate of a listener is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// PEM file of the chain, the server's own certificate first.
    pub certificate: PathBuf,
    /// PEM file of its key.
    pub key: PathBuf,
}

pub(super) fn check(
    problems: &mut Problems,
    files: &Files,
    sections: &[ListenerSection],
    has_fleet: bool,
    host: &Host,
) -> Vec<Listener> {
    if sections.is_empty() {
        return default_listeners(host);
    }
    check_first_contact(problems, sections, has_fleet);
    let checked: Vec<_> =
        sections.iter().enumerate().map(|(index, section)| one(problems, files, index, section)).collect();
    let mut seen = HashSet::new();
    for (index, listener) in checked.iter().enumerate() {
        // Port 0 stands for any free one.
        let Some(listener) = listener.as_ref().filter(|listener| listener.address.port() != 0) else {
            continue;
        };
        if !seen.insert((listener.transport.is_stream(), listener.address)) {
            problems.add(
                format!("listeners[{index}].address"),
                listener.address,
                "an earlier listener has the same address and protocol",
                "Give it another port, or remove one of the two",
            );
        }
    }
    checked.into_iter().flatten().collect()
}

/// Clients of a load balancer are sent to a node, this one included, where they come directly.
fn check_first_contact(problems: &mut Problems, sections: &[ListenerSection], has_fleet: bool) {
    let of_first_contact = sections.iter().position(|section| section.first_contact);
    let Some(index) = of_first_contact else { return };
    let field = format!("listeners[{index}].first_contact");
    if !has_fleet {
        problems.add(
            field,
            true,
            "without [cluster] there is no node to send clients to",
            "Remove it, or add [cluster]",
        );
    } else if sections.iter().all(|section| section.first_contact) {
        problems.add(
            field,
            true,
            "no listener takes clients directly, so that none could be sent to this node",
            "Add a listener on another port, without first_contact",
        );
    }
}

/// UDP and TCP on every address of the families that the machine has.
fn default_listeners(host: &Host) -> Vec<Listener> {
    let v6 = host.has_v6.then_some(IpAddr::V6(Ipv6Addr::UNSPECIFIED));
    let addresses = [Some(IpAddr::V4(Ipv4Addr::UNSPECIFIED)), v6];
    let listener = |transport, address| Listener {
        transport,
        address: SocketAddr::new(address, DEFAULT_PORT),
        advertised: None,
        first_contact: false,
        proxies: Vec::new(),
        identity: None,
    };
    addresses
        .into_iter()
        .flatten()
        .flat_map(|address| [listener(Transport::Udp, address), listener(Transport::Tcp, address)])
        .collect()
}

fn one(problems: &mut Problems, files: &Files, index: usize, section: &ListenerSection) -> Option<Listener> {
    let field = |name: &str| format!("listeners[{index}].{name}");
    let transport = match section.transport.as_str() {
        "udp" => Some(Transport::Udp),
        "tcp" => Some(Transport::Tcp),
        "tls" => Some(Transport::Tls),
        other => {
            problems.add(field("transport"), other, "there is no such transport", "Write udp, tcp or tls");
            None
        }
    };
    let address = value::socket_address(problems, &field("address"), &section.address);
    let advertised = section
        .advertised
        .as_deref()
        .and_then(|text| value::socket_address(problems, &field("advertised"), text));
    if let (Some(address), Some(advertised)) = (address, advertised)
        && address.is_ipv4() != advertised.is_ipv4()
    {
        problems.add(
            field("advertised"),
            advertised,
            "this is of another address family than what is bound",
            "Write an address of the same family, or a second listener",
        );
    }
    let proxies = proxies(problems, &field, transport, &section.proxy_protocol);
    let identity = identity(problems, files, &field, transport, section);
    let first_contact = section.first_contact;
    Some(Listener { transport: transport?, address: address?, advertised, first_contact, proxies, identity })
}

/// Whoever may send a PROXY header can be any client: they have to be named.
fn proxies(
    problems: &mut Problems,
    field: &impl Fn(&str) -> String,
    transport: Option<Transport>,
    section: &ProxySection,
) -> Vec<IpNet> {
    let name = field("proxy_protocol");
    let networks = match section {
        ProxySection::Flag(false) => &[],
        ProxySection::Flag(true) => {
            problems.add(
                name,
                true,
                "anybody could say that they are anybody",
                "Write the networks that your proxies connect from, such as [\"10.0.0.0/8\"]",
            );
            return Vec::new();
        }
        ProxySection::One(network) => std::slice::from_ref(network),
        ProxySection::Many(networks) => networks.as_slice(),
    };
    if let (Some(first), Some(Transport::Udp)) = (networks.first(), transport) {
        problems.add(
            name,
            first,
            "a UDP listener cannot expect a PROXY protocol header",
            "Remove it, or make this a tcp or tls listener",
        );
        return Vec::new();
    }
    let networks = networks.iter();
    networks.filter_map(|network| value::network(problems, &name, network)).collect()
}

fn identity(
    problems: &mut Problems,
    files: &Files,
    field: &impl Fn(&str) -> String,
    transport: Option<Transport>,
    section: &ListenerSection,
) -> Option<Identity> {
    for (name, path) in [("certificate", &section.certificate), ("key", &section.key)] {
        match (transport?, path) {
            (Transport::Tls, None) => problems.add_hidden(
                field(name),
                "a TLS listener needs one, and none is given",
                "Name a PEM file",
            ),
            (Transport::Tcp, None) if section.certificate.is_some() || section.key.is_some() => problems
                .add_hidden(
                    field(name),
                    "to serve TLS too, a TCP listener needs both a certificate and its key",
                    "Name a PEM file, or remove the other one",
                ),
            (Transport::Udp, Some(path)) => problems.add(
                field(name),
                path.display(),
                "a UDP listener has none",
                "Remove it, or write transport = \"tls\"",
            ),
            (Transport::Tls | Transport::Tcp, Some(_)) | (Transport::Udp | Transport::Tcp, None) => {}
        }
    }
    let identity = Identity { certificate: section.certificate.clone()?, key: section.key.clone()? };
    check_identity(problems, files, field, &identity);
    Some(identity)
}

/// Checks that a certificate and its key are there and belong together; `field` names settings beside each other.
pub(super) fn check_identity(
    problems: &mut Problems,
    files: &Files,
    field: &impl Fn(&str) -> String,
    identity: &Identity,
) {
    if files.read(&identity.key).is_ok_and(|file| file.is_exposed()) {
        problems.warn_of_exposed(&field("key"), identity.key.display());
    }
    if let Err(error) = Certificates::from_files(identity.certificate.clone(), identity.key.clone(), files) {
        let of_key = match &error {
            CertificateError::NoKey(_) => true,
            CertificateError::Read { path, .. } => *path == identity.key,
            CertificateError::NoCertificate(_) | CertificateError::Refused { .. } => false,
        };
        let (name, path) =
            if of_key { ("key", &identity.key) } else { ("certificate", &identity.certificate) };
        problems.add(field(name), path.display(), error.to_string(), "Name PEM files that belong together");
    }
}
