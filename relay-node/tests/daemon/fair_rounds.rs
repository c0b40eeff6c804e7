//! A flood of one side takes nobody else's turn.
//!
//! The relay is halted while everything is put before it, so that what it finds is the same each time.
//! All clients share one socket, which therefore sees in which order the relay did its work.

use std::net::{SocketAddr, UdpSocket};
use std::rc::Rc;

use stun::attribute::Data;
use stun::{Message, Method, TransactionId};
use turn_client::{Path, TransactionIds};

use crate::support::{ALICE, Client, Daemon, Wire, binding, datagram_socket, peer, receive};

/// One worker on every address, so that a client has an allocation at each address of the relay.
const EVERYWHERE: &str = "
listeners = [{ transport = 'udp', address = '0.0.0.0:0' }, { transport = 'tcp', address = '127.0.0.1:0' }]
limits.user.allocations = 1000
";
/// Relayed addresses under flood.
const FLOODED: u8 = 200;
/// Datagrams for each: less than its socket holds.
const EACH: usize = 100;
/// More than the relay takes from one side before it is the other's turn.
const ROUND: usize = 600;

/// A client at one of the relay's addresses, on a socket that others have too.
struct Shared {
    socket: Rc<UdpSocket>,
    relay: SocketAddr,
}

impl Wire for Shared {
    fn send(&mut self, packet: &[u8]) {
        self.socket.send_to(packet, self.relay).unwrap();
    }

    fn receive(&mut self) -> Vec<u8> {
        receive(&self.socket).0
    }

    fn path(&self) -> Path {
        Path::Datagrams
    }
}

struct Scene {
    daemon: Daemon,
    socket: Rc<UdpSocket>,
    peer: UdpSocket,
}

impl Scene {
    fn new() -> Self {
        let socket = datagram_socket("127.0.0.1:0");
        // All that the relay sends at once.
        socket2::SockRef::from(&socket).set_recv_buffer_size(64 << 20).unwrap();
        let _ = rustix::net::sockopt::set_socket_recv_buffer_size_force(&socket, 64 << 20);
        Self { daemon: Daemon::serve(&format!("{ALICE}{EVERYWHERE}")), socket: Rc::new(socket), peer: peer() }
    }

    /// The client at the relay's address 127.0.0.`host`.
    fn client(&self, host: u8) -> Client<Shared> {
        let port = self.daemon.address("udp").port();
        let relay = SocketAddr::from(([127, 0, 0, host], port));
        Client::over(Shared { socket: Rc::clone(&self.socket), relay })
    }

    /// An allocation that the peer may reach; its relayed address.
    fn allocate(&self, host: u8) -> SocketAddr {
        let mut client = self.client(host);
        let relayed = client.allocate();
        client.permit(self.peer.local_addr().unwrap());
        relayed
    }

    /// What the clients get until `last` says that nothing else is waited for.
    fn receive_until(&self, mut last: impl FnMut(&Seen) -> bool) -> Vec<Seen> {
        let mut seen = Vec::new();
        loop {
            let (packet, _) = receive(&self.socket);
            seen.push(Seen::of(&packet));
            if seen.last().is_some_and(&mut last) {
                return seen;
            }
        }
    }
}

/// What a client got, or a peer of another one that has the same socket.
#[derive(Debug, PartialEq, Eq)]
enum Seen {
    Payload(Vec<u8>),
    Answer(Method, TransactionId),
}

impl Seen {
    fn of(packet: &[u8]) -> Self {
        let Ok(message) = Message::parse(packet) else { return Self::Payload(packet.to_vec()) };
        match message.get::<Data<'_>>().unwrap() {
            Some(Data(payload)) => Self::Payload(payload.to_vec()),
            None => Self::Answer(message.method(), message.transaction_id()),
        }
    }
}

const BINDING: TransactionId = TransactionId::new(*b"from a mouse");

#[test]
fn two_hundred_flooded_relayed_addresses_delay_listener_and_calls_by_a_few_rounds() {
    let scene = Scene::new();
    let flooded: Vec<SocketAddr> = (1..=FLOODED).map(|host| scene.allocate(host)).collect();
    let call = scene.allocate(FLOODED + 1);
    let mut newcomer = scene.client(FLOODED + 2);
    let request = newcomer.signed_allocate();
    // It sends to the socket that the others have. Connections have their turn behind relayed addresses.
    let (mut stream, shared) = (Client::tcp(scene.daemon.address("tcp")), scene.socket.local_addr().unwrap());
    stream.allocate();
    stream.permit(shared);

    scene.daemon.halt();
    for relayed in &flooded {
        for _ in 0..EACH {
            scene.peer.send_to(b"flood", relayed).unwrap();
        }
    }
    for number in 0..10u8 {
        scene.peer.send_to(&[number], call).unwrap();
    }
    newcomer.wire.send(&binding(BINDING));
    newcomer.wire.send(&request);
    stream.send(shared, b"stream", false);
    scene.daemon.go_on();

    let mut awaited = 13;
    let seen = scene.receive_until(|seen| {
        awaited -= u32::from(*seen != Seen::Payload(b"flood".to_vec()));
        awaited == 0
    });
    let place = |of: &Seen| seen.iter().position(|seen| seen == of).unwrap();
    let answer = place(&Seen::Answer(Method::BINDING, BINDING));
    assert!(answer < ROUND, "{answer} packets before the answer to Binding");
    let answer = seen.iter().position(|seen| matches!(seen, Seen::Answer(Method::ALLOCATE, _))).unwrap();
    assert!(answer < ROUND, "{answer} packets before the answer to Allocate");
    let streamed = place(&Seen::Payload(b"stream".to_vec()));
    assert!(streamed < ROUND, "{streamed} packets before that of a connection");
    let places: Vec<usize> = (0..10u8).map(|number| place(&Seen::Payload(vec![number]))).collect();
    assert!(places.is_sorted(), "{places:?}");
    // Its turn came long before the others were through.
    assert!(places[9] < flooded.len() * EACH / 2, "{places:?}");
}

#[test]
fn a_flood_of_strangers_at_the_listener_delays_calls_by_a_round() {
    let scene = Scene::new();
    let call = scene.allocate(1);
    let mut stranger = scene.client(2);

    scene.daemon.halt();
    // More than a round, and less than the smallest buffer that a listener gets.
    const FLOOD: usize = 270;
    let mut ids = TransactionIds::new([1; 32]);
    for _ in 0..FLOOD {
        stranger.wire.send(&binding(ids.next_id()));
    }
    scene.peer.send_to(b"call", call).unwrap();
    scene.daemon.go_on();

    // All of it arrives: the relay was not spared a part of the flood.
    let mut awaited = FLOOD + 1;
    let seen = scene.receive_until(|_| {
        awaited -= 1;
        awaited == 0
    });
    let call = seen.iter().position(|seen| *seen == Seen::Payload(b"call".to_vec())).unwrap();
    assert!(call < FLOOD, "after the whole flood");
}
