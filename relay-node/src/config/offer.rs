//! What clients are given of a configured relay: where it is, and what their credentials are signed with.
//! Nothing is looked up on this machine, which need not be the relay's.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use turn::Transport;

use super::document::{Document, ListenerSection, RelayAddressSection};
use super::files::Files;
use super::layers::Layers;
use super::listener::DEFAULT_PORT;
use super::problem::Problems;
use super::secret::Secret;
use super::{credentials, value};

/// What clients are given of a relay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// Secrets of time-limited credentials; the first one signs.
    pub rest_secrets: Vec<Secret>,
    /// Where clients reach the listeners of which the configuration tells it.
    pub listeners: Vec<(Transport, SocketAddr)>,
}

impl Offer {
    /// Takes from the layers what clients are given.
    ///
    /// # Errors
    /// What is wrong with just that part of the configuration.
    pub fn check(layers: &Layers) -> Result<Self, Problems> {
        let document = layers.document()?;
        let mut problems = Problems::default();
        let rest_secrets =
            credentials::check(&mut problems, &Files::on_disk(), &document.credentials, false).rest_secrets;
        let listeners = listeners(&mut problems, &document);
        if problems.is_empty() { Ok(Self { rest_secrets, listeners }) } else { Err(problems) }
    }
}

fn listeners(problems: &mut Problems, document: &Document) -> Vec<(Transport, SocketAddr)> {
    let relays: Vec<_> =
        document.relay.addresses.iter().filter_map(|section| relay_address(problems, section)).collect();
    let bound: Vec<_> = if document.listeners.is_empty() {
        let both = [IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)];
        let both = both.map(|address| SocketAddr::new(address, DEFAULT_PORT));
        both.into_iter().flat_map(|address| [(Transport::Udp, address), (Transport::Tcp, address)]).collect()
    } else {
        // Those for first contact are reached by the load balancer, of which nothing is known here.
        let direct = document.listeners.iter().filter(|section| !section.first_contact);
        direct.filter_map(|section| listener(problems, section)).collect()
    };
    bound
        .into_iter()
        .filter_map(|(transport, address)| Some((transport, reached_by(address, &relays)?)))
        .collect()
}

/// A listener that is bound to every address is reached by the relay's own.
fn reached_by(bound: SocketAddr, relays: &[IpAddr]) -> Option<SocketAddr> {
    let relay = relays.iter().copied().find(|relay| relay.is_ipv4() == bound.is_ipv4());
    let ip = Some(bound.ip()).filter(|ip| !ip.is_unspecified()).or(relay)?;
    (bound.port() != 0).then(|| SocketAddr::new(ip, bound.port()))
}

fn listener(problems: &mut Problems, section: &ListenerSection) -> Option<(Transport, SocketAddr)> {
    let known = [Transport::Udp, Transport::Tcp, Transport::Tls];
    let transport = known.into_iter().find(|transport| transport.name() == section.transport)?;
    let address = section.advertised.as_ref().unwrap_or(&section.address);
    Some((transport, value::socket_address(problems, "listeners", address)?))
}

fn relay_address(problems: &mut Problems, section: &RelayAddressSection) -> Option<IpAddr> {
    let address = section.advertised.as_ref().unwrap_or(&section.bind);
    value::address(problems, "relay.addresses", address)
}
