//! A TURN client of our own, whose every byte a test decides.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use stun::attribute::{AddressFamily, ChannelNumber, ErrorCode, Lifetime, Nonce, Realm, XorRelayedAddress};
use stun::{Class, Message, MessageWriter, Method};
use turn_client::{Allocate, Frames, Incoming, Request, send_indication};

use crate::credential::Credential;
use crate::network::{Family, Party};
use crate::relay::Relay;
use crate::request::{self, Challenge};
use crate::stream::Stream;
use crate::transport::Transport;

/// How long an answer may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a client waits before it asks again over UDP.
const RETRANSMIT: Duration = Duration::from_millis(500);

/// A client with a socket in a party's namespace.
#[derive(Debug)]
pub struct Client {
    link: Link,
    credential: Credential,
    challenge: Option<Challenge>,
    aside: Vec<Vec<u8>>,
}

#[derive(Debug)]
enum Link {
    Datagrams(UdpSocket),
    Stream { stream: Stream, unread: Frames },
}

/// The response to a request.
#[derive(Clone, Debug)]
pub struct Reply(Vec<u8>);

impl Client {
    /// A client that speaks UDP.
    pub fn udp(party: &Party, relay: SocketAddr, credential: Credential) -> Self {
        let any = SocketAddr::new(if relay.is_ipv4() { party.v4.into() } else { party.v6.into() }, 0);
        let socket = party.namespace.enter(|| UdpSocket::bind(any)).expect("the party has this address");
        socket.connect(relay).expect("a UDP socket connects to anything that is routed");
        Self { link: Link::Datagrams(socket), credential, challenge: None, aside: Vec::new() }
    }

    /// A client that speaks TCP.
    pub fn tcp(party: &Party, relay: SocketAddr, credential: Credential) -> Self {
        Self::on(Stream::tcp(party, relay), credential)
    }

    /// A client that speaks any transport, over IPv4.
    pub fn over(transport: Transport, party: &Party, relay: &Relay<'_>, credential: Credential) -> Self {
        let address = relay.address(transport, Family::V4);
        match transport {
            Transport::Udp => Self::udp(party, address, credential),
            Transport::Tcp => Self::tcp(party, address, credential),
            Transport::Tls => Self::on(Stream::tls(party, address, relay.certificate().trust()), credential),
        }
    }

    /// A client on a connection.
    pub fn on(stream: Stream, credential: Credential) -> Self {
        let link = Link::Stream { stream, unread: Frames::default() };
        Self { link, credential, challenge: None, aside: Vec::new() }
    }

    /// The connection, from a client that needs it no more.
    pub fn into_stream(self) -> Option<Stream> {
        match self.link {
            Link::Datagrams(_) => None,
            Link::Stream { stream, .. } => Some(stream),
        }
    }

    /// The address that it sends from.
    pub fn local(&self) -> SocketAddr {
        match &self.link {
            Link::Datagrams(socket) => socket.local_addr(),
            Link::Stream { stream, .. } => stream.socket().local_addr(),
        }
        .expect("it is bound")
    }

    /// Sends bytes as they are.
    pub fn send(&mut self, bytes: &[u8]) {
        match &mut self.link {
            // ICMP about an earlier datagram is not this one's failure.
            Link::Datagrams(socket) => drop(socket.send(bytes).or_else(|_| socket.send(bytes))),
            Link::Stream { stream, .. } => stream.write_all(bytes).expect("the relay keeps the connection"),
        }
    }

    /// Waits for the next packet, without a stream's padding.
    pub fn receive(&mut self, deadline: Duration) -> Option<Vec<u8>> {
        let end = Instant::now() + deadline;
        loop {
            let left = end.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())?;
            if let Some(packet) = self.link.read(left) {
                return Some(packet);
            }
        }
    }

    /// Sends a request, over UDP again and again, until its response comes. What else comes is kept for
    /// [`Client::aside`].
    pub fn ask(&mut self, request: &[u8]) -> Reply {
        let id = &request[4..20];
        let end = Instant::now() + PATIENCE;
        while let Some(left) = end.checked_duration_since(Instant::now()) {
            self.send(request);
            let again = match self.link {
                Link::Datagrams(_) => Instant::now() + RETRANSMIT.min(left),
                Link::Stream { .. } => end,
            };
            while let Some(packet) = self.receive(again.saturating_duration_since(Instant::now())) {
                if packet.get(4..20) == Some(id) {
                    return Reply(packet);
                }
                self.aside.push(packet);
            }
        }
        panic!("no answer from the relay to {}", request.escape_ascii());
    }

    /// Everything that has come and was no response to [`Client::ask`]. Asks for Bindings first: what the relay
    /// sent before that, to whomever, has then arrived, since the path keeps the order. The first one may be
    /// answered before that has left, as a round sends what it has to send socket by socket.
    pub fn aside(&mut self) -> Vec<Vec<u8>> {
        for _ in 0..2 {
            self.ask(&request::binding());
        }
        std::mem::take(&mut self.aside)
    }

    /// Asks for a realm and a nonce, with an Allocate request that has no credentials.
    pub fn challenge(&mut self) -> Challenge {
        let reply = self.ask(&request::bare_allocate());
        assert_eq!(reply.code(), Some(401), "the relay asks for credentials");
        self.remember(&reply);
        self.challenge.clone().expect("just remembered")
    }

    /// Uses another credential from now on.
    pub fn use_credential(&mut self, credential: Credential) {
        self.credential = credential;
    }

    /// Uses another realm and nonce from now on.
    pub fn use_challenge(&mut self, challenge: Challenge) {
        self.challenge = Some(challenge);
    }

    /// A signed request as bytes.
    pub fn signed(&mut self, method: Method, fill: impl FnOnce(&mut MessageWriter<'_>)) -> Vec<u8> {
        self.signed_and(method, fill, |_| {})
    }

    /// A signed request with further attributes behind MESSAGE-INTEGRITY.
    pub fn signed_and(
        &mut self,
        method: Method,
        fill: impl FnOnce(&mut MessageWriter<'_>),
        after: impl FnOnce(&mut MessageWriter<'_>),
    ) -> Vec<u8> {
        let challenge = self.challenge.clone().unwrap_or_else(|| self.challenge());
        request::signed(method, &challenge, &self.credential, fill, after)
    }

    /// Sends a signed request; the error is the response's code.
    pub fn call(&mut self, method: Method, fill: impl FnOnce(&mut MessageWriter<'_>)) -> Result<Reply, u16> {
        let request = self.signed(method, fill);
        self.ask(&request).into_result()
    }

    /// Sends one of the usual requests.
    fn call_for(&mut self, request: Request) -> Result<Reply, u16> {
        self.call(request.method(), |writer| request.attributes(writer).expect("there is room"))
    }

    /// Allocates a relayed address of the relay's default family.
    pub fn allocate(&mut self) -> Result<SocketAddr, u16> {
        Ok(self.call_for(Request::Allocate(Allocate::default()))?.relayed()[0])
    }

    /// Allocates an IPv4 and an IPv6 relayed address.
    pub fn allocate_both(&mut self) -> Result<Vec<SocketAddr>, u16> {
        let additional = Some(AddressFamily::V6);
        Ok(self.call_for(Request::Allocate(Allocate { additional, ..Allocate::default() }))?.relayed())
    }

    /// Refreshes the allocation.
    pub fn refresh(&mut self, seconds: u32) -> Result<(), u16> {
        self.call_for(Request::Refresh { lifetime: seconds }).map(drop)
    }

    /// Refreshes the allocation, with the nonce of a 438 if the one it has is no longer good; whether it
    /// was not.
    pub fn refresh_with_any_nonce(&mut self, seconds: u32) -> Result<bool, u16> {
        let request = self.signed(Method::REFRESH, |writer| drop(writer.attribute(&Lifetime(seconds))));
        let reply = self.ask(&request);
        if reply.code() != Some(438) {
            return reply.into_result().map(|_| false);
        }
        self.remember(&reply);
        self.refresh(seconds).map(|()| true)
    }

    /// Asks for a permission.
    pub fn permit(&mut self, peer: SocketAddr) -> Result<(), u16> {
        self.call_for(Request::CreatePermission { peers: vec![peer] }).map(drop)
    }

    /// Binds a channel.
    pub fn bind(&mut self, channel: u16, peer: SocketAddr) -> Result<(), u16> {
        let channel = ChannelNumber::new(channel).expect("RFC 8656 section 12 allows it");
        self.call_for(Request::ChannelBind { channel, peer }).map(drop)
    }

    /// Sends data to a peer in a Send indication.
    pub fn send_to(&mut self, peer: SocketAddr, data: &[u8]) {
        self.send(&send_indication(request::next_id(), peer, data, false).expect("there is room"));
    }

    /// Waits for the next Data indication: the peer and what it sent.
    pub fn data(&mut self) -> Option<(SocketAddr, Vec<u8>)> {
        loop {
            let packet = self.receive(PATIENCE)?;
            if let Some(Incoming::Data { peer, payload }) = Incoming::read(&packet) {
                return Some((peer, payload.to_vec()));
            }
        }
    }

    /// Uses the realm and the nonce of a 401 or 438 from now on.
    pub fn remember(&mut self, reply: &Reply) {
        self.challenge = Some(reply.challenge());
    }
}

impl Link {
    /// The next packet, if it comes within `limit`.
    fn read(&mut self, limit: Duration) -> Option<Vec<u8>> {
        match self {
            Self::Datagrams(socket) => {
                let mut packet = vec![0; 65_536];
                socket.set_read_timeout(Some(limit)).expect("the limit is not zero");
                let length = socket.recv(&mut packet).ok()?;
                packet.truncate(length);
                Some(packet)
            }
            Self::Stream { stream, unread } => {
                if let Some(packet) = unread.next_packet().expect("the relay sends packets") {
                    return Some(packet.to_vec());
                }
                let mut bytes = [0; 16_384];
                stream.socket().set_read_timeout(Some(limit)).expect("the limit is not zero");
                match stream.read(&mut bytes) {
                    Ok(0) => panic!("the relay closed the connection"),
                    Ok(length) => unread.push(&bytes[..length]),
                    Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                    Err(error) => panic!("the connection failed: {error}"),
                }
                None
            }
        }
    }
}

impl Reply {
    /// The response as a message.
    pub fn message(&self) -> Message<'_> {
        Message::parse(&self.0).expect("the relay writes well-formed messages")
    }

    /// The error code, if it is an error.
    pub fn code(&self) -> Option<u16> {
        let message = self.message();
        (message.class() == Class::Error)
            .then(|| message.get::<ErrorCode<'_>>().ok().flatten().expect("an error has a code").code)
    }

    /// Its bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The nonce in it, if any.
    pub fn nonce(&self) -> Option<Vec<u8>> {
        self.message().get::<Nonce<'_>>().ok().flatten().map(|nonce| nonce.0.to_vec())
    }

    /// The realm and the nonce in a 300, 401 or 438, for a client that uses MD5 under a plain name, as those older than
    /// RFC 8489 do.
    pub fn challenge(&self) -> Challenge {
        let realm = self.message().get::<Realm<'_>>().ok().flatten().map(|realm| realm.0.to_vec());
        let realm = realm.expect("a challenge has a realm");
        let nonce = self.nonce().expect("a challenge has a nonce");
        Challenge { realm, nonce, algorithms: None, anonymous: false }
    }

    fn relayed(&self) -> Vec<SocketAddr> {
        let message = self.message();
        message.all::<XorRelayedAddress>().map(|address| address.expect("well formed").0).collect()
    }

    fn into_result(self) -> Result<Self, u16> {
        match self.code() {
            Some(code) => Err(code),
            None => Ok(self),
        }
    }
}
