//! pion's client, which asks for the ALPN of RFC 7443 over TLS, gets every message back from a peer.

use edgerelay_e2e::Network;
use edgerelay_e2e::coturn::echo_peer;
use edgerelay_e2e::network::Family;
use edgerelay_e2e::pion::{self, MESSAGES};
use edgerelay_e2e::relay::Relay;
use edgerelay_e2e::transport::Transport;

#[test]
fn over_udp() {
    gets_every_message_back(Transport::Udp);
}

#[test]
fn over_tcp() {
    gets_every_message_back(Transport::Tcp);
}

#[test]
fn over_tls() {
    gets_every_message_back(Transport::Tls);
}

fn gets_every_message_back(transport: Transport) {
    let network = Network::new();
    let relay = Relay::start(&network);
    let (_process, peer) = echo_peer(&network.peer, network.peer.v4.into());
    let address = relay.address(transport, Family::V4);
    let authority = relay.certificate().authority();
    let passed = pion::run(&network.alice, address, transport, peer, &relay.credential("pion"), &authority);
    assert_eq!(passed, MESSAGES);
}
