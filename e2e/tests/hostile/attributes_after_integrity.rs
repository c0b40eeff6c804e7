//! Attributes behind MESSAGE-INTEGRITY are not covered by it, so they count for nothing (RFC 8489
//! section 14.5), wherever an attacker on the path could have appended them.

use edgerelay_e2e::Network;
use edgerelay_e2e::client::Client;
use edgerelay_e2e::peer::Peer;
use edgerelay_e2e::relay::Relay;
use edgerelay_e2e::request::raw;
use edgerelay_e2e::steady::Steady;
use stun::attribute::{Lifetime, RequestedTransport, XorPeerAddress};
use stun::{AttributeType, Method};

const BOUND: u64 = 1 << 20;
/// Comprehension-required, and of no meaning to anybody.
const UNKNOWN: u16 = 0x7FF0;

#[test]
fn count_for_nothing() {
    let network = Network::new();
    let relay = Relay::start(&network);
    let steady = Steady::before(&network, &relay);
    let peer = Peer::new(&network.peer.namespace, network.peer.v4.into());
    let appended = Peer::new(&network.bob.namespace, network.bob.v4.into());
    let mut client = Client::udp(&network.alice, relay.plain(), relay.credential("alice"));

    // Allocate: what would be refused in front is not even seen behind.
    let allocate = client.signed_and(
        Method::ALLOCATE,
        |writer| drop(writer.attribute(&RequestedTransport::UDP)),
        |writer| {
            raw(writer, UNKNOWN, b"what?");
            raw(writer, AttributeType::EVEN_PORT.0, &[0xFF; 7]);
        },
    );
    assert_eq!(client.ask(&allocate).code(), None, "Allocate");

    // CreatePermission: a peer in front gets its permission, the appended one does not.
    let permit = client.signed_and(
        Method::CREATE_PERMISSION,
        |writer| drop(writer.attribute(&XorPeerAddress(peer.address()))),
        |writer| drop(writer.attribute(&XorPeerAddress(appended.address()))),
    );
    assert_eq!(client.ask(&permit).code(), None, "CreatePermission");
    client.send_to(appended.address(), b"no permission");
    client.send_to(peer.address(), b"permission");
    assert_eq!(peer.receive().map(|(_, data)| data), Some(b"permission".to_vec()));
    assert!(appended.heard_nothing(), "a peer behind MESSAGE-INTEGRITY got a permission");

    // With the only peer behind, there is none: 400 (RFC 8656 section 10.2).
    let permit = client.signed_and(
        Method::CREATE_PERMISSION,
        |_| {},
        |writer| drop(writer.attribute(&XorPeerAddress(appended.address()))),
    );
    assert_eq!(client.ask(&permit).code(), Some(400), "CreatePermission without a peer");

    // Refresh: an appended lifetime of 0 ends nothing.
    let refresh = client.signed_and(
        Method::REFRESH,
        |writer| drop(writer.attribute(&Lifetime(600))),
        |writer| drop(writer.attribute(&Lifetime(0))),
    );
    assert_eq!(client.ask(&refresh).code(), None, "Refresh");
    client.send_to(peer.address(), b"still there");
    assert_eq!(peer.receive().map(|(_, data)| data), Some(b"still there".to_vec()));

    client.refresh(0).expect("the allocation is as it was");
    steady.holds(BOUND);
}
