//! A client on TCP that does not read while its peer floods it: what does not fit is dropped whole, nobody
//! else waits, and once it reads again it finds whole messages.

use edgerelay_e2e::Network;
use edgerelay_e2e::client::Client;
use edgerelay_e2e::peer::Peer;
use edgerelay_e2e::relay::Relay;
use edgerelay_e2e::steady::{Steady, good_client_works};

const DATAGRAMS: u32 = 20_000;
const PAYLOAD: usize = 1200;
/// Of 24 MB that the peer sends, the relay may hold its write buffer and the round-up.
const BOUND: u64 = 2 << 20;

#[test]
fn stalls_only_itself() {
    let network = Network::new();
    let relay = Relay::with(&network, &[("limits.streams.write_buffer", "262144")]);
    let steady = Steady::before(&network, &relay);
    let peer = Peer::new(&network.peer.namespace, network.peer.v4.into());
    let mut slow = Client::tcp(&network.bob, relay.plain(), relay.credential("slow"));
    let relayed = slow.allocate().expect("a good client gets an allocation");
    slow.permit(peer.address()).expect("the peer's address is public");

    for number in 0..DATAGRAMS {
        let mut datagram = [0; PAYLOAD];
        datagram[..4].copy_from_slice(&number.to_be_bytes());
        peer.send(relayed, &datagram);
        if number % (DATAGRAMS / 4) == 0 {
            good_client_works(&network, &relay);
        }
    }

    steady.memory_holds(BOUND);

    // Whole messages in order, with gaps.
    let mut last = None;
    let mut received = 0;
    // An answer fits behind all that data, and comes after it.
    for packet in &slow.aside() {
        let message = stun::Message::parse(packet).expect("no message is torn");
        let data =
            message.get::<stun::attribute::Data<'_>>().ok().flatten().expect("all are Data indications").0;
        assert_eq!(data.len(), PAYLOAD);
        let number = u32::from_be_bytes(data[..4].try_into().expect("four bytes"));
        assert!(last < Some(number), "messages are in order");
        last = Some(number);
        received += 1;
    }
    assert!(received > 0 && received < DATAGRAMS, "{received} of {DATAGRAMS} datagrams were kept");

    // What comes now arrives: the client has caught up.
    peer.send(relayed, b"caught up");
    assert_eq!(slow.data(), Some((peer.address(), b"caught up".to_vec())));
    slow.refresh(0).expect("the allocation has lived through it");
    drop(slow);
    steady.holds(BOUND);
}
