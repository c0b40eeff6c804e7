//! coturn's client relays to coturn's echo peer without losing a packet: over every transport and
//! family, by channels and by indications, with a TURN REST credential and with a long-term one.

use edgerelay_e2e::Network;
use edgerelay_e2e::coturn::{Login, Method, Tally, Uclient, echo_peer};
use edgerelay_e2e::network::Family;
use edgerelay_e2e::relay::{Relay, SECRET};
use edgerelay_e2e::transport::Transport;

const MESSAGES: u32 = 50;

#[test]
fn udp_ipv4() {
    nothing_is_lost(Transport::Udp, Family::V4);
}

#[test]
fn udp_ipv6() {
    nothing_is_lost(Transport::Udp, Family::V6);
}

#[test]
fn tcp_ipv4() {
    nothing_is_lost(Transport::Tcp, Family::V4);
}

#[test]
fn tcp_ipv6() {
    nothing_is_lost(Transport::Tcp, Family::V6);
}

#[test]
fn tls_ipv4() {
    nothing_is_lost(Transport::Tls, Family::V4);
}

#[test]
fn tls_ipv6() {
    nothing_is_lost(Transport::Tls, Family::V6);
}

#[test]
fn with_dont_fragment() {
    let network = Network::new();
    let relay = Relay::start(&network);
    let (_process, peer) = echo_peer(&network.peer, network.peer.v4.into());
    let client = Uclient { extra: &["-g"], ..client(&relay, Transport::Udp, Method::Indications) };
    assert_eq!(client.run(&network.alice, relay.plain(), peer), all_of(&client));
}

/// Two sessions of the client are each other's peers: both ends of the path are relayed addresses.
#[test]
fn from_relay_to_relay() {
    let network = Network::new();
    let relay = Relay::start(&network);
    let client = Uclient { extra: &["-y"], ..client(&relay, Transport::Udp, Method::Indications) };
    assert_eq!(client.run(&network.alice, relay.plain(), relay.plain()), all_of(&client));
}

fn nothing_is_lost(transport: Transport, family: Family) {
    let network = Network::new();
    let relay = Relay::start(&network);
    let (_process, peer) = echo_peer(&network.peer, network.peer.address(family));
    for method in [Method::Channels, Method::Indications] {
        let client = client(&relay, transport, method);
        let tally = client.run(&network.alice, relay.address(transport, family), peer);
        assert_eq!(tally, all_of(&client), "{transport:?}, {family:?}, {method:?}");
    }
}

fn client(relay: &Relay<'_>, transport: Transport, method: Method) -> Uclient {
    let secret = Login::SharedSecret { user: "alice".to_owned(), secret: SECRET.to_owned() };
    let login = match method {
        Method::Channels => secret,
        Method::Indications => Login::LongTerm(relay.long_term()),
    };
    Uclient { transport, method, login, sessions: 4, messages: MESSAGES, extra: &[] }
}

fn all_of(client: &Uclient) -> Tally {
    let sent = u64::from(client.sessions * client.messages);
    Tally { sent, received: sent, lost: 0 }
}
