//! Packets through a live relay over TLS: key exchange, ALPN (RFC 7443), and new certificates.

use std::fs;
use std::io::Write;
use std::time::Duration;

use crate::support::{
    Client, NodePlan, Packet, StreamWire, TlsClient, Wire, connect, identity, is_closed, peer, receive,
    tls_session, wait_until, write,
};
use edgerelay::tls::{CertificateError, Certificates};
use rustls::{NamedGroup, StreamOwned};

#[test]
fn channel_data_goes_to_the_peer_and_back() {
    let (certificate, key) = identity();
    let node = NodePlan::tls(Certificates::from_pem(certificate.as_bytes(), key.as_bytes()).unwrap()).start();
    let (mut client, peer) = (TlsClient::tls(node.address(), &certificate, &[]).unwrap(), peer());
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
    let (certificate, key) = identity();
    let node = NodePlan::tls(Certificates::from_pem(certificate.as_bytes(), key.as_bytes()).unwrap()).start();
    let client = TlsClient::tls(node.address(), &certificate, &[]).unwrap();
    let group = client.session().negotiated_key_exchange_group().unwrap();
    assert_eq!(group.name(), NamedGroup::X25519MLKEM768);
}

#[test]
fn alpn_is_chosen_left_out_or_refused() {
    let (certificate, key) = identity();
    let node = NodePlan::tls(Certificates::from_pem(certificate.as_bytes(), key.as_bytes()).unwrap()).start();

    let chosen = TlsClient::tls(node.address(), &certificate, &["h2", "stun.turn"]).unwrap();
    assert_eq!(chosen.session().alpn_protocol(), Some(&b"stun.turn"[..]));

    let mut discovery = TlsClient::tls(node.address(), &certificate, &["stun.nat-discovery"]).unwrap();
    assert_eq!(discovery.session().alpn_protocol(), Some(&b"stun.nat-discovery"[..]));
    assert_eq!(discovery.binding().code(), 0);
    let both = ["stun.nat-discovery", "stun.turn"];
    let both = TlsClient::tls(node.address(), &certificate, &both).unwrap();
    assert_eq!(both.session().alpn_protocol(), Some(&b"stun.turn"[..]));

    let mut without = TlsClient::tls(node.address(), &certificate, &[]).unwrap();
    assert_eq!(without.session().alpn_protocol(), None);
    assert_eq!(without.binding().code(), 0);

    let refused = TlsClient::tls(node.address(), &certificate, &["h2"]).err().unwrap();
    assert!(refused.to_string().contains("NoApplicationProtocol"), "{refused}");
}

#[test]
fn what_is_no_tls_closes_the_connection() {
    let (certificate, key) = identity();
    let node = NodePlan::tls(Certificates::from_pem(certificate.as_bytes(), key.as_bytes()).unwrap()).start();
    let mut stream = connect(node.address());
    stream.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    assert!(is_closed(&mut stream));
    wait_until("it is counted", || node.count(|stats| stats.connections_invalid) == 1);
}

#[test]
fn a_new_certificate_is_for_new_connections_and_a_bad_one_for_none() {
    let folder = tempfile::tempdir().unwrap();
    let (certificate_file, key_file) = (folder.path().join("tls.crt"), folder.path().join("tls.key"));
    let put = |certificate: &str, key: &str| {
        fs::write(&certificate_file, certificate).unwrap();
        fs::write(&key_file, key).unwrap();
    };
    let (first, first_key) = identity();
    put(&first, &first_key);
    let certificates = Certificates::from_files(certificate_file.clone(), key_file.clone()).unwrap();
    let node = NodePlan::tls(certificates.clone()).start();
    let mut old = TlsClient::tls(node.address(), &first, &[]).unwrap();
    assert!(certificates.read_again().unwrap().is_none(), "nothing has changed");

    let (second, second_key) = identity();
    put(&second, &second_key);
    certificates.read_again().unwrap().unwrap().apply();
    assert_eq!(old.binding().code(), 0, "the old connection lives on");
    let mut new = TlsClient::tls(node.address(), &second, &[]).unwrap();
    assert_eq!(new.binding().code(), 0);
    assert!(TlsClient::tls(node.address(), &first, &[]).is_err(), "the old certificate is gone");

    put(&second, &first_key);
    let refused = certificates.read_again().map(drop).unwrap_err();
    assert!(matches!(refused, CertificateError::Refused { .. }), "{refused}");
    put("nothing", &second_key);
    let refused = certificates.read_again().map(drop).unwrap_err();
    assert!(refused.to_string().contains("tls.crt"), "{refused}");
    assert!(TlsClient::tls(node.address(), &second, &[]).is_ok(), "the last good one stays");
}

#[test]
fn an_ended_connection_ends_its_allocation() {
    let (certificate, key) = identity();
    let node = NodePlan::tls(Certificates::from_pem(certificate.as_bytes(), key.as_bytes()).unwrap()).start();
    let mut client: TlsClient = Client::tls(node.address(), &certificate, &[]).unwrap();
    client.allocate();
    wait_until("there is an allocation", || node.workers.allocations() == 1);
    drop(client);
    wait_until("the allocation is gone", || node.workers.allocations() == 0);
}

#[test]
fn a_handshake_in_single_bytes_is_taken_and_so_is_a_packet_behind_it() {
    let (certificate, key) = identity();
    let node = NodePlan::tls(Certificates::from_pem(certificate.as_bytes(), key.as_bytes()).unwrap()).start();
    let mut session = tls_session(&certificate, &[]);
    let mut stream = connect(node.address());
    let mut hello = Vec::new();
    session.write_tls(&mut hello).unwrap();
    for byte in hello {
        stream.write_all(&[byte]).unwrap();
    }
    // Leaves with the end of the handshake.
    session.writer().write_all(&binding()).unwrap();
    while session.is_handshaking() {
        session.complete_io(&mut stream).unwrap();
    }
    let mut client = Client::over(StreamWire::new(StreamOwned::new(session, stream)));
    assert_eq!(stun::Kind::of(&client.wire.receive()), stun::Kind::Stun);
    assert_eq!(client.binding().code(), 0);
}

#[test]
fn a_client_that_leaves_during_the_handshake_leaves_nothing_behind() {
    let (certificate, key) = identity();
    let node = NodePlan::tls(Certificates::from_pem(certificate.as_bytes(), key.as_bytes()).unwrap()).start();
    let mut hello = Vec::new();
    tls_session(&certificate, &[]).write_tls(&mut hello).unwrap();
    for _ in 0..50 {
        let mut stream = connect(node.address());
        stream.write_all(&hello).unwrap();
        // Closed without lingering: the relay is told at once, whatever it does just then.
        socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
    }
    wait_until("all were accepted", || node.count(|stats| stats.connections_accepted) == 50);
    wait_until("all are gone", || node.count(|stats| stats.connections_open) == 0);
    assert_eq!(TlsClient::tls(node.address(), &certificate, &[]).unwrap().binding().code(), 0);
}

fn binding() -> Vec<u8> {
    write(stun::Class::Request, stun::Method::BINDING, stun::TransactionId::new([5; 12]), |_| Ok(()))
}
