use std::net::{SocketAddr, UdpSocket};
use std::time::Instant;

use stun::attribute::{AddressFamily, ChannelNumber, Icmp};
use stun::{Class, Method, TransactionId};
use turn_client::{Allocate, Credential, Event, Failure, Path, Request, Success, message};

use super::datagram_socket;

/// What carries packets to a relay and back.
pub trait Wire {
    fn send(&mut self, packet: &[u8]);
    /// The next packet; fails the test when none comes.
    fn receive(&mut self) -> Vec<u8>;
    fn path(&self) -> Path;
}

impl Wire for UdpSocket {
    fn send(&mut self, packet: &[u8]) {
        UdpSocket::send(self, packet).unwrap();
    }

    fn receive(&mut self) -> Vec<u8> {
        super::receive(self).0
    }

    fn path(&self) -> Path {
        Path::Datagrams
    }
}

/// Alice's client. It sends nothing again: on loopback nothing is lost, unless a test fails.
pub struct Client<W> {
    pub wire: W,
    turn: turn_client::Client,
}

/// What comes to a client that is no answer.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Packet {
    Channel { number: u16, payload: Vec<u8> },
    Data { peer: SocketAddr, payload: Vec<u8> },
    Icmp { peer: SocketAddr, kind: u8, code: u8 },
}

impl Client<UdpSocket> {
    /// A UDP client of the relay at `relay`.
    pub fn udp(relay: SocketAddr) -> Self {
        let wire = datagram_socket(if relay.is_ipv4() { "127.0.0.1:0" } else { "[::1]:0" });
        wire.connect(relay).unwrap();
        Self::over(wire)
    }
}

impl<W: Wire> Client<W> {
    pub fn over(wire: W) -> Self {
        Self::of(Credential::new("alice", "wonderland"), wire)
    }

    /// Somebody else's.
    pub fn of(whose: Credential, wire: W) -> Self {
        Self { turn: turn_client::Client::new(wire.path(), whose, [7; 32]), wire }
    }

    /// The client's address as the relay sees it.
    pub fn binding(&mut self) -> SocketAddr {
        match self.ask(Request::Binding) {
            Ok(Success::Mapped(address)) => address,
            other => panic!("{other:?}"),
        }
    }

    /// Allocates over IPv4; the relayed address.
    pub fn allocate(&mut self) -> SocketAddr {
        self.try_allocate().unwrap()
    }

    /// The same, or the error code.
    pub fn try_allocate(&mut self) -> Result<SocketAddr, u16> {
        self.allocated(Allocate::default())
    }

    /// Allocates over IPv6; the relayed address.
    pub fn allocate_v6(&mut self) -> SocketAddr {
        self.allocated(Allocate { family: Some(AddressFamily::V6), ..Allocate::default() }).unwrap()
    }

    fn allocated(&mut self, wish: Allocate) -> Result<SocketAddr, u16> {
        match self.ask(Request::Allocate(wish))? {
            Success::Allocated(allocation) => Ok(allocation.relayed[0]),
            other => panic!("{other:?}"),
        }
    }

    /// The Allocate of a new client, signed, for the test to send: the challenge before it has been met.
    pub fn signed_allocate(&mut self) -> Vec<u8> {
        self.turn.request(Instant::now(), Request::Allocate(Allocate::default())).unwrap();
        self.flush();
        let challenge = self.wire.receive();
        assert!(self.turn.receive(Instant::now(), &challenge).is_none(), "it is no answer");
        self.turn.poll_packet().unwrap()
    }

    /// Asks for a lifetime; the seconds that were granted.
    pub fn refresh(&mut self, lifetime: u32) -> u32 {
        self.try_refresh(lifetime).unwrap()
    }

    /// The same, or the error code.
    pub fn try_refresh(&mut self, lifetime: u32) -> Result<u32, u16> {
        match self.ask(Request::Refresh { lifetime })? {
            Success::Refreshed { lifetime } => Ok(lifetime),
            other => panic!("{other:?}"),
        }
    }

    pub fn permit(&mut self, peer: SocketAddr) {
        self.ask(Request::CreatePermission { peers: vec![peer] }).unwrap();
    }

    pub fn bind(&mut self, number: u16, peer: SocketAddr) {
        self.ask(Request::ChannelBind { channel: channel(number), peer }).unwrap();
    }

    /// Asks, with credentials once the relay wants them: what it brought, or the error code.
    fn ask(&mut self, request: Request) -> Result<Success, u16> {
        self.turn.request(Instant::now(), request).unwrap();
        loop {
            self.flush();
            let packet = self.wire.receive();
            match self.turn.receive(Instant::now(), &packet) {
                None => {}
                Some(Event::Succeeded(success)) => return Ok(success),
                Some(Event::Failed { failure: Failure::Refused { code, .. }, .. }) => return Err(code),
                Some(other) => panic!("no answer of the relay: {other:?}"),
            }
        }
    }

    /// Sends a Send indication.
    pub fn send(&mut self, peer: SocketAddr, payload: &[u8], dont_fragment: bool) {
        self.turn.send(peer, payload, dont_fragment).unwrap();
        self.flush();
    }

    /// Sends ChannelData.
    pub fn send_channel(&mut self, number: u16, payload: &[u8]) {
        self.turn.send_through(channel(number), payload);
        self.flush();
    }

    fn flush(&mut self) {
        while let Some(packet) = self.turn.poll_packet() {
            self.wire.send(&packet);
        }
    }

    /// The next packet that is no answer.
    pub fn receive(&mut self) -> Packet {
        let packet = self.wire.receive();
        match self.turn.receive(Instant::now(), &packet) {
            Some(Event::ChannelData { channel, payload }) => {
                Packet::Channel { number: channel.get(), payload: payload.to_vec() }
            }
            Some(Event::Data { peer, payload }) => Packet::Data { peer, payload: payload.to_vec() },
            Some(Event::Icmp { peer, error: Icmp { kind, code, .. } }) => Packet::Icmp { peer, kind, code },
            other => panic!("neither data nor an error: {other:?}"),
        }
    }
}

fn channel(number: u16) -> ChannelNumber {
    ChannelNumber::new(number).unwrap()
}

/// A Binding request.
pub fn binding(id: TransactionId) -> Vec<u8> {
    message(Class::Request, Method::BINDING, id, |_| Ok(())).unwrap()
}
