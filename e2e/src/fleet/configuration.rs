//! What a node has in its configuration beside what every relay has.

use std::net::SocketAddr;

use super::region::Region;
use super::{FIRST_CONTACT_PORT, FIRST_CONTACT_TLS_PORT};
use crate::certificate::Certificate;
use crate::network::Family;

/// The fleet's name.
pub const NAME: &str = "edge";
/// The name in nodes' certificates.
pub(super) const NODES_CERTIFICATE: &str = "relay.edge.edgerelay";
/// The name in the certificate of who may give commands.
pub(super) const OPERATOR: &str = "operator.example";
/// What all that is in Redis is sealed under.
const KEY: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
const GRPC_PORT: u16 = 7443;

/// The name of a node.
pub fn node_name(node: usize) -> String {
    format!("node-{}", node + 1)
}

/// Where a node takes commands.
pub fn grpc_address(node: usize) -> SocketAddr {
    SocketAddr::new(Region::inner(node, Family::V4), GRPC_PORT)
}

/// Its listeners for first contact, and its fleet.
pub(super) fn of(node: usize, redis: &str, public: &Certificate, internal: &Certificate) -> String {
    let mut text = String::new();
    for family in [Family::V4, Family::V6] {
        let inner = Region::inner(node, family);
        for (transport, port) in
            [("udp", FIRST_CONTACT_PORT), ("tcp", FIRST_CONTACT_PORT), ("tls", FIRST_CONTACT_TLS_PORT)]
        {
            let address = SocketAddr::new(inner, port);
            text += &format!(
                "[[listeners]]\ntransport = {transport:?}\naddress = \"{address}\"\nfirst_contact = true\n"
            );
            if transport == "tls" {
                text += &identity(public);
            }
        }
    }
    let name = node_name(node);
    text += &format!("[cluster]\nfleet = {NAME:?}\nnode = {name:?}\nfleet_key = {KEY:?}\n");
    text += &format!("[cluster.redis]\nurls = {redis:?}\n");
    let grpc = grpc_address(node);
    text += &format!(
        "[cluster.grpc]\naddress = \"{grpc}\"\nca_file = {:?}\noperators = {OPERATOR:?}\n",
        internal.authority()
    );
    text + &identity(internal)
}

fn identity(certificate: &Certificate) -> String {
    format!("certificate = {:?}\nkey = {:?}\n", certificate.chain(), certificate.key())
}
