use std::net::{SocketAddr, UdpSocket};

use stun::attribute::{AddressFamily, ChannelNumber, ErrorCode, Icmp, Nonce, XorRelayedAddress};
use stun::{Attribute, BufferFull, Class, Message, MessageWriter, Method, TransactionId};
use turn_client::{
    Allocate, Challenge, Credential, Incoming, Login, Path, Request, message, send_indication,
};

use super::datagram_socket;

const REALM: &[u8] = b"example.org";
const USERNAME: &[u8] = b"alice";
const PASSWORD: &[u8] = b"wonderland";

/// What carries packets to a relay and back.
pub trait Wire {
    fn send(&mut self, packet: &[u8]);
    /// The next packet; fails the test when none comes.
    fn receive(&mut self) -> Vec<u8>;
    /// Whether packets are padded to four bytes.
    fn is_stream(&self) -> bool;
}

impl Wire for UdpSocket {
    fn send(&mut self, packet: &[u8]) {
        UdpSocket::send(self, packet).unwrap();
    }

    fn receive(&mut self) -> Vec<u8> {
        let mut buffer = vec![0; 65_536];
        let length = self.recv(&mut buffer).unwrap();
        buffer.truncate(length);
        buffer
    }

    fn is_stream(&self) -> bool {
        false
    }
}

/// A client with credentials.
pub struct Client<W> {
    pub wire: W,
    nonce: Vec<u8>,
    transactions: u64,
}

/// A response as it came.
pub struct Answer(pub Vec<u8>);

/// What else comes to a client.
#[derive(Debug, PartialEq, Eq)]
pub enum Packet {
    Channel { number: u16, payload: Vec<u8> },
    Data { peer: SocketAddr, payload: Vec<u8> },
    Icmp { peer: SocketAddr, kind: u8, code: u8 },
}

impl Answer {
    pub fn message(&self) -> Message<'_> {
        Message::parse(&self.0).unwrap()
    }

    /// 0 for success.
    pub fn code(&self) -> u16 {
        match self.message().class() {
            Class::Success => 0,
            _ => self.get::<ErrorCode<'_>>().unwrap().code,
        }
    }

    pub fn get<'a, A: Attribute<'a>>(&'a self) -> Option<A> {
        self.message().get().unwrap()
    }
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
        Self { wire, nonce: Vec::new(), transactions: 0 }
    }

    fn transaction(&mut self) -> TransactionId {
        self.transactions += 1;
        let mut id = [0; 12];
        id[..8].copy_from_slice(&self.transactions.to_be_bytes());
        TransactionId::new(id)
    }

    /// Sends a request without credentials and gives its answer.
    pub fn binding(&mut self) -> Answer {
        let request = write(Class::Request, Method::BINDING, self.transaction(), |_| Ok(()));
        self.wire.send(&request);
        Answer(self.wire.receive())
    }

    /// A request with credentials. The nonce is learnt first if there is none.
    pub fn signed(
        &mut self,
        method: Method,
        attributes: impl FnOnce(&mut MessageWriter<'_>) -> Result<(), BufferFull>,
    ) -> Vec<u8> {
        if self.nonce.is_empty() {
            let request = write(Class::Request, Method::ALLOCATE, self.transaction(), |_| Ok(()));
            self.wire.send(&request);
            let challenge = Answer(self.wire.receive());
            assert_eq!(challenge.code(), 401);
            self.nonce = challenge.get::<Nonce<'_>>().unwrap().0.to_vec();
        }
        let (realm, nonce) = (REALM.to_vec(), self.nonce.clone());
        let challenge = Challenge { realm, nonce, algorithms: None, anonymous: false };
        let login = Login::new(Credential::new(USERNAME, PASSWORD), challenge).unwrap();
        write(Class::Request, method, self.transaction(), |writer| {
            attributes(writer)?;
            login.sign(writer)
        })
    }

    /// Asks with credentials.
    pub fn ask(
        &mut self,
        method: Method,
        attributes: impl FnOnce(&mut MessageWriter<'_>) -> Result<(), BufferFull>,
    ) -> Answer {
        let request = self.signed(method, attributes);
        self.wire.send(&request);
        Answer(self.wire.receive())
    }

    /// Allocates over IPv4; the relayed address.
    pub fn allocate(&mut self) -> SocketAddr {
        let answer = self.try_allocate();
        assert_eq!(answer.code(), 0);
        answer.get::<XorRelayedAddress>().unwrap().0
    }

    pub fn try_allocate(&mut self) -> Answer {
        self.ask_for(Request::Allocate(Allocate::default()))
    }

    /// Allocates over IPv6; the relayed address.
    pub fn allocate_v6(&mut self) -> SocketAddr {
        let family = Some(AddressFamily::V6);
        let answer = self.ask_for(Request::Allocate(Allocate { family, ..Allocate::default() }));
        assert_eq!(answer.code(), 0);
        answer.get::<XorRelayedAddress>().unwrap().0
    }

    pub fn refresh(&mut self, lifetime: u32) -> u16 {
        self.ask_for(Request::Refresh { lifetime }).code()
    }

    pub fn permit(&mut self, peer: SocketAddr) {
        let answer = self.ask_for(Request::CreatePermission { peers: vec![peer] });
        assert_eq!(answer.code(), 0);
    }

    pub fn bind(&mut self, number: u16, peer: SocketAddr) {
        let channel = ChannelNumber::new(number).unwrap();
        let answer = self.ask_for(Request::ChannelBind { channel, peer });
        assert_eq!(answer.code(), 0);
    }

    fn ask_for(&mut self, request: Request) -> Answer {
        self.ask(request.method(), |writer| request.attributes(writer))
    }

    /// Sends a Send indication.
    pub fn send(&mut self, peer: SocketAddr, payload: &[u8], dont_fragment: bool) {
        let packet = send_indication(self.transaction(), peer, payload, dont_fragment).unwrap();
        self.wire.send(&packet);
    }

    /// Sends ChannelData.
    pub fn send_channel(&mut self, number: u16, payload: &[u8]) {
        let packet = channel_data(number, payload, self.wire.is_stream());
        self.wire.send(&packet);
    }

    /// The next packet that is no answer.
    pub fn receive(&mut self) -> Packet {
        let packet = self.wire.receive();
        match Incoming::read(&packet) {
            Some(Incoming::ChannelData(data)) => {
                Packet::Channel { number: data.channel.get(), payload: data.payload.to_vec() }
            }
            Some(Incoming::Data { peer, payload }) => Packet::Data { peer, payload: payload.to_vec() },
            Some(Incoming::Icmp { peer, error: Icmp { kind, code, .. } }) => {
                Packet::Icmp { peer, kind, code }
            }
            other => panic!("neither data nor an error: {other:?}"),
        }
    }
}

/// ChannelData, padded if it is for a stream.
pub fn channel_data(number: u16, payload: &[u8], padded: bool) -> Vec<u8> {
    turn_client::channel_data(number, payload, if padded { Path::Stream } else { Path::Datagrams })
}

/// A message of these attributes.
pub fn write(
    class: Class,
    method: Method,
    id: TransactionId,
    attributes: impl FnOnce(&mut MessageWriter<'_>) -> Result<(), BufferFull>,
) -> Vec<u8> {
    message(class, method, id, attributes).unwrap()
}
