use std::net::SocketAddr;

use stun::attribute::{
    AddressFamily, ChannelNumber, ErrorCode, Nonce, PasswordAlgorithms, XorRelayedAddress,
};
use stun::{Attribute, BufferFull, Class, Key, Message, MessageWriter, Method, TransactionId};
use turn::credentials::Secret;
use turn::{Client, ClientAddr, Entrance, FiveTuple, PathId, ServerAddr, Transport};
use turn_client::{
    Allocate, Challenge, Credential, Incoming, Login, Path, Request, message, send_indication,
};

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
    pub realm: String,
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

    /// The relayed addresses that an Allocate has brought.
    pub fn relayed(&self) -> Vec<SocketAddr> {
        assert_eq!(self.code(), 0);
        self.message().all::<XorRelayedAddress>().map(|address| address.unwrap().0).collect()
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
                entrance: Entrance::Direct,
            },
            username: b"alice".to_vec(),
            password: b"wonderland".to_vec(),
            nonce: Vec::new(),
            realm: REALM.to_owned(),
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
        self.login().key().clone()
    }

    fn login(&self) -> Login {
        let algorithms = match self.scheme {
            Scheme::Classic => None,
            Scheme::Sha256 => Some(PasswordAlgorithms::SHA256_MD5.as_bytes().to_vec()),
        };
        let (realm, nonce) = (self.realm.as_bytes().to_vec(), self.nonce.clone());
        let challenge = Challenge { realm, nonce, algorithms, anonymous: self.anonymous };
        Login::new(Credential::new(&self.username, &self.password), challenge).expect("known algorithms")
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

    /// A request with credentials, of any attributes.
    pub fn signed(
        &mut self,
        method: Method,
        attributes: impl FnOnce(&mut MessageWriter<'_>) -> Result<(), BufferFull>,
    ) -> Vec<u8> {
        let (id, login) = (self.transaction(), self.login());
        write(Class::Request, method, id, |writer| {
            attributes(writer)?;
            login.sign(writer)
        })
    }

    /// An Allocate with credentials for an IPv4 address.
    pub fn signed_allocate(&mut self) -> Vec<u8> {
        self.signed_request(&Request::Allocate(Allocate::default()))
    }

    /// A Refresh with credentials.
    pub fn signed_refresh(&mut self, lifetime: u32) -> Vec<u8> {
        self.signed_request(&Request::Refresh { lifetime })
    }

    /// A request with credentials.
    pub fn signed_request(&mut self, request: &Request) -> Vec<u8> {
        self.signed(request.method(), |writer| request.attributes(writer))
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
        self.try_allocate(relay).relayed()[0]
    }

    /// Allocates over IPv6 and gives the relayed address.
    pub fn allocate_v6(&mut self, relay: &mut Relay) -> SocketAddr {
        let family = Some(AddressFamily::V6);
        self.allocate_as(relay, Allocate { family, ..Allocate::default() }).relayed()[0]
    }

    /// Allocates over both families, as far as the relay has them.
    pub fn allocate_both(&mut self, relay: &mut Relay) -> Answer {
        let additional = Some(AddressFamily::V6);
        self.allocate_as(relay, Allocate { additional, ..Allocate::default() })
    }

    pub fn try_allocate(&mut self, relay: &mut Relay) -> Answer {
        self.allocate_as(relay, Allocate::default())
    }

    pub fn allocate_as(&mut self, relay: &mut Relay, wish: Allocate) -> Answer {
        self.ask_for(relay, &Request::Allocate(wish))
    }

    pub fn refresh(&mut self, relay: &mut Relay, lifetime: u32) -> Answer {
        self.ask_for(relay, &Request::Refresh { lifetime })
    }

    pub fn permit(&mut self, relay: &mut Relay, peer: SocketAddr) -> Answer {
        self.permit_all(relay, &[peer])
    }

    /// One request for all of them.
    pub fn permit_all(&mut self, relay: &mut Relay, peers: &[SocketAddr]) -> Answer {
        self.ask_for(relay, &Request::CreatePermission { peers: peers.to_vec() })
    }

    pub fn bind(&mut self, relay: &mut Relay, number: u16, peer: SocketAddr) -> Answer {
        let channel = ChannelNumber::new(number).expect("a channel number");
        self.ask_for(relay, &Request::ChannelBind { channel, peer })
    }

    fn ask_for(&mut self, relay: &mut Relay, request: &Request) -> Answer {
        self.ask(relay, request.method(), |writer| request.attributes(writer))
    }

    /// A Send indication.
    pub fn send(&mut self, relay: &mut Relay, peer: SocketAddr, payload: &[u8]) -> Vec<Seen> {
        let packet = send_indication(self.transaction(), peer, payload, false).expect("it fits");
        relay.packet(&self.path, &packet)
    }

    /// ChannelData.
    pub fn channel_data(&self, relay: &mut Relay, number: u16, payload: &[u8]) -> Vec<Seen> {
        relay.packet(&self.path, &channel_data(number, payload))
    }
}

/// A ChannelData message without padding.
pub fn channel_data(number: u16, payload: &[u8]) -> Vec<u8> {
    turn_client::channel_data(number, payload, Path::Datagrams)
}

/// The peer and the payload of a Data indication.
pub fn data_indication(packet: &[u8]) -> (SocketAddr, &[u8]) {
    match Incoming::read(packet) {
        Some(Incoming::Data { peer, payload }) => (peer, payload),
        other => panic!("no Data indication: {other:?}"),
    }
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
