//! The URLs by which the best nodes are reached without a load balancer.

use turn::{AddressFamily, Transport};

use crate::cluster::registry::Directory;
use crate::cluster::registry::entry::Entry;
use crate::ice_servers;

/// Nodes in an answer: a client allocates at each URL, so one to use and one more for when it fails.
const NODES: usize = 2;

/// URLs of the best nodes for a client of `zone`, the best one's first.
pub(super) fn urls(directory: &Directory, zone: &str) -> Vec<String> {
    let best = directory.best(NODES, zone, &[AddressFamily::V4, AddressFamily::V6]);
    best.iter().flat_map(|entry| of(entry)).collect()
}

/// By UDP first. Over TLS only where the node's certificate has a name or covers the address: a browser gives up on
/// any other.
fn of(entry: &Entry) -> Vec<String> {
    let by = |transport| entry.addresses.iter().filter(move |(is, _)| *is == transport);
    let plain =
        by(Transport::Udp).chain(by(Transport::Tcp)).map(|&(transport, at)| ice_servers::url(transport, at));
    let tls = entry.tls.as_ref();
    let over_tls = by(Transport::Tls).filter_map(|(transport, at)| {
        let tls = tls?;
        if tls.covers.contains(&at.ip()) {
            return Some(ice_servers::url(*transport, *at));
        }
        let domain = tls.domain.as_ref()?;
        Some(format!("turns:{domain}:{}?transport=tcp", at.port()))
    });
    plain.chain(over_tls).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::node::TlsNames;
    use crate::cluster::registry::fixtures::entry;

    #[test]
    fn a_node_is_named_by_what_clients_can_use() {
        let mut node = entry("a", 0);
        node.addresses = [
            (Transport::Tls, "192.0.2.1:5349"),
            (Transport::Udp, "192.0.2.1:3478"),
            (Transport::Tcp, "[2001:db8::1]:3478"),
        ]
        .map(|(transport, address)| (transport, address.parse().unwrap()))
        .to_vec();
        let plain = ["turn:192.0.2.1:3478?transport=udp", "turn:[2001:db8::1]:3478?transport=tcp"];
        assert_eq!(of(&node), plain);
        let named = |domain: Option<&str>, covers: &[&str]| {
            let covers = covers.iter().map(|ip| ip.parse().unwrap()).collect();
            of(&Entry { tls: Some(TlsNames { domain: domain.map(str::to_owned), covers }), ..node.clone() })
        };
        assert_eq!(named(None, &[]), plain);
        assert_eq!(named(Some("a.example.org"), &[])[2..], ["turns:a.example.org:5349?transport=tcp"]);
        assert_eq!(named(None, &["192.0.2.1"])[2..], ["turns:192.0.2.1:5349?transport=tcp"]);
    }
}
