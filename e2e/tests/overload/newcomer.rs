//! A client over UDP that asks when RFC 8489 section 6.2.1 says, and counts how often it had to.

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use edgerelay_e2e::credential::Credential;
use edgerelay_e2e::request;
use turn_client::{Allocate, Client, Event, Path, Request};

/// How often each request was sent: Binding, Allocate, and Allocate with the nonce.
pub(crate) type Transmissions = Vec<u32>;

/// A client that the relay has never seen.
pub(crate) struct Newcomer {
    client: Client,
    socket: UdpSocket,
    last: Vec<u8>,
    sent: Transmissions,
}

impl Newcomer {
    /// On a socket that is connected to the relay.
    pub(crate) fn new(socket: UdpSocket, credential: Credential) -> Self {
        let credential = turn_client::Credential::new(&credential.username, &credential.password);
        let mut seed = [0; 32];
        seed[..12].copy_from_slice(request::next_id().as_bytes());
        let client = Client::new(Path::Datagrams, credential, seed);
        Self { client, socket, last: Vec::new(), sent: Vec::new() }
    }

    /// Asks for a Binding and an allocation, which it then gives back.
    pub(crate) fn gets_in(mut self) -> Transmissions {
        self.ask(Request::Binding);
        self.ask(Request::Allocate(Allocate::default()));
        let sent = std::mem::take(&mut self.sent);
        self.ask(Request::Refresh { lifetime: 0 });
        sent
    }

    fn ask(&mut self, request: Request) {
        self.client.request(Instant::now(), request).expect("it fits into a packet");
        let mut packet = [0; 2048];
        loop {
            while let Some(packet) = self.client.poll_packet() {
                self.send(packet);
            }
            let due = self.client.next_timeout().expect("a request is under way");
            let wait = due.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
            self.socket.set_read_timeout(Some(wait)).expect("not zero");
            let event = match self.socket.recv(&mut packet) {
                Ok(length) => self.client.receive(Instant::now(), &packet[..length]),
                Err(_) => self.client.handle_timeout(Instant::now()),
            };
            match event {
                Some(Event::Succeeded(_)) => return,
                Some(Event::Failed { request, failure }) => {
                    panic!("{request:?}: {failure}; sent {:?}", self.sent)
                }
                _ => {}
            }
        }
    }

    fn send(&mut self, packet: Vec<u8>) {
        // A retransmission is the same bytes.
        match self.sent.last_mut().filter(|_| packet == self.last) {
            Some(times) => *times += 1,
            None => self.sent.push(1),
        }
        self.socket.send(&packet).expect("the network is up");
        self.last = packet;
    }
}
