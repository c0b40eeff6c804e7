//! Packets through a live relay over TLS: key exchange, ALPN (RFC 7443), and new certificates.

use std::fs;
use std::io::Write;
use std::time::Duration;

use crate::support::{
    Client, Identity, NodePlan, Packet, StreamWire, TlsClient, Wire, binding, connect, is_closed, peer,
    receive, tls_session, wait_until,
};
use edgerelay::config::Files;
use edgerelay::tls::{CertificateError, Certificates};
use rustls::{NamedGroup, StreamOwned};
use stun::TransactionId;

#[test]
fn channel_data_goes_to_the_peer_and_back() {
    let identity = Identity::new();
    let node = NodePlan::tls(identity.certificates()).start();
    let (mut client, peer) = (TlsClient::tls(node.address(), &identity, &[]).unwrap(), peer());
    let relayed = client.allocate();
    client.bind(0x4000, peer.local_addr().unwrap());
    for payload in [&b"hello"[..], b"", &[7; 1201], &[8; 60_000]] {
        client.send_channel(0x4000, payload);
        assert_eq!(receive(&peer), (payload.to_vec(), relayed));
        peer.send_to(payload, relayed).unwrap();
        assert_eq!(client.receive(), Packet::Channel { number: 0x4000, payload: payload.to_vec() });
    }
}

#[test]
fn the_key_exchange_is_post_quantum() {
    let identity = Identity::new();
    let node = NodePlan::tls(identity.certificates()).start();
    let client = TlsClient::tls(node.address(), &identity, &[]).unwrap();
    let group = client.session().negotiated_key_exchange_group().unwrap();
    assert_eq!(group.name(), NamedGroup::X25519MLKEM768);
}

#[test]
fn alpn_is_chosen_left_out_or_refused() {
    let identity = Identity::new();
    let node = NodePlan::tls(identity.certificates()).start();

    let chosen = TlsClient::tls(node.address(), &identity, &["h2", "stun.turn"]).unwrap();
    assert_eq!(chosen.session().alpn_protocol(), Some(&b"stun.turn"[..]));

    let mut discovery = TlsClient::tls(node.address(), &identity, &["stun.nat-discovery"]).unwrap();
    assert_eq!(discovery.session().alpn_protocol(), Some(&b"stun.nat-discovery"[..]));
    discovery.binding();
    let both = ["stun.nat-discovery", "stun.turn"];
    let both = TlsClient::tls(node.address(), &identity, &both).unwrap();
    assert_eq!(both.session().alpn_protocol(), Some(&b"stun.turn"[..]));

    let mut without = TlsClient::tls(node.address(), &identity, &[]).unwrap();
    assert_eq!(without.session().alpn_protocol(), None);
    without.binding();

    let refused = TlsClient::tls(node.address(), &identity, &["h2"]).err().unwrap();
    assert!(refused.to_string().contains("NoApplicationProtocol"), "{refused}");
}

#[test]
fn what_is_no_tls_closes_the_connection() {
    let identity = Identity::new();
    let node = NodePlan::tls(identity.certificates()).start();
    let mut stream = connect(node.address());
    stream.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    assert!(is_closed(&mut stream));
    wait_until("it is counted", || node.count(|stats| stats.connections_invalid) == 1);
}

#[test]
fn a_new_certificate_is_for_new_connections_and_a_bad_one_for_none() {
    let folder = tempfile::tempdir().unwrap();
    let (certificate_file, key_file) = (folder.path().join("tls.crt"), folder.path().join("tls.key"));
    let first = Identity::new();
    first.write(folder.path());
    let certificates =
        Certificates::from_files(certificate_file.clone(), key_file.clone(), &Files::on_disk()).unwrap();
    let node = NodePlan::tls(certificates.clone()).start();
    let mut old = TlsClient::tls(node.address(), &first, &[]).unwrap();
    assert!(certificates.renewal(&Files::on_disk()).unwrap().is_none(), "nothing has changed");

    let second = Identity::new();
    second.write(folder.path());
    certificates.renewal(&Files::on_disk()).unwrap().unwrap().apply();
    // The old connection lives on.
    old.binding();
    let mut new = TlsClient::tls(node.address(), &second, &[]).unwrap();
    new.binding();
    assert!(TlsClient::tls(node.address(), &first, &[]).is_err(), "the old certificate is gone");

    fs::write(&key_file, &first.key).unwrap();
    let refused = certificates.renewal(&Files::on_disk()).map(drop).unwrap_err();
    assert!(matches!(refused, CertificateError::Refused { .. }), "{refused}");
    fs::write(&key_file, &second.key).unwrap();
    fs::write(&certificate_file, "nothing").unwrap();
    let refused = certificates.renewal(&Files::on_disk()).map(drop).unwrap_err();
    assert!(refused.to_string().contains("tls.crt"), "{refused}");
    assert!(TlsClient::tls(node.address(), &second, &[]).is_ok(), "the last good one stays");
}

#[test]
fn an_ended_connection_ends_its_allocation() {
    let identity = Identity::new();
    let node = NodePlan::tls(identity.certificates()).start();
    let mut client: TlsClient = Client::tls(node.address(), &identity, &[]).unwrap();
    client.allocate();
    wait_until("there is an allocation", || node.workers.allocations() == 1);
    drop(client);
    wait_until("the allocation is gone", || node.workers.allocations() == 0);
}

#[test]
fn a_handshake_in_single_bytes_is_taken_and_so_is_a_packet_behind_it() {
    let identity = Identity::new();
    let node = NodePlan::tls(identity.certificates()).start();
    let mut session = tls_session(&identity, &[]);
    let mut stream = connect(node.address());
    let mut hello = Vec::new();
    session.write_tls(&mut hello).unwrap();
    for byte in hello {
        stream.write_all(&[byte]).unwrap();
    }
    // Leaves with the end of the handshake.
    session.writer().write_all(&binding(TransactionId::new([5; 12]))).unwrap();
    while session.is_handshaking() {
        session.complete_io(&mut stream).unwrap();
    }
    let mut client = Client::over(StreamWire::new(StreamOwned::new(session, stream)));
    assert_eq!(stun::Kind::of(&client.wire.receive()), stun::Kind::Stun);
    client.binding();
}

#[test]
fn a_client_that_leaves_during_the_handshake_leaves_nothing_behind() {
    let identity = Identity::new();
    let node = NodePlan::tls(identity.certificates()).start();
    let mut hello = Vec::new();
    tls_session(&identity, &[]).write_tls(&mut hello).unwrap();
    for _ in 0..50 {
        let mut stream = connect(node.address());
        stream.write_all(&hello).unwrap();
        // Closed without lingering: the relay is told at once, whatever it does just then.
        socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
    }
    wait_until("all were accepted", || node.count(|stats| stats.connections_accepted) == 50);
    wait_until("all are gone", || node.count(|stats| stats.connections_open) == 0);
    TlsClient::tls(node.address(), &identity, &[]).unwrap().binding();
}
