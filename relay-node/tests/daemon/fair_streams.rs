//! A connection that sends as fast as it can, on TCP or TLS, takes nobody else's turn.
//!
//! The relay is halted while everything is put before it, so that what it finds is the same each time.
//! All clients send to one peer, which therefore sees in which order the relay did its work.

use std::io::Write;
use std::net::UdpSocket;

use turn_client::{Path, channel_data};

use crate::support::{ALICE, Client, Daemon, Identity, TlsClient, Wire, datagram_socket, receive};

const CHANNEL: u16 = 0x4000;
/// What a connection may send before another one has its turn, in bytes on the wire.
const TURN: usize = 16 * 1024;
/// What a socket surely takes while nobody reads.
const FLOOD: usize = 60_000;
/// The flooding connections of one test.
const MANY: usize = 20;

const FLOODING: &[u8] = &[1; 996];
const OTHER: &[u8] = b"other";

struct Scene {
    daemon: Daemon,
    peer: UdpSocket,
    identity: Identity,
}

impl Scene {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let identity = Identity::new();
        identity.write(folder.path());
        let listeners = format!(
            "listeners = [
                {{ transport = 'udp', address = '127.0.0.1:0' }},
                {{ transport = 'tcp', address = '127.0.0.1:0' }},
                {},
            ]",
            Identity::listener("tls", folder.path())
        );
        let daemon = Daemon::serve_with(folder, &format!("{ALICE}\n{listeners}"));
        let peer = datagram_socket("127.0.0.2:0");
        // All that the relay sends at once.
        let _ = rustix::net::sockopt::set_socket_recv_buffer_size_force(&peer, 64 << 20);
        Self { daemon, peer, identity }
    }

    /// Binds the channel to the peer.
    fn ready<W: Wire>(&self, mut client: Client<W>) -> Client<W> {
        client.allocate();
        client.bind(CHANNEL, self.peer.local_addr().unwrap());
        client
    }

    /// Lets the relay go on; how many packets came before that of the other client.
    fn before_the_other(&self) -> usize {
        self.daemon.go_on();
        let mut count = 0;
        while receive(&self.peer).0 != OTHER {
            count += 1;
        }
        assert_ne!(receive(&self.peer).0, OTHER, "the flood goes on behind it");
        count
    }
}

#[test]
fn a_datagram_does_not_wait_for_all_connections() {
    let scene = Scene::new();
    let relay = scene.daemon.address("tcp");
    let mut floods: Vec<_> = (0..MANY).map(|_| scene.ready(Client::tcp(relay))).collect();
    let mut other = scene.ready(Client::udp(scene.daemon.address("udp")));
    scene.daemon.halt();
    let packet = channel_data(CHANNEL, FLOODING, Path::Stream);
    for flood in &mut floods {
        flood.wire.stream.write_all(&packet.repeat(FLOOD / packet.len())).unwrap();
    }
    other.send_channel(CHANNEL, OTHER);
    // What all connections together may send in a round, or less.
    assert!(scene.before_the_other() <= 4 * TURN / packet.len() + 1);
}

#[test]
fn a_connection_waits_for_one_turn_of_another() {
    let scene = Scene::new();
    let relay = scene.daemon.address("tcp");
    let (mut flood, mut other) = (scene.ready(Client::tcp(relay)), scene.ready(Client::tcp(relay)));
    scene.daemon.halt();
    let packet = channel_data(CHANNEL, FLOODING, Path::Stream);
    flood.wire.stream.write_all(&packet.repeat(FLOOD / packet.len())).unwrap();
    other.send_channel(CHANNEL, OTHER);
    assert!(scene.before_the_other() <= TURN / packet.len());
}

#[test]
fn tls_records_of_one_byte_count_as_what_they_are_on_the_wire() {
    let scene = Scene::new();
    let tls = TlsClient::tls(scene.daemon.address("tls"), &scene.identity, &[]).unwrap();
    let mut flood = scene.ready(tls);
    let mut other = scene.ready(Client::tcp(scene.daemon.address("tcp")));
    scene.daemon.halt();
    let packet = channel_data(CHANNEL, &[1; 4], Path::Stream);
    let (session, socket) = (&mut flood.wire.stream.conn, &mut flood.wire.stream.sock);
    let mut on_the_wire = 0;
    while on_the_wire < FLOOD {
        for byte in &packet {
            session.writer().write_all(&[*byte]).unwrap();
            on_the_wire += session.write_tls(socket).unwrap();
        }
    }
    other.send_channel(CHANNEL, OTHER);
    // A record's header, type and tag are 22 bytes; a read may go a little over a turn.
    let count = scene.before_the_other();
    assert!((1..=(TURN + 4096) / (23 * packet.len())).contains(&count), "{count} packets");
}
