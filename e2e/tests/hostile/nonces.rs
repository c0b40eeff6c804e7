//! Nonces that the relay did not give, not to this client, or too long ago: 438 with a new one, even
//! when everything else is right, and nothing allocated.

use std::time::Duration;

use edgerelay_e2e::Network;
use edgerelay_e2e::client::Client;
use edgerelay_e2e::relay::Relay;
use edgerelay_e2e::request::Challenge;
use edgerelay_e2e::steady::Steady;
use stun::Method;
use stun::attribute::RequestedTransport;
use testbed::eventually_true;

const BOUND: u64 = 1 << 20;

#[test]
fn forged() {
    let network = Network::new();
    let relay = Relay::start(&network);
    let steady = Steady::before(&network, &relay);
    let mut client = Client::udp(&network.alice, relay.plain(), relay.credential("mallory"));
    let good = client.challenge();
    let one_bit_off = (0..good.nonce.len()).map(|place| {
        let mut nonce = good.nonce.clone();
        nonce[place] ^= 1;
        nonce
    });
    let other = [b"".to_vec(), b"obMatJos2".to_vec(), vec![b'A'; 127], vec![0; 37], good.nonce[1..].to_vec()];
    for nonce in one_bit_off.chain(other) {
        refused(&mut client, Challenge { nonce, ..good.clone() });
    }
    steady.holds(BOUND);
}

/// A nonce is bound to the address that it was given to.
#[test]
fn given_to_another_client() {
    let network = Network::new();
    let relay = Relay::start(&network);
    let steady = Steady::before(&network, &relay);
    let theirs = Client::udp(&network.bob, relay.plain(), relay.credential("bob")).challenge();
    let mut client = Client::udp(&network.alice, relay.plain(), relay.credential("mallory"));
    refused(&mut client, theirs);
    steady.holds(BOUND);
}

#[test]
fn given_under_another_key() {
    let network = Network::new();
    let foreign = {
        let relay = Relay::start(&network);
        Client::udp(&network.alice, relay.plain(), relay.credential("mallory")).challenge()
    };
    let relay = Relay::start(&network);
    let steady = Steady::before(&network, &relay);
    let mut client = Client::udp(&network.alice, relay.plain(), relay.credential("mallory"));
    refused(&mut client, foreign);
    steady.holds(BOUND);
}

#[test]
fn stale() {
    let network = Network::new();
    let relay = Relay::with(&network, &[("nonce.lifetime", "\"2s\"")]);
    let steady = Steady::before(&network, &relay);
    let mut client = Client::udp(&network.alice, relay.plain(), relay.credential("alice"));
    let old = client.challenge();
    client.allocate().expect("the nonce is new");
    eventually_true(Duration::from_secs(20), "the nonce to go stale", || client.refresh(600) == Err(438));

    // Only a client that keeps up with the nonces gets its allocation's time extended.
    let request = client.signed(Method::REFRESH, |_| {});
    let nonce = client.ask(&request).nonce().expect("a 438 has the nonce to use");
    assert_ne!(nonce, old.nonce);
    client.use_challenge(Challenge { nonce, ..old });
    client.refresh(0).expect("the new nonce is good");
    steady.holds(BOUND);
}

fn refused(client: &mut Client, challenge: Challenge) {
    let nonce = challenge.nonce.clone();
    client.use_challenge(challenge);
    let request = client.signed(Method::ALLOCATE, |writer| drop(writer.attribute(&RequestedTransport::UDP)));
    let reply = client.ask(&request);
    let shown = nonce.escape_ascii().to_string();
    assert_eq!(reply.code(), Some(438), "{shown}");
    assert!(reply.nonce().is_some_and(|new| new != nonce), "a new nonce comes with the error: {shown}");
}
