//! A second relay with the same directory takes over from one that serves: UDP clients notice nothing, those of
//! connections stay where they are, and all reach each other.

use std::net::{SocketAddr, UdpSocket};
use std::path::Path;

use crate::support::{ALICE, Client, Daemon, Packet, UDP, peer, receive};

/// A relay that serves in `directory`.
fn serve_in(directory: &Path, settings: &str) -> Daemon {
    Daemon::serve(&format!(
        "recovery.directory = '{}'\n{ALICE}\n{settings}",
        directory.join("recovery").display()
    ))
}

/// A client with a channel to `peer`, and its relayed address.
fn call(relay: SocketAddr, peer: &UdpSocket) -> (Client<UdpSocket>, SocketAddr) {
    let mut alice = Client::udp(relay);
    let relayed = alice.allocate();
    alice.bind(0x4000, peer.local_addr().unwrap());
    (alice, relayed)
}

fn assert_served(alice: &mut Client<UdpSocket>, peer: &UdpSocket, relayed: SocketAddr) {
    alice.send_channel(0x4000, b"there");
    assert_eq!(receive(peer), (b"there".to_vec(), relayed));
    peer.send_to(b"back", relayed).unwrap();
    assert_eq!(alice.receive(), Packet::Channel { number: 0x4000, payload: b"back".to_vec() });
}

#[test]
fn a_udp_call_goes_on_at_its_address() {
    let directory = tempfile::tempdir().unwrap();
    let mut old = serve_in(directory.path(), UDP);
    let peer = peer();
    let (mut alice, relayed) = call(old.address("udp"), &peer);
    assert_served(&mut alice, &peer, relayed);

    let new = serve_in(directory.path(), UDP);
    assert_eq!(new.address("udp"), old.address("udp"));
    assert_eq!(new.admin(), old.admin());
    assert!(old.wait().success(), "it has no connection to wait for");
    assert_served(&mut alice, &peer, relayed);
    assert_eq!(alice.refresh(600), 600);
    let (mut bob, bobs) = call(new.address("udp"), &peer);
    assert_served(&mut bob, &peer, bobs);
}
