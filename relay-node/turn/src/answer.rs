//! Answers: success and error responses, signed where the request was (RFC 8489 section 6.3.1, 9.2.4).

use std::net::IpAddr;

use stun::attribute::{
    AttributeType, ErrorCode, Nonce, PasswordAlgorithms, Realm, Software, UnknownAttributes,
};
use stun::{BufferFull, Class, Key, Message, MessageWriter, TransactionId};

use crate::address::Client;
use crate::nonce::NONCE_LEN;
use crate::outbox::Outbox;
use crate::settings::Settings;
use crate::stats::{RequestKind, Stats};
use crate::time::UnixSeconds;

/// What an answer needs of its request. Outlives the request's bytes: an Allocate is answered only
/// when its socket is open.
#[derive(Clone, Debug)]
pub(crate) struct ReplyTo {
    pub(crate) client: Client,
    pub(crate) kind: RequestKind,
    pub(crate) transaction: TransactionId,
    fingerprint: bool,
    /// Present once the request proved its credentials.
    signature: Option<Signature>,
}

/// How to sign: with the integrity attribute that the request had.
#[derive(Clone, Debug)]
pub(crate) enum Signature {
    Sha1(Key),
    Sha256(Key),
}

/// Every error that this server answers (RFC 8489 section 14.8, RFC 8656 section 19).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    BadRequest,
    Unauthenticated,
    Forbidden,
    UnknownAttribute,
    AllocationMismatch,
    StaleNonce,
    AddressFamilyNotSupported,
    WrongCredentials,
    UnsupportedTransport,
    PeerAddressFamilyMismatch,
    AllocationQuotaReached,
    InsufficientCapacity,
}

impl Refusal {
    pub(crate) const fn code(self) -> u16 {
        match self {
            Self::BadRequest => 400,
            Self::Unauthenticated => 401,
            Self::Forbidden => 403,
            Self::UnknownAttribute => 420,
            Self::AllocationMismatch => 437,
            Self::StaleNonce => 438,
            Self::AddressFamilyNotSupported => 440,
            Self::WrongCredentials => 441,
            Self::UnsupportedTransport => 442,
            Self::PeerAddressFamilyMismatch => 443,
            Self::AllocationQuotaReached => 486,
            Self::InsufficientCapacity => 508,
        }
    }

    pub(crate) const fn reason(self) -> &'static str {
        match self {
            Self::BadRequest => "Bad Request",
            Self::Unauthenticated => "Unauthenticated",
            Self::Forbidden => "Forbidden",
            Self::UnknownAttribute => "Unknown Attribute",
            Self::AllocationMismatch => "Allocation Mismatch",
            Self::StaleNonce => "Stale Nonce",
            Self::AddressFamilyNotSupported => "Address AddressFamily not Supported",
            Self::WrongCredentials => "Wrong Credentials",
            Self::UnsupportedTransport => "Unsupported Transport Protocol",
            Self::PeerAddressFamilyMismatch => "Peer Address AddressFamily Mismatch",
            Self::AllocationQuotaReached => "Allocation Quota Reached",
            Self::InsufficientCapacity => "Insufficient Capacity",
        }
    }

    const fn error_code(self) -> ErrorCode<'static> {
        ErrorCode { code: self.code(), reason: self.reason() }
    }
}

impl ReplyTo {
    pub(crate) fn new(client: &Client, kind: RequestKind, message: &Message<'_>) -> Self {
        Self {
            client: *client,
            kind,
            transaction: message.transaction_id(),
            fingerprint: message.has(AttributeType::FINGERPRINT),
            signature: None,
        }
    }

    /// The same request, now that it proved its credentials.
    pub(crate) fn signed(self, signature: Signature) -> Self {
        Self { signature: Some(signature), ..self }
    }

    /// A success response with what `attributes` writes.
    pub(crate) fn success(
        &self,
        outbox: &mut Outbox,
        stats: &mut Stats,
        software: Option<&str>,
        attributes: impl FnOnce(&mut MessageWriter<'_>) -> Result<(), BufferFull>,
    ) -> usize {
        stats.count_answer(self.kind, 0);
        self.write(outbox, Class::Success, |writer| {
            attributes(writer)?;
            // Only who proved its credentials is told: it is of use to attackers and costs bytes.
            if let (Some(software), Some(_)) = (software, &self.signature) {
                writer.attribute(&Software(software.as_bytes()))?;
            }
            Ok(())
        })
    }

    /// An error response.
    pub(crate) fn refuse(&self, outbox: &mut Outbox, stats: &mut Stats, refusal: Refusal) -> usize {
        stats.count_answer(self.kind, refusal.code());
        self.write(outbox, Class::Error, |writer| writer.attribute(&refusal.error_code()).map(drop))
    }

    /// 420, naming what was not understood (RFC 8489 section 6.3.1).
    pub(crate) fn refuse_unknown(
        &self,
        outbox: &mut Outbox,
        stats: &mut Stats,
        unknown: &UnknownAttributes,
    ) -> usize {
        let refusal = Refusal::UnknownAttribute;
        stats.count_answer(self.kind, refusal.code());
        self.write(outbox, Class::Error, |writer| {
            writer.attribute(&refusal.error_code())?;
            writer.attribute(unknown).map(drop)
        })
    }

    /// 401 or 438: how to authenticate, with a fresh nonce (RFC 8489 section 9.2.4). Never signed.
    pub(crate) fn challenge(
        &self,
        outbox: &mut Outbox,
        stats: &mut Stats,
        refusal: Refusal,
        settings: &Settings,
        unix: UnixSeconds,
    ) -> usize {
        stats.count_answer(self.kind, refusal.code());
        let mut nonce = [0; NONCE_LEN];
        settings.nonces.issue(unix, Some(self.client_ip()), &mut nonce);
        self.write(outbox, Class::Error, |writer| {
            writer.attribute(&refusal.error_code())?;
            writer.attribute(&Realm(settings.realm.as_str().as_bytes()))?;
            writer.attribute(&Nonce(&nonce))?;
            writer.attribute(&PasswordAlgorithms::SHA256_MD5).map(drop)
        })
    }

    fn client_ip(&self) -> IpAddr {
        self.client.five_tuple.client.ip()
    }

    fn write(
        &self,
        outbox: &mut Outbox,
        class: Class,
        attributes: impl FnOnce(&mut MessageWriter<'_>) -> Result<(), BufferFull>,
    ) -> usize {
        outbox.message(&self.client, |buf| {
            let mut writer = MessageWriter::new(buf, class, self.kind.method(), self.transaction)?;
            attributes(&mut writer)?;
            match &self.signature {
                Some(Signature::Sha1(key)) => writer.integrity_sha1(key).map(drop)?,
                Some(Signature::Sha256(key)) => writer.integrity_sha256(key).map(drop)?,
                None => {}
            }
            if self.fingerprint {
                writer.fingerprint()?;
            }
            Ok(writer.finish())
        })
    }
}
