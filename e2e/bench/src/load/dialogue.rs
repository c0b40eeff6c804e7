//! The requests of a client with a long-term credential, and what it reads out of the answers.

use std::net::{SocketAddr, SocketAddrV4};

use stun::{
    BufferFull, Class, Key, Message, MessageWriter, Method, TransactionId,
    attribute::{
        ChannelNumber, ErrorCode, Lifetime, Nonce, Realm, RequestedTransport, Username, XorPeerAddress,
        XorRelayedAddress,
    },
};

/// The user that every server knows.
pub const USERNAME: &str = "bench";
/// Its password.
pub const PASSWORD: &str = "a password for the benchmark";
/// The realm of every server.
pub const REALM: &str = "bench.example";

/// What a client keeps between its requests.
pub struct Dialogue {
    key: Key,
    nonce: Vec<u8>,
}

/// Why a dialogue came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum DialogueError {
    /// The server is silent.
    #[error("the server did not answer {0}")]
    Silence(&'static str),
    /// The server said no.
    #[error("the server answered {request} with error {code}")]
    Refused {
        /// What was asked for.
        request: &'static str,
        /// The STUN error code.
        code: u16,
    },
    /// The answer is nothing that a TURN server says.
    #[error("the server's answer to {0} makes no sense")]
    Nonsense(&'static str),
    /// A socket of the load failed.
    #[error("the load's socket failed: {0}")]
    Socket(#[from] std::io::Error),
}

/// What a client asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// Allocate without credentials, for the realm and nonce.
    Challenge,
    /// Allocate.
    Allocate,
    /// CreatePermission.
    Permission(SocketAddrV4),
    /// ChannelBind.
    Channel(ChannelNumber, SocketAddrV4),
    /// Refresh with a lifetime of zero.
    Release,
}

impl Request {
    /// Its name for a person.
    pub fn name(self) -> &'static str {
        match self {
            Self::Challenge => "Allocate without credentials",
            Self::Allocate => "Allocate",
            Self::Permission(_) => "CreatePermission",
            Self::Channel(..) => "ChannelBind",
            Self::Release => "Refresh",
        }
    }

    fn method(self) -> Method {
        match self {
            Self::Challenge | Self::Allocate => Method::ALLOCATE,
            Self::Permission(_) => Method::CREATE_PERMISSION,
            Self::Channel(..) => Method::CHANNEL_BIND,
            Self::Release => Method::REFRESH,
        }
    }
}

impl Default for Dialogue {
    fn default() -> Self {
        let key = Key::long_term_md5(USERNAME.as_bytes(), REALM.as_bytes(), PASSWORD.as_bytes());
        Self { key, nonce: Vec::new() }
    }
}

impl Dialogue {
    /// Writes a request; its length.
    pub fn write(&self, buffer: &mut [u8], request: Request, id: TransactionId) -> Result<usize, BufferFull> {
        let mut writer = MessageWriter::new(buffer, Class::Request, request.method(), id)?;
        match request {
            Request::Challenge | Request::Allocate => {
                writer.attribute(&RequestedTransport::UDP)?;
            }
            Request::Permission(peer) => {
                writer.attribute(&XorPeerAddress(peer.into()))?;
            }
            Request::Channel(channel, peer) => {
                writer.attribute(&channel)?.attribute(&XorPeerAddress(peer.into()))?;
            }
            Request::Release => {
                writer.attribute(&Lifetime(0))?;
            }
        }
        if request != Request::Challenge {
            writer
                .attribute(&Username(USERNAME.as_bytes()))?
                .attribute(&Realm(REALM.as_bytes()))?
                .attribute(&Nonce(&self.nonce))?
                .integrity_sha1(&self.key)?;
        }
        Ok(writer.finish())
    }

    /// Takes in the answer to `request`; the relayed address if it tells one.
    pub fn read(
        &mut self,
        request: Request,
        answer: &Message<'_>,
    ) -> Result<Option<SocketAddrV4>, DialogueError> {
        let nonsense = DialogueError::Nonsense(request.name());
        if answer.method() != request.method() {
            return Err(nonsense);
        }
        if answer.class() == Class::Success {
            return match answer.get::<XorRelayedAddress>() {
                Ok(Some(XorRelayedAddress(SocketAddr::V4(address)))) => Ok(Some(address)),
                Ok(None) if request != Request::Allocate => Ok(None),
                _ => Err(nonsense),
            };
        }
        let Ok(Some(ErrorCode { code, .. })) = answer.get::<ErrorCode<'_>>() else { return Err(nonsense) };
        match (request, answer.get::<Nonce<'_>>()) {
            (Request::Challenge, Ok(Some(Nonce(nonce)))) if code == 401 => {
                self.nonce.clear();
                self.nonce.extend_from_slice(nonce);
                Ok(None)
            }
            _ => Err(DialogueError::Refused { request: request.name(), code }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: TransactionId = TransactionId::new([7; 12]);

    fn challenge(nonce: &[u8], code: u16) -> Vec<u8> {
        let mut buffer = [0; 200];
        let mut writer = MessageWriter::new(&mut buffer, Class::Error, Method::ALLOCATE, ID).unwrap();
        writer.attribute(&ErrorCode { code, reason: "" }).unwrap().attribute(&Nonce(nonce)).unwrap();
        let len = writer.finish();
        buffer[..len].to_vec()
    }

    #[test]
    fn a_request_after_the_challenge_proves_the_password() {
        let mut dialogue = Dialogue::default();
        let answer = challenge(b"abc", 401);
        dialogue.read(Request::Challenge, &Message::parse(&answer).unwrap()).unwrap();
        let mut buffer = [0; 300];
        let len = dialogue.write(&mut buffer, Request::Allocate, ID).unwrap();
        let request = Message::parse(&buffer[..len]).unwrap();
        assert_eq!(request.get::<Nonce<'_>>().unwrap(), Some(Nonce(b"abc")));
        let key = Key::long_term_md5(USERNAME.as_bytes(), REALM.as_bytes(), PASSWORD.as_bytes());
        assert!(request.verify_sha1(&key).is_ok());
    }

    #[test]
    fn a_refusal_names_the_request_and_the_code() {
        let mut dialogue = Dialogue::default();
        let answer = challenge(b"abc", 486);
        let refusal = dialogue.read(Request::Allocate, &Message::parse(&answer).unwrap()).unwrap_err();
        assert_eq!(refusal.to_string(), "the server answered Allocate with error 486");
    }
}
