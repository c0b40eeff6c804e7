//! The requests of a TURN client (RFC 8656), proved by a long-term credential (RFC 8489 section 9.2).

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use stun::attribute::{
    AddressFamily, ChannelNumber, ErrorCode, Lifetime, Nonce, PasswordAlgorithm, PasswordAlgorithms, Realm,
    RequestedAddressFamily, RequestedTransport, Username, XorPeerAddress, XorRelayedAddress,
};
use stun::{BufferFull, Class, Key, Message, MessageWriter, Method, TransactionId};

use crate::ice_servers::TimedCredential;

use super::error::TrialError;
use super::link::Link;

/// The channel that packets go through.
pub(super) const CHANNEL: u16 = 0x4000;
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// First interval of retransmissions over UDP; it doubles (RFC 8489 section 6.2.1).
const RETRANSMISSION: Duration = Duration::from_millis(500);
/// No request is longer.
const LONGEST: usize = 2048;
/// A challenge, then a nonce that went stale at once.
const ATTEMPTS: usize = 3;

/// What a request carries beside what proves it.
type Attributes<'a> = &'a dyn Fn(&mut MessageWriter<'_>) -> Result<(), BufferFull>;

/// A client of one relay.
pub(super) struct Session {
    link: Link,
    credential: TimedCredential,
    challenge: Option<Challenge>,
}

/// What the relay wants to be proved, and with what.
struct Challenge {
    realm: Vec<u8>,
    nonce: Vec<u8>,
    /// The value of PASSWORD-ALGORITHMS, where the relay offers SHA-256.
    algorithms: Option<Vec<u8>>,
    key: Key,
}

impl Session {
    pub(super) fn new(link: Link, credential: TimedCredential) -> Self {
        Self { link, credential, challenge: None }
    }

    /// The way to the relay, for packets.
    pub(super) fn link(&mut self) -> &mut Link {
        &mut self.link
    }

    /// Gets a relayed address of the family of `peer`.
    pub(super) fn allocate(&mut self, peer: IpAddr) -> Result<(), TrialError> {
        let step = "Allocate";
        let answer = self.request(step, Method::ALLOCATE, &|writer| {
            writer.attribute(&RequestedTransport::UDP)?;
            if peer.is_ipv6() {
                writer.attribute(&RequestedAddressFamily(AddressFamily::V6))?;
            }
            Ok(())
        })?;
        let answer = Message::parse(&answer).map_err(TrialError::message(step))?;
        match answer.get::<XorRelayedAddress>().map_err(TrialError::attribute(step))? {
            Some(_) => Ok(()),
            None => Err(TrialError::Nonsense { step, fault: "it has no relayed address".into() }),
        }
    }

    /// Lets `peer` through.
    pub(super) fn create_permission(&mut self, peer: SocketAddr) -> Result<(), TrialError> {
        self.request("CreatePermission", Method::CREATE_PERMISSION, &|writer| {
            writer.attribute(&XorPeerAddress(peer)).map(drop)
        })
        .map(drop)
    }

    /// Makes [`CHANNEL`] the way to `peer`.
    pub(super) fn bind_channel(&mut self, peer: SocketAddr) -> Result<(), TrialError> {
        self.request("ChannelBind", Method::CHANNEL_BIND, &|writer| {
            // Always there: the number is in range.
            if let Some(channel) = ChannelNumber::new(CHANNEL) {
                writer.attribute(&channel)?;
            }
            writer.attribute(&XorPeerAddress(peer)).map(drop)
        })
        .map(drop)
    }

    /// Ends the allocation.
    pub(super) fn delete(&mut self) -> Result<(), TrialError> {
        self.request("Refresh", Method::REFRESH, &|writer| writer.attribute(&Lifetime(0)).map(drop)).map(drop)
    }

    /// Asks until the relay accepts, or refuses for good; the success response.
    fn request(
        &mut self,
        step: &'static str,
        method: Method,
        attributes: Attributes<'_>,
    ) -> Result<Vec<u8>, TrialError> {
        let mut refusal = None;
        for _ in 0..ATTEMPTS {
            let bytes = self.transact(step, method, attributes)?;
            let answer = Message::parse(&bytes).map_err(TrialError::message(step))?;
            if answer.class() == Class::Success {
                self.check_proof(step, &answer)?;
                return Ok(bytes);
            }
            let error = answer.get::<ErrorCode<'_>>().map_err(TrialError::attribute(step))?;
            let Some(error) = error else {
                return Err(TrialError::Nonsense { step, fault: "it is an error without a code".into() });
            };
            let refused = TrialError::Refused { step, code: error.code, phrase: error.reason.to_owned() };
            // A second 401 means that the credential is wrong (RFC 8489 section 9.2.5).
            match error.code {
                401 if self.challenge.is_none() => self.challenge = Some(self.challenge(step, &answer)?),
                438 => self.challenge = Some(self.challenge(step, &answer)?),
                _ => return Err(refused),
            }
            refusal = Some(refused);
        }
        Err(refusal.unwrap_or(TrialError::Silent { step, seconds: PATIENCE.as_secs() }))
    }

    /// Sends one request, again and again over UDP, and waits for its answer.
    fn transact(
        &mut self,
        step: &'static str,
        method: Method,
        attributes: Attributes<'_>,
    ) -> Result<Vec<u8>, TrialError> {
        let id = TransactionId::new(rand::random());
        let mut buffer = [0; LONGEST];
        let mut writer = MessageWriter::new(&mut buffer, Class::Request, method, id)?;
        attributes(&mut writer)?;
        if let Some(challenge) = &self.challenge {
            challenge.prove(&mut writer, &self.credential)?;
        }
        writer.fingerprint()?;
        let length = writer.finish();
        let request = buffer.get(..length).unwrap_or_default();

        let deadline = Instant::now() + PATIENCE;
        let mut interval = RETRANSMISSION;
        let mut answer = Vec::new();
        while Instant::now() < deadline {
            self.link.send(request)?;
            let again = if self.link.is_lossy() { deadline.min(Instant::now() + interval) } else { deadline };
            interval *= 2;
            while self.link.receive(&mut answer, again)? {
                let is_answer = Message::parse(&answer).is_ok_and(|message| {
                    message.transaction_id() == id && matches!(message.class(), Class::Success | Class::Error)
                });
                if is_answer {
                    return Ok(answer);
                }
            }
        }
        Err(TrialError::Silent { step, seconds: PATIENCE.as_secs() })
    }

    fn challenge(&self, step: &'static str, answer: &Message<'_>) -> Result<Challenge, TrialError> {
        let wrong = TrialError::attribute(step);
        let missing = || TrialError::Nonsense {
            step,
            fault: "it asks for a credential without realm and nonce".into(),
        };
        let realm = answer.get::<Realm<'_>>().map_err(&wrong)?.ok_or_else(missing)?.0;
        let nonce = answer.get::<Nonce<'_>>().map_err(&wrong)?.ok_or_else(missing)?.0;
        let offered = answer.get::<PasswordAlgorithms<'_>>().map_err(&wrong)?;
        let offered =
            offered.filter(|offered| offered.iter().any(|algorithm| algorithm == PasswordAlgorithm::Sha256));
        let derive = if offered.is_some() { Key::long_term_sha256 } else { Key::long_term_md5 };
        let TimedCredential { username, password } = &self.credential;
        Ok(Challenge {
            key: derive(username.as_bytes(), realm, password.as_bytes()),
            realm: realm.to_vec(),
            nonce: nonce.to_vec(),
            algorithms: offered.map(|offered| offered.as_bytes().to_vec()),
        })
    }

    fn check_proof(&self, step: &'static str, answer: &Message<'_>) -> Result<(), TrialError> {
        let Some(challenge) = &self.challenge else { return Ok(()) };
        let proof = match challenge.algorithms {
            Some(_) => answer.verify_sha256(&challenge.key),
            None => answer.verify_sha1(&challenge.key),
        };
        proof.map_err(|_| TrialError::Unproven { step })
    }
}

impl Challenge {
    fn prove(&self, writer: &mut MessageWriter<'_>, credential: &TimedCredential) -> Result<(), BufferFull> {
        writer.attribute(&Username(credential.username.as_bytes()))?;
        writer.attribute(&Realm(&self.realm))?;
        writer.attribute(&Nonce(&self.nonce))?;
        match &self.algorithms {
            Some(offered) => {
                writer.raw(stun::AttributeType::PASSWORD_ALGORITHMS, offered)?;
                writer.attribute(&PasswordAlgorithm::Sha256)?;
                writer.integrity_sha256(&self.key)?;
            }
            None => {
                writer.integrity_sha1(&self.key)?;
            }
        }
        Ok(())
    }
}
