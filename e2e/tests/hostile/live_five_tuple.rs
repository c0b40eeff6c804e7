//! Requests that an attacker sends in the name of a live client's own 5-tuple: without the client's key
//! they change nothing.

use std::net::{SocketAddr, SocketAddrV4};

use edgerelay_e2e::Network;
use edgerelay_e2e::client::Client;
use edgerelay_e2e::credential::Credential;
use edgerelay_e2e::peer::Peer;
use edgerelay_e2e::relay::Relay;
use edgerelay_e2e::request::{self, Challenge};
use edgerelay_e2e::spoof::Spoofer;
use edgerelay_e2e::steady::Steady;
use stun::attribute::{ChannelNumber, ErrorCode, Lifetime, RequestedTransport, XorPeerAddress};
use stun::{Message, MessageWriter, Method};

const BOUND: u64 = 1 << 20;

#[test]
fn spoofed_requests_change_nothing() {
    let network = Network::new();
    let relay = Relay::start(&network);
    let steady = Steady::before(&network, &relay);
    let peer = Peer::new(&network.peer.namespace, network.peer.v4.into());
    let attackers_peer = Peer::new(&network.bob.namespace, network.bob.v4.into());
    let alice = relay.credential("alice");
    let mut client = Client::udp(&network.alice, relay.plain(), alice.clone());
    // The attacker has even seen the nonce.
    let challenge = client.challenge();
    let relayed = client.allocate().expect("a good client gets an allocation");
    client.permit(peer.address()).expect("the peer's address is public");

    let wrong_key = Credential::long_term(&alice.username, "not her password");
    let another_user = relay.credential("mallory");
    let mut spoofed = requests(&challenge, &wrong_key, attackers_peer.address());
    spoofed.extend(requests(&challenge, &another_user, attackers_peer.address()));
    spoofed.push(request::bare_allocate());
    let (SocketAddr::V4(from), SocketAddr::V4(to)) = (client.local(), relay.plain()) else {
        panic!("both are IPv4")
    };
    inject(&network, from, to, &spoofed);

    // Each is answered, to the client's address, with an error; the last answer tells that all were seen.
    let answers = client.aside();
    for request in &spoofed {
        let answer = answers.iter().find(|answer| answer.get(4..20) == request.get(4..20));
        let answer = Message::parse(answer.expect("a spoofed request gets an answer")).expect("well formed");
        let code = answer.get::<ErrorCode<'_>>().ok().flatten().expect("it is an error").code;
        assert!([401, 437, 441].contains(&code), "{:?}: {code}", answer.method());
    }

    // The attacker's peer has no permission, the client's still has, the allocation still lives.
    client.send_to(attackers_peer.address(), b"no permission");
    client.send_to(peer.address(), b"as before");
    assert_eq!(peer.receive(), Some((relayed, b"as before".to_vec())));
    assert!(attackers_peer.heard_nothing(), "a spoofed request got a permission");
    attackers_peer.send(relayed, b"let me in");
    peer.send(relayed, b"hello");
    assert_eq!(client.data(), Some((peer.address(), b"hello".to_vec())));
    client.refresh(0).expect("the allocation is still the client's");
    steady.holds(BOUND);
}

fn requests(challenge: &Challenge, credential: &Credential, peer: SocketAddr) -> Vec<Vec<u8>> {
    let signed = |method, fill: &dyn Fn(&mut MessageWriter<'_>)| {
        request::signed(method, challenge, credential, fill, |_| {})
    };
    let channel = ChannelNumber::FIRST;
    vec![
        signed(Method::REFRESH, &|writer| drop(writer.attribute(&Lifetime(0)))),
        signed(Method::ALLOCATE, &|writer| drop(writer.attribute(&RequestedTransport::UDP))),
        signed(Method::CREATE_PERMISSION, &|writer| drop(writer.attribute(&XorPeerAddress(peer)))),
        signed(Method::CHANNEL_BIND, &|writer| {
            writer.attribute(&channel).expect("there is room");
            writer.attribute(&XorPeerAddress(peer)).expect("there is room");
        }),
    ]
}

fn inject(network: &Network, from: SocketAddrV4, to: SocketAddrV4, requests: &[Vec<u8>]) {
    let spoofer = Spoofer::new(network);
    for request in requests {
        spoofer.send(from, to, request);
    }
}
