use std::net::SocketAddr;

use stun::attribute::{
    ChannelNumber, Data, ErrorCode, Lifetime, Nonce, PasswordAlgorithm, PasswordAlgorithms, Realm,
    RequestedTransport, Userhash, Username, XorPeerAddress, XorRelayedAddress,
};
use stun::{Attribute, BufferFull, Class, Key, Message, MessageWriter, Method, TransactionId};
use turn::credentials::Secret;
use turn::{Client, ClientAddr, FiveTuple, PathId, ServerAddr, Transport};

use super::{Relay, Seen, at};

pub const REALM: &str = "example.org";

/// How a client derives its key and signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// As before RFC 8489: MD5 key, MESSAGE-INTEGRITY, no PASSWORD-ALGORITHM.
    Classic,
    /// PASSWORD-ALGORITHM SHA-256, MESSAGE-INTEGRITY-SHA256.
    Sha256,
}

/// A client with credentials.
#[derive(Clone, Debug)]
pub struct TestClient {
    pub path: Client,
    pub username: Vec<u8>,
    pub password: Vec<u8>,
    pub nonce: Vec<u8>,
    pub scheme: Scheme,
    /// Sends USERHASH in place of USERNAME.
    pub anonymous: bool,
    next_transaction: u64,
}

/// A response as it left the relay.
#[derive(Clone, Debug)]
pub struct Answer(pub Vec<u8>);

impl Answer {
    pub fn message(&self) -> Message<'_> {
        Message::parse(&self.0).expect("the relay sends well-formed messages")
    }

    /// 0 for success.
    pub fn code(&self) -> u16 {
        match self.message().class() {
            Class::Success => 0,
            _ => self.get::<ErrorCode<'_>>().expect("an error code").code,
        }
    }

    pub fn get<'a, A: Attribute<'a>>(&'a self) -> Option<A> {
        self.message().get().expect("a well-formed attribute")
    }
}

impl TestClient {
    /// Alice over UDP, from `address`.
    pub fn new(address: &str) -> Self {
        Self::over(Transport::Udp, address)
    }

    pub fn over(transport: Transport, address: &str) -> Self {
        let client = at(address);
        let server = if client.is_ipv4() { at("203.0.113.1:3478") } else { at("[2001:db8:1::1]:3478") };
        Self {
            path: Client {
                five_tuple: FiveTuple {
                    client: ClientAddr::new(client),
                    server: ServerAddr::new(server),
                    transport,
                },
                path: PathId(u32::from(client.port())),
            },
            username: b"alice".to_vec(),
            password: b"wonderland".to_vec(),
            nonce: Vec::new(),
            scheme: Scheme::Classic,
            anonymous: false,
            next_transaction: 0,
        }
    }

    pub fn named(mut self, username: &str, password: &str) -> Self {
        self.username = username.as_bytes().to_vec();
        self.password = password.as_bytes().to_vec();
        self
    }

    /// With a time-limited name, and the password that `secret` gives it.
    pub fn timed(mut self, username: &str, secret: &str) -> Self {
        self.username = username.as_bytes().to_vec();
        self.password = Secret::new(secret.as_bytes()).unwrap().password(&self.username).as_bytes().to_vec();
        self
    }

    pub fn signing(mut self, scheme: Scheme) -> Self {
        self.scheme = scheme;
        self
    }

    pub fn address(&self) -> SocketAddr {
        self.path.five_tuple.client.get()
    }

    pub fn key(&self) -> Key {
        match self.scheme {
            Scheme::Classic => Key::long_term_md5(&self.username, REALM.as_bytes(), &self.password),
            Scheme::Sha256 => Key::long_term_sha256(&self.username, REALM.as_bytes(), &self.password),
        }
    }

    /// A transaction of its own.
    pub fn transaction(&mut self) -> TransactionId {
        self.next_transaction += 1;
        let mut id = [0; 12];
        id[..8].copy_from_slice(&self.next_transaction.to_be_bytes());
        id[8..10].copy_from_slice(&self.address().port().to_be_bytes());
        TransactionId::new(id)
    }

    /// A request without credentials.
    pub fn bare(
        &mut self,
        method: Method,
        attributes: impl FnOnce(&mut MessageWriter<'_>) -> Result<(), BufferFull>,
    ) -> Vec<u8> {
        write(Class::Request, method, self.transaction(), attributes)
    }

    /// A request of whatever `attributes` makes of the client's name, nonce and key.
    pub fn request(
        &mut self,
        method: Method,
        attributes: impl FnOnce(&Self, &mut MessageWriter<'_>) -> Result<(), BufferFull>,
    ) -> Vec<u8> {
        let id = self.transaction();
        write(Class::Request, method, id, |writer| attributes(self, writer))
    }

    /// A request with credentials.
    pub fn signed(
        &mut self,
        method: Method,
        attributes: impl FnOnce(&mut MessageWriter<'_>) -> Result<(), BufferFull>,
    ) -> Vec<u8> {
        let id = self.transaction();
        write(Class::Request, method, id, |writer| {
            attributes(writer)?;
            if self.anonymous {
                writer.attribute(&Userhash(stun::userhash(&self.username, REALM.as_bytes())))?;
            } else {
                writer.attribute(&Username(&self.username))?;
            }
            writer.attribute(&Realm(REALM.as_bytes()))?.attribute(&Nonce(&self.nonce))?;
            match self.scheme {
                Scheme::Classic => writer.integrity_sha1(&self.key()).map(drop),
                Scheme::Sha256 => {
                    writer.attribute(&PasswordAlgorithms::SHA256_MD5)?;
                    writer.attribute(&PasswordAlgorithm::Sha256)?;
                    writer.integrity_sha256(&self.key()).map(drop)
                }
            }
        })
    }

    /// Sends a packet that gets exactly one answer.
    pub fn exchange(&self, relay: &mut Relay, packet: &[u8]) -> Answer {
        let seen = relay.packet(&self.path, packet);
        match <[Seen; 1]>::try_from(seen) {
            Ok([Seen::AtClient { client, packet }]) if client == self.address() => Answer(packet),
            other => panic!("not one answer to {}: {other:?}", self.address()),
        }
    }

    /// Asks with credentials, with a fresh nonce first if there is none.
    pub fn ask(
        &mut self,
        relay: &mut Relay,
        method: Method,
        attributes: impl FnOnce(&mut MessageWriter<'_>) -> Result<(), BufferFull>,
    ) -> Answer {
        if self.nonce.is_empty() {
            self.learn_nonce(relay);
        }
        let request = self.signed(method, attributes);
        self.exchange(relay, &request)
    }

    /// Takes the nonce out of a challenge.
    pub fn learn_nonce(&mut self, relay: &mut Relay) {
        let request = self.bare(Method::ALLOCATE, |_| Ok(()));
        let challenge = self.exchange(relay, &request);
        assert_eq!(challenge.code(), 401);
        self.nonce = challenge.get::<Nonce<'_>>().expect("a nonce").0.to_vec();
    }

    /// Allocates over IPv4 and gives the relayed address.
    pub fn allocate(&mut self, relay: &mut Relay) -> SocketAddr {
        let answer = self.try_allocate(relay);
        assert_eq!(answer.code(), 0);
        answer.get::<XorRelayedAddress>().expect("a relayed address").0
    }

    pub fn try_allocate(&mut self, relay: &mut Relay) -> Answer {
        self.ask(relay, Method::ALLOCATE, |writer| writer.attribute(&RequestedTransport::UDP).map(drop))
    }

    pub fn refresh(&mut self, relay: &mut Relay, lifetime: u32) -> Answer {
        self.ask(relay, Method::REFRESH, |writer| writer.attribute(&Lifetime(lifetime)).map(drop))
    }

    pub fn permit(&mut self, relay: &mut Relay, peer: SocketAddr) -> Answer {
        self.ask(relay, Method::CREATE_PERMISSION, |writer| writer.attribute(&XorPeerAddress(peer)).map(drop))
    }

    pub fn bind(&mut self, relay: &mut Relay, number: u16, peer: SocketAddr) -> Answer {
        let number = ChannelNumber::new(number).expect("a channel number");
        self.ask(relay, Method::CHANNEL_BIND, |writer| {
            writer.attribute(&number)?.attribute(&XorPeerAddress(peer)).map(drop)
        })
    }

    /// A Send indication.
    pub fn send(&mut self, relay: &mut Relay, peer: SocketAddr, payload: &[u8]) -> Vec<Seen> {
        let packet = write(Class::Indication, Method::SEND, self.transaction(), |writer| {
            writer.attribute(&XorPeerAddress(peer))?.attribute(&Data(payload)).map(drop)
        });
        relay.packet(&self.path, &packet)
    }

    /// ChannelData.
    pub fn channel_data(&self, relay: &mut Relay, number: u16, payload: &[u8]) -> Vec<Seen> {
        relay.packet(&self.path, &channel_data(number, payload))
    }
}

/// A ChannelData message without padding.
pub fn channel_data(number: u16, payload: &[u8]) -> Vec<u8> {
    let mut packet = number.to_be_bytes().to_vec();
    packet.extend_from_slice(&(payload.len() as u16).to_be_bytes());
    packet.extend_from_slice(payload);
    packet
}

/// The peer and the payload of a Data indication.
pub fn data_indication(packet: &[u8]) -> (SocketAddr, &[u8]) {
    let message = Message::parse(packet).unwrap();
    assert_eq!((message.class(), message.method()), (Class::Indication, Method::DATA));
    let (peer, data) = (message.get::<XorPeerAddress>().unwrap(), message.get::<Data<'_>>().unwrap());
    (peer.expect("a peer").0, data.expect("data").0)
}

/// A message of these attributes.
pub fn write(
    class: Class,
    method: Method,
    id: TransactionId,
    attributes: impl FnOnce(&mut MessageWriter<'_>) -> Result<(), BufferFull>,
) -> Vec<u8> {
    let mut buffer = vec![0; 2048];
    let mut writer = MessageWriter::new(&mut buffer, class, method, id).unwrap();
    attributes(&mut writer).unwrap();
    let length = writer.finish();
    buffer.truncate(length);
    buffer
}
